"""When a Swiss map grows, what it becomes then, and how large a map is that is made anew."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY

GrowthKind = Literal["to-small", "to-table", "double", "split", "prune"]

LARGEST_HINT = 1 << 50
"""No map is made for more entries than this."""

PRUNED_SHARE = 10
"""Tombstones are pruned if they are one of so many slots at least, and as many can be freed (table.pruneTombstones)."""

STEPS = 400
"""Points at which the chance that no table has grown yet is worked out."""

MOST_KINDS = 2048
"""Kinds of tables that are looked at for it: those with the least room."""

FAR = 6.0
"""Standard deviations above the mean: a Poisson number is hardly ever larger."""

TINY = 1e-300
"""In place of a chance of 0, which has no logarithm."""

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NextGrowth:
    """The next growth: its kind, and which insertion of a new key from now on starts it (1 is the next).

    `min` is the first that can, `expected` what random keys need. A split may double the directory.
    """

    kind: GrowthKind
    min: int
    expected: int
    directory_doubles: bool = False


@dataclass(frozen=True)
class Room:
    """What t tables have left, each field (t,).

    `growth_left` counts empty slots that may still be taken; `tombstones` deleted slots, of which a new key takes one
    with the chance `reuse`; `removable` how many of them pruneTombstones would free, 0 where it is not called.
    """

    capacity: Numbers
    growth_left: Numbers
    local_depth: Numbers
    tombstones: Numbers
    reuse: Floats
    removable: Numbers

    def __len__(self) -> int:
        return len(self.capacity)


@dataclass(frozen=True)
class Dearest:
    """The most that one insertion can cost: entries that move, tables that are made, their slots, the new directory.

    `directory` counts its entries, 0 where none is made.
    """

    moved: int
    tables: int
    capacity: int
    directory: int


def most_entries(capacity: int) -> int:
    """Most entries and tombstones that a table takes before it grows (table.maxGrowthLeft): seven eighths."""
    return capacity * 7 // 8


# Growth


def next_of_small(used: int, has_group: bool) -> NextGrowth:
    """What comes next for a map without tables."""
    if not has_group:
        return NextGrowth("to-small", 1, 1)
    inserts = max(1, GROUP_SLOTS - used + 1)
    return NextGrowth("to-table", inserts, inserts)


def next_of_tables(room: Room, global_depth: int) -> NextGrowth:
    """What comes next for a map with tables: what happens to the one that random keys fill first.

    That table is pruned rather than grown if the tombstones that such keys leave it allow that (table.pruneTombstones).
    """
    wait = (room.growth_left + 1) * np.exp2(room.local_depth.astype(np.float64)) / np.maximum(1 - room.reuse, 1e-3)
    first = int(np.argmin(wait))
    least = int(room.growth_left.min()) + 1
    expected = max(least, round(expected_inserts(room)))
    capacity = int(room.capacity[first])
    left = tombstones_left(int(room.growth_left[first]), int(room.tombstones[first]), float(room.reuse[first]))
    if will_prune(capacity, int(room.tombstones[first] * left), int(room.removable[first] * left)):
        return NextGrowth("prune", least, expected)
    if 2 * capacity <= MAX_TABLE_CAPACITY:
        return NextGrowth("double", least, expected)
    return NextGrowth("split", least, expected, int(room.local_depth[first]) == global_depth)


def tombstones_left(growth_left: int, tombstones: int, reuse: float) -> float:
    """The share of a table's tombstones that random new keys leave until they find no room.

    A group takes part in `reuse` until the last of its tombstones is taken: so keys take them at nearly the same rate
    all the time, and reuse / (1 - reuse) of them for each empty slot.
    """
    if not growth_left or not reuse:
        return 1.0
    return max(0.0, 1.0 - growth_left * reuse / max(1.0 - reuse, 1e-3) / tombstones)


def will_prune(capacity: int, tombstones: int, removable: int) -> bool:
    """Whether pruneTombstones frees slots of a table without room."""
    return min(tombstones, removable) * PRUNED_SHARE >= capacity


def expected_inserts(room: Room) -> float:
    """Random new keys until the first table has no room for one more, on average.

    Each key goes to a table by the top bits of its hash, so a table gets a random number of them (about a Poisson
    one). While a table has tombstones, some keys take those instead of empty slots. Tables that are alike are one
    kind; the first to be full is among those that have the least left.
    """
    share = np.exp2(-room.local_depth.astype(np.float64))
    if len(room) == 1 and not room.tombstones[0]:
        return float(room.growth_left[0] + 1) / float(share[0])
    latest = float(((room.growth_left + room.tombstones + 1) / share).min())
    # A table that has room for more than all these keys can bring it is never the first.
    most = 2.0 * latest * share
    near = room.growth_left <= most + FAR * np.sqrt(most) + FAR
    rows = np.stack(((room.growth_left + 1) / share, room.growth_left, share, room.tombstones, room.reuse))[:, near]
    kinds, counts = _kinds(rows)
    _, left, part, tombstones, reuse = kinds[:, :MOST_KINDS, None]
    keys = np.linspace(0.0, 2.0 * latest, STEPS) * part
    marked = np.maximum(tombstones, 1)
    taken = np.where(tombstones > 0, -marked * np.expm1(-keys * reuse / marked), 0.0)
    chance = counts[:MOST_KINDS] @ np.log(np.maximum(_at_most(left, keys - taken), TINY))
    return float(np.trapezoid(np.exp(chance), dx=2.0 * latest / (STEPS - 1)))


def _kinds(rows: Floats) -> tuple[Floats, Numbers]:
    """The columns of a table of numbers, each once and in their order, and how often each is there."""
    rows = rows[:, np.lexsort(rows[::-1])]
    first = np.flatnonzero(np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0)))
    return rows[:, first], np.diff(np.append(first, rows.shape[1]))


def _at_most(most: Floats, means: Floats) -> Floats:
    """Probability that a Poisson number with a mean is `most` at most.

    That a gamma number is larger than the mean, by the approximation of Wilson and Hilferty: wrong by 0.013 at most.
    """
    shape = most + 1
    deviation = (np.cbrt(means / shape) - (1 - 1 / (9 * shape))) * 3 * np.sqrt(shape)
    return 1 - _normal(deviation)


def _normal(deviations: Floats) -> Floats:
    """Probability that a normal number is smaller (Abramowitz and Stegun, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(deviations))
    series = ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t + 0.319381530) * t
    tail = series * np.exp(-deviations * deviations / 2) / np.sqrt(2 * np.pi)
    return np.asarray(np.where(deviations < 0, tail, 1 - tail))


