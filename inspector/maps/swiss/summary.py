"""What a state means: the form, what comes next, what the map holds and wastes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import roundup_size
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, swisstable
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.layouts import SwissLayout
from inspector.gotypes.table import TypeTable
from inspector.maps.family import Held
from inspector.maps.swiss.checks.proof import Paths, Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import POINTER_SIZE, header_size
from inspector.maps.swiss.layout import groups_for
from inspector.maps.swiss.mirror.growth import PRUNE_SHARE, NextGrowth, Plan, most_entries, plan_for_entries

Form = Literal["none", "small", "tables"]
Assign = Literal["fast32", "fast64", "fast64ptr", "faststr", "generic"]


@dataclass(frozen=True)
class Summary:
    """A map and what all renderers say of it."""

    view: MapView

    @property
    def form(self) -> Form:
        """No memory yet, one group, or tables."""
        header = self.view.header
        if not header.small:
            return "tables"
        return "small" if header.dir_ptr else "none"

    @property
    def live(self) -> int:
        """Entries found."""
        return self.view.live_count

    @cached_property
    def tombstones(self) -> int:
        """Deleted slots."""
        return int(np.count_nonzero(self.view.groups.deleted))

    @property
    def load(self) -> float:
        """Entries for each group."""
        return self.live / len(self.view.groups) if len(self.view.groups) else 0.0

    @cached_property
    def capacity(self) -> NDArray[np.int64]:
        """(t,) slots of each table."""
        return self.view.groups_of_tables * GROUP_SLOTS

    @cached_property
    def proof(self) -> Proof:
        """The hashes of the keys."""
        return Proof(self.view)

    @cached_property
    def probe_lengths(self) -> dict[int, int]:
        """How many keys a lookup finds in the first group it visits, in the second, and so on; {} without hashes."""
        if self.form != "tables":
            return {1: self.live} if self.live else {}
        if self.proof.functions is None:
            return {}
        lengths, counts = np.unique(self.proof.paths.lengths, return_counts=True)
        return dict(zip(lengths.tolist(), counts.tolist(), strict=True))

    # What comes next

    @cached_property
    def assign(self) -> Assign:
        """The function that the compiler calls for an assignment (mapfast in cmd/compile/internal/walk)."""
        types, map_type = self.view.snapshot.types, self.view.snapshot.type
        return assign_function(types, map_type)

    @property
    def prunes(self) -> bool:
        """Whether assignments take tombstones away before a table grows."""
        release = self.view.snapshot.release
        if not release.prunes_tombstones or self.assign == "generic":
            return False
        return self.assign != "fast64ptr" or release.prunes_with_pointer_keys

    @cached_property
    def next(self) -> NextGrowth | None:
        """What the next new keys start; None where the map was not read as a whole, or its numbers are impossible."""
        view = self.view
        if not view.whole or view.snapshot.late:
            return None
        if self.form == "none":
            return NextGrowth("to-small", 1, 1)
        if self.form == "small":
            left = GROUP_SLOTS + 1 - self.live
            return NextGrowth("to-table", left, left) if left > 0 else None
        return self._next_of_tables() if len(view.tables) else None

    @cached_property
    def fullest(self) -> int | None:
        """The table that the fewest new keys fill; None without tables."""
        if self.form != "tables" or not len(self.view.tables):
            return None
        return int(self._growth_left.argmin())

    @property
    def _growth_left(self) -> NDArray[np.int64]:
        return self.view.tables.rows["growthLeft"].astype(np.int64)

    def _next_of_tables(self) -> NextGrowth:
        tables, at = self.view.tables, self.fullest
        assert at is not None
        depths = tables.rows["localDepth"].astype(np.int64)
        # One of 2^localDepth random keys is for this table.
        expected = (self._growth_left + 1) << np.minimum(depths, self.view.header.global_depth)
        first = int(self._growth_left[at]) + 1
        if self._pruned(at):
            return NextGrowth("prune", first, int(expected.min()))
        if self.capacity[at] < MAX_TABLE_CAPACITY:
            return NextGrowth("double", first, int(expected.min()))
        doubles = int(depths[at]) == self.view.header.global_depth
        return NextGrowth("split", first, int(expected.min()), doubles)

    def _pruned(self, table: int) -> bool:
        """Whether the table would be pruned when it is full, with the tombstones that it has (pruneTombstones)."""
        tombstones, capacity = int(self.view.deleted_of_tables[table]), int(self.capacity[table])
        if not self.prunes or tombstones * PRUNE_SHARE < capacity or self.proof.functions is None:
            return False
        rows = np.flatnonzero(self.view.groups.table == table)
        needed = np.zeros(len(rows), dtype=bool)
        needed[self._groups_crossed(table)] = True
        deleted = self.view.groups.deleted[rows].sum(axis=1)
        return int(deleted[~needed].sum()) * PRUNE_SHARE >= capacity

    def _groups_crossed(self, table: int) -> NDArray[np.int64]:
        """Numbers of groups that the path of a key in a table crosses before it ends; with repetitions."""
        at = np.flatnonzero(self.proof.hashed.known & (self.proof.tables == table))
        paths = Paths(self.view, at, self.proof.hashed.hashes)
        mask = int(self.view.groups_of_tables[table]) - 1
        here = paths.homes - self.view.first_row[table]
        crossed = []
        for step in range(1, int(paths.lengths.max(initial=1))):
            crossed.append(here[paths.lengths > step])
            here = here + step & mask
        return np.concatenate(crossed) if crossed else np.empty(0, np.int64)

    # Bytes

    @cached_property
    def held(self) -> Held:
        """Bytes by part, as the allocator gives them."""
        snapshot, tables = self.view.snapshot, self.view.tables
        release, layout = snapshot.release, snapshot.layout
        sizes = self.view.groups_of_tables if self.form == "tables" else np.array([len(self.view.groups)])
        counts, times = np.unique(sizes[sizes > 0], return_counts=True)
        groups = sum(
            groups_size(release, layout, count) * often
            for count, often in zip(counts.tolist(), times.tolist(), strict=True)
        )
        parts = {
            "groups": groups,
            "tables": int(np.count_nonzero(tables.readable)) * int(swisstable.sizeof()),
            "directory": directory_size(release, len(tables.directory)),
            "header": header_size(release),
        }
        return Held(parts, rebuilt_size(release, layout, max(self.live, 0)))


def assign_function(types: TypeTable, map_type: GoType) -> Assign:
    """Which assign function code with this map type calls; elements of more than 128 bytes take the generic one."""
    key = types.key(map_type)
    layout = map_type.layout
    if layout is None or layout.indirect_elem or layout.indirect_key:
        return "generic"
    if key.regular_memory and key.size == 4:
        return "fast32"
    if key.regular_memory and key.size == 8:
        return "fast64ptr" if key.has_pointers else "fast64"
    return "faststr" if _is_one_string(types, key) else "generic"


def _is_one_string(types: TypeTable, key: GoType) -> bool:
    """A string, or a struct or an array of one string (AlgType gives them ASTRING)."""
    if key.kind == Kind.STRUCT and len(key.fields) == 1:
        return _is_one_string(types, types.get(key.fields[0].type_address))
    if key.kind == Kind.ARRAY and key.length == 1:
        return _is_one_string(types, types.elem(key))
    return key.kind == Kind.STRING


def groups_size(release: Release, layout: SwissLayout, count: int) -> int:
    """Bytes that the allocator gives for a groups array."""
    return roundup_size(release, count * layout.group_size, not layout.group_has_pointers) if count else 0


def directory_size(release: Release, length: int) -> int:
    """Bytes that the allocator gives for a directory."""
    return roundup_size(release, length * POINTER_SIZE, False) if length else 0


def planned_size(release: Release, layout: SwissLayout, plan: Plan) -> int:
    """Bytes of groups, tables and directory that make() allocates."""
    if not plan.tables:
        return groups_size(release, layout, 1)
    table: int = swisstable.sizeof() + groups_size(release, layout, groups_for(plan.capacity))
    return plan.tables * table + directory_size(release, plan.tables)


def rebuilt_size(release: Release, layout: SwissLayout, count: int) -> int:
    """Bytes of make(map, count) into which the entries were copied."""
    return header_size(release) + (planned_size(release, layout, plan_for_entries(count)) if count else 0)


def dearest_insert(release: Release, layout: SwissLayout, growth: NextGrowth, capacity: int, length: int) -> int:
    """Bytes that the insert allocates which starts a growth of a table with `capacity` slots, or of a small map."""
    if growth.kind == "prune":
        return 0
    if growth.kind == "to-small":
        return groups_size(release, layout, 1)
    if growth.kind == "to-table":
        return planned_size(release, layout, Plan(1, 2 * GROUP_SLOTS))
    if growth.kind == "double":
        return int(swisstable.sizeof()) + groups_size(release, layout, groups_for(2 * capacity))
    table: int = swisstable.sizeof() + groups_size(release, layout, groups_for(MAX_TABLE_CAPACITY))
    return 2 * table + (directory_size(release, 2 * length) if growth.directory_doubles else 0)


def entries_moved(growth: NextGrowth, capacity: int) -> int:
    """Entries that the insert moves at most which starts a growth."""
    if growth.kind == "to-table":
        return GROUP_SLOTS
    return most_entries(capacity) if growth.kind in ("double", "split") else 0
