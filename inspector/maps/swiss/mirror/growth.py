"""When and how a Swiss map grows, and what make() takes (internal/runtime/maps/map.go, table.go)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY

GrowthKind = Literal["to-small", "to-table", "double", "split", "prune"]

LOAD_OF_EIGHT = 7
"""maxAvgGroupLoad: slots of a group that may be taken, on average over a table."""

PRUNE_SHARE = 10
"""Tombstones, and those of them that can be taken away, have to be a tenth of the table for a prune."""


@dataclass(frozen=True)
class NextGrowth:
    """The next step of a map: its kind, the first new key that can start it, and the one that random keys need.

    `directory_doubles` says that a split has to double the directory first.
    """

    kind: GrowthKind
    min: int
    expected: int
    directory_doubles: bool = False


@dataclass(frozen=True)
class Plan:
    """What make() allocates for a hint: so many tables of so many slots; no table for up to 8 entries."""

    tables: int
    capacity: int

    @property
    def slots(self) -> int:
        """Slots in all."""
        return self.tables * self.capacity if self.tables else self.capacity


def power_of_two(number: int) -> int:
    """The smallest power of two that is not less."""
    return 1 << max(number - 1, 0).bit_length()


def most_entries(capacity: int) -> int:
    """Slots of a table that can be taken before it grows (table.maxGrowthLeft)."""
    return capacity * LOAD_OF_EIGHT // GROUP_SLOTS


def plan_for_hint(hint: int) -> Plan:
    """NewMap with a hint. The capacity is rounded down before it is split among tables, so some hints do not fit."""
    if hint <= GROUP_SLOTS:
        return Plan(0, GROUP_SLOTS)
    target = hint * GROUP_SLOTS // LOAD_OF_EIGHT
    tables = power_of_two(-(-target // MAX_TABLE_CAPACITY))
    return Plan(tables, max(power_of_two(target // tables), SMALLEST_CAPACITY))


def plan_for_entries(count: int) -> Plan:
    """make() with a count as its hint, after so many entries were put in.

    Where the hint leaves the tables too small for their average share, each of them grows once while they are filled.
    """
    plan = plan_for_hint(count)
    if not plan.tables or count <= plan.tables * most_entries(plan.capacity):
        return plan
    if plan.capacity < MAX_TABLE_CAPACITY:
        return Plan(plan.tables, 2 * plan.capacity)
    return Plan(2 * plan.tables, plan.capacity)