def dearest_of_small(has_group: bool) -> Dearest:
    """The most that an insertion into a map without tables costs: its first group, or its first table."""
    return Dearest(GROUP_SLOTS, 1, SMALLEST_CAPACITY, 1) if has_group else Dearest(0, 0, 0, 0)


def dearest_of_tables(room: Room, global_depth: int) -> Dearest:
    """The most that an insertion into a map with tables costs: its largest table doubles or splits."""
    capacity = int(room.capacity.max())
    if 2 * capacity <= MAX_TABLE_CAPACITY:
        return Dearest(most_entries(capacity), 1, 2 * capacity, 0)
    largest = room.capacity == capacity
    doubles = bool((room.local_depth[largest] == global_depth).any())
    return Dearest(most_entries(capacity), 2, MAX_TABLE_CAPACITY, 2 << global_depth if doubles else 0)


# Maps made anew


@dataclass(frozen=True)
class Made:
    """What make gives for a hint: so many tables of `capacity` slots each; none for a small map."""

    tables: int
    capacity: int


def made_for(hint: int) -> Made:
    """The tables that NewMap makes for a hint.

    The division of the slots among tables rounds down, so a hint of 897 gives two tables of 512 slots, with room for
    896 entries.
    """
    hint = min(hint, LARGEST_HINT)
    if hint <= GROUP_SLOTS:
        return Made(0, 0)
    target = hint * 8 // 7
    tables = _power_of_two(-(-target // MAX_TABLE_CAPACITY))
    return Made(tables, _power_of_two(max(target // tables, GROUP_SLOTS)))


def overfull(count: int, made: Made) -> float:
    """How many of these tables are expected to grow while `count` keys are copied to them.

    Which table a key goes to is chance, since the new map has another seed (a binomial number, by its normal
    approximation).
    """
    most = most_entries(made.capacity)
    if made.tables == 1:
        return float(count > most)
    mean = count / made.tables
    deviation = sqrt(mean * (1 - 1 / made.tables))
    return made.tables * erfc((most + 0.5 - mean) / (deviation * sqrt(2))) / 2


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not less."""
    return 1 << max(number - 1, 0).bit_length()
