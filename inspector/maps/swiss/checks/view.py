"""A snapshot with what all rules ask of it, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY, STALE_INDEX
from inspector.maps.family import Mask
from inspector.maps.swiss.assign import assign_function
from inspector.maps.swiss.checks.blocks import Blocks
from inspector.maps.swiss.copied import SwissCopy
from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS, SwissMap
from inspector.maps.swiss.mirror.assigning import prunes
from inspector.maps.swiss.mirror.growth import PRUNED_SHARE
from inspector.maps.swiss.places import Where
from inspector.maps.swiss.tables import Tables
from inspector.maps.windows import Spots, spots
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct

Numbers = NDArray[np.int64]

DIRECTORY = -1
"""The number of the directory, where tables have theirs."""

NO_ROW = -1
"""No group has this row."""

FAULTS_OF_A_TABLE = 1
"""Fields of a table that may be wrong at a time: where more are, something else lies there."""

FEW = 8
"""One of so many slots may be wrong: where more are, the memory is not made of groups."""


@dataclass(frozen=True)
class Apart:
    """Keys or elements of `size` bytes that are stored by reference: (g, 8) pointers, and where those are wrong."""

    name: str
    size: int
    has_pointers: bool
    pointers: Addresses
    wrong: Spots


@dataclass(frozen=True)
class MapView:
    """The observed state of one map. Recounts are of the control bytes, not of what header and tables say."""

    snapshot: SwissCopy

    @property
    def header(self) -> SwissMap:
        """The Map."""
        return self.snapshot.header

    @property
    def tables(self) -> Tables:
        """The tables, none in a small map."""
        return self.snapshot.tables

    @property
    def groups(self) -> Groups:
        """All groups that could be read."""
        return self.snapshot.groups

    @property
    def whole(self) -> bool:
        """Whether all that the header leads to could be read."""
        return not self.snapshot.unusable

    # What can be believed: one fault is to be one finding, so what hangs from a broken part is not judged

    @cached_property
    def form_sound(self) -> bool:
        """Whether dirLen, globalDepth and globalShift agree with each other (H3)."""
        header = self.header
        return header.global_depth == header.global_shift == 0 if header.small else header.directory_sound

    @cached_property
    def form_believed(self) -> bool:
        """Whether dirLen says how the map is stored: it is sound, or depth or shift agrees with it."""
        header = self.header
        depth, shift, length = header.global_depth, header.global_shift, header.dir_len
        if self.form_sound:
            return True
        if header.small:
            return shift != WORD_BITS - depth and 0 in (depth, shift)
        return length > 0 and length in (1 << depth, 1 << max(WORD_BITS - shift, 0))

    @cached_property
    def genuine(self) -> Mask:
        """(t,) whether what the directory leads to looks like a table, but for one field at most."""
        tables, rows = self.tables, self.tables.rows
        longest = np.maximum(rows["capacity"].astype(np.uint64), (rows["lengthMask"] + np.uint64(1)) * np.uint64(8))
        starts = rows["groups"]
        wrong = [
            ~self._capacity_sound,
            (starts % np.uint64(POINTER_SIZE) != 0) | ~self.snapshot.regions.contains(starts, GROUP_SLOTS),
            (rows["index"] < STALE_INDEX) | (rows["index"] >= 2 * max(self.header.dir_len, 1)),
            rows["localDepth"] > self.header.global_depth + 1,
            rows["padding"] != 0,
            (rows["used"] > longest) | (rows["growthLeft"] > longest),
        ]
        faults = np.sum(wrong, axis=0) if len(tables) else np.zeros(0, np.int64)
        return np.asarray(tables.readable & (faults <= FAULTS_OF_A_TABLE))

    @cached_property
    def _capacity_sound(self) -> Mask:
        capacity = self.tables.rows["capacity"].astype(np.uint64)
        groups = self.tables.rows["lengthMask"] + np.uint64(1)
        size = (capacity >= SMALLEST_CAPACITY) & (capacity <= MAX_TABLE_CAPACITY)
        return np.asarray(
            size & (capacity & (capacity - np.uint64(1)) == 0) & (groups == capacity // np.uint64(GROUP_SLOTS))
        )

    @cached_property
    def sound(self) -> Mask:
        """(t,) whether capacity and lengthMask are possible and agree (T1), so that keys can be followed."""
        return np.asarray(self.genuine & self._capacity_sound)

    @cached_property
    def overlaps(self) -> list[tuple[int, int, int]]:
        """Pairs of tables, by number, of which one or its groups lie on the other or its groups, and where (D4)."""
        if not self.form_believed or self.header.small:
            return []
        tables, header, chosen = self.tables, self.header, np.flatnonzero(self.sound)
        groups = tables.rows["groups"][chosen]
        size = (tables.rows["lengthMask"][chosen] + np.uint64(1)) * np.uint64(self.snapshot.layout.group_size)
        directory = np.array([header.dir_ptr], np.uint64)
        starts = np.concatenate((directory, tables.addresses[chosen], groups))
        ends = np.concatenate(
            (
                directory + np.uint64(len(tables.directory) * POINTER_SIZE),
                tables.addresses[chosen] + np.uint64(tables.rows.itemsize),
                groups + size,
            )
        )
        owners = np.concatenate(([DIRECTORY], chosen, chosen))
        order = np.lexsort((ends, starts))
        starts, ends, owners = starts[order], ends[order], owners[order]
        return [
            (int(owners[at]), int(owners[at + 1]), int(starts[at + 1]))
            for at in np.flatnonzero(starts[1:] < np.maximum.accumulate(ends)[:-1]).tolist()
        ]

    @cached_property
    def believed(self) -> Mask:
        """(t,) tables whose groups are theirs, and are groups."""
        believed = self.genuine & ~self.misled
        if self.directory_judged:
            believed[self.blocks.faults] = False
        for pair in self.overlaps:
            believed[[table for table in pair[:2] if table != DIRECTORY]] = False
        return np.asarray(believed)

    @cached_property
    def misled(self) -> Mask:
        """(t,) whether more slots of a table are wrong than one fault makes: its pointer leads to something else."""
        if not len(self.tables):
            return np.zeros(0, dtype=bool)
        wrong = np.bincount(self.groups.table[self._wrong_slots // GROUP_SLOTS], minlength=len(self.tables))
        return self._too_many(wrong, self.groups_of_tables)

    @cached_property
    def misled_small(self) -> bool:
        """Whether the only group of a small map is no group."""
        if not self.header.small:
            return False
        return bool(self._too_many(np.int64(len(self._wrong_slots)), np.int64(len(self.groups))))

    @staticmethod
    def _too_many(wrong: Numbers | np.int64, groups: Numbers | np.int64) -> NDArray[np.bool_]:
        return np.asarray((wrong > 1) & (wrong * FEW > groups * GROUP_SLOTS))

    @cached_property
    def _wrong_slots(self) -> Spots:
        """Slots with an impossible control byte, or with bytes where none can be."""
        groups, zeroed = self.groups, np.flatnonzero(self.groups.zeroed)
        wrong = [groups.invalid_at, groups.elems_left_at, self._keys_left, np.flatnonzero(groups.padded) * GROUP_SLOTS]
        if len(zeroed) > 1:
            wrong.append((zeroed[:, None] * GROUP_SLOTS + np.arange(GROUP_SLOTS)).reshape(-1))
        return distinct(np.concatenate(wrong))

    @property
    def invalid(self) -> Mask:
        """(g, 8) control bytes that are neither full, nor empty, nor deleted (G1)."""
        return self.groups.invalid

    @cached_property
    def counted(self) -> Mask:
        """(t,) whether all groups of a table are there, so that what it holds can be counted."""
        groups = self.tables.rows["lengthMask"] + np.uint64(1)
        return np.asarray(self.sound & self.believed & (self.groups_of_tables.astype(np.uint64) == groups))

    @cached_property
    def judged(self) -> Mask:
        """(g,) groups that are what they are said to be."""
        groups = self.groups
        if not self.form_believed or self.misled_small:
            return np.zeros(len(groups), dtype=bool)
        if self.header.small:
            return np.ones(len(groups), dtype=bool)
        return np.asarray(self.believed[groups.table])

    @cached_property
    def zeroed(self) -> Mask:
        """(g,) those of them that are judged (G7)."""
        return self.groups.zeroed & self.judged

    @cached_property
    def groups_sound(self) -> Mask:
        """(g,) groups that are judged, and hold what their control bytes say."""
        return np.asarray(self.judged & ~self.zeroed)

    def slots_judged(self, window: slice, mask: Mask) -> Mask:
        """(n, 8) what is true in a mask of the groups of a window, and of groups that are judged."""
        sound = self.groups_sound[window]
        return mask if sound.all() else np.asarray(mask & sound[:, None])

    @property
    def all_full(self) -> Mask:
        """(g, 8) slots that hold an entry, of the groups that are judged."""
        return self.slots_judged(slice(None), self.groups.full)

    @property
    def all_deleted(self) -> Mask:
        """(g, 8) tombstones, likewise."""
        return self.slots_judged(slice(None), self.groups.deleted)

    @property
    def all_empty(self) -> Mask:
        """(g, 8) empty slots, likewise."""
        return self.slots_judged(slice(None), self.groups.empty)

    @cached_property
    def full_judged(self) -> int:
        """How many slots hold an entry, of the groups that are judged."""
        return int(self.groups.full_count.sum(where=self.groups_sound))

    @cached_property
    def with_deleted(self) -> Mask:
        """(g,) groups that are judged and have tombstones."""
        return np.asarray(self.groups_sound & (self.groups.deleted_count > 0))

    @cached_property
    def with_empty(self) -> Mask:
        """(g,) groups that are judged and have empty slots."""
        return np.asarray(self.groups_sound & (self.groups.empty_count > 0))

    # Slots at fault: a control byte that is wrong shows there first, and in what counts slots only second

    @cached_property
    def mixed(self) -> Mask:
        """(g,) groups with both empty and deleted slots, or small ones with deleted slots (G2)."""
        return self.with_deleted if self.header.small else np.asarray(self.with_deleted & self.with_empty)

    @cached_property
    def elems_left(self) -> Spots:
        """Slots without an entry that have an element (G3); those of groups that G2 reports follow from it."""
        return self._reported(self.groups.elems_left_at)

    @cached_property
    def keys_left(self) -> Spots:
        """Slots without an entry that have a key only, where a deletion takes it away (G4)."""
        return self._reported(np.setdiff1d(self._keys_left, self.groups.elems_left_at, assume_unique=True))

    def _reported(self, left: Spots) -> Spots:
        rows = left // GROUP_SLOTS
        return np.asarray(left[self.groups_sound[rows] & ~self.mixed[rows]])

    @property
    def _keys_left(self) -> Spots:
        snapshot = self.snapshot
        if not snapshot.layout.indirect_key and not snapshot.types.key(snapshot.type).has_pointers:
            return np.empty(0, np.int64)
        return self.groups.keys_left_at

    @cached_property
    def apart_wrong(self) -> list[Apart]:
        """Keys and elements that are stored by reference, and which of them lead nowhere (G6)."""
        snapshot, layout, groups = self.snapshot, self.snapshot.layout, self.groups
        parts = [
            ("a key", layout.indirect_key, groups.keys, snapshot.types.key(snapshot.type)),
            ("an element", layout.indirect_elem, groups.elems, snapshot.types.elem(snapshot.type)),
        ]
        return [
            Apart(name, go_type.size, go_type.has_pointers, words, self._unreadable(words, go_type.size))
            for name, indirect, slots, go_type in parts
            if indirect
            for words in [slots.view(np.uint64)[..., 0]]
        ]

    def _unreadable(self, pointers: Addresses, size: int) -> Spots:
        """Slots with an entry whose pointers, of shape (g, 8), do not lead to so many readable bytes."""

        def wrong(window: slice) -> Mask:
            words = pointers[window]
            readable = self.snapshot.regions.contains(words.reshape(-1), size).reshape(words.shape)
            return self.slots_judged(window, self.groups.part(window).full) & ~readable

        return spots(len(self.groups), wrong)

    def doubtful(self, rows: Numbers) -> Mask:
        """(k,) which of some groups have a control byte that G2, G3 or G4 report."""
        left = np.concatenate((self.elems_left, self.keys_left)) // GROUP_SLOTS
        return np.asarray(self.mixed[rows] | np.isin(rows, left))

    @cached_property
    def slots_at_fault(self) -> NDArray[np.int16]:
        """(g,) how many control bytes of each group may be wrong by what rules G1 to G7 find in it."""
        groups, found = self.groups, np.zeros(len(self.groups), np.int16)
        slots = [self.groups.invalid_at, self.elems_left, self.keys_left, *(part.wrong for part in self.apart_wrong)]
        np.add.at(found, distinct(np.concatenate(slots)) // GROUP_SLOTS, 1)
        fewest = groups.deleted_count
        if not self.header.small:
            fewest = np.minimum(fewest, groups.empty_count)
        found[self.mixed] = np.maximum(found[self.mixed], fewest[self.mixed])
        found[self.zeroed] += GROUP_SLOTS
        return found

    @cached_property
    def blocks(self) -> Blocks:
        """How tables fill the directory."""
        return Blocks(self.tables, self.header.global_depth, self.genuine)

    @cached_property
    def directory_judged(self) -> bool:
        """Whether the directory is one whose length is known."""
        return self.form_sound and bool(self.genuine.any())

    @cached_property
    def tables_exchanged(self) -> bool:
        """Whether tables do not tile the directory, so that entries may be in two of them, or in none."""
        stale = self.tables.rows["index"] == STALE_INDEX
        return self.directory_judged and (bool(len(self.blocks.faults)) or bool(stale.any()))

    @cached_property
    def tables_told(self) -> bool:
        """Whether the directory says which table each hash leads to."""
        return not self.header.small and self.directory_judged and not self.tables_exchanged

    @cached_property
    def prunable(self) -> Mask:
        """(t,) tables with so many tombstones that table.pruneTombstones would look for some to free."""
        slots = self.groups_of_tables * GROUP_SLOTS
        enough = self.counted & (self.deleted_of_tables * PRUNED_SHARE >= slots) & (slots > 0)
        return np.asarray(enough if self.can_prune else np.zeros(len(slots), dtype=bool))

    @cached_property
    def countable(self) -> bool:
        """Whether all entries of the map can be counted."""
        if not self.form_believed or not self.whole or self.misled_small:
            return False
        return bool(self.counted.all()) and not self.tables_exchanged

    # Counts

    def sum_of_tables(self, counts: NDArray[Any]) -> Numbers:
        """(t,) the sums of what is counted (g,) in the groups of each table."""
        sums = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=sums[1:])
        return np.diff(sums[self._bounds])

    @cached_property
    def _bounds(self) -> Numbers:
        """(t + 1,) the row of each table's first group, and of none: groups are in the order of tables."""
        table = self.groups.table
        return np.searchsorted(table, np.arange(len(self.tables) + 1, dtype=table.dtype))

    @cached_property
    def full_of_tables(self) -> Numbers:
        """(t,) slots of each table that hold an entry."""
        return self.sum_of_tables(self.groups.full_count)

    @cached_property
    def deleted_of_tables(self) -> Numbers:
        """(t,) tombstones of each table."""
        return self.sum_of_tables(self.groups.deleted_count)

    @cached_property
    def groups_of_tables(self) -> Numbers:
        """(t,) groups of each table that were read."""
        return np.diff(self._bounds)

    @cached_property
    def first_row(self) -> Numbers:
        """(t,) the row of each table's first group."""
        return self._bounds[:-1]

    @cached_property
    def starts(self) -> tuple[Numbers, Numbers]:
        """(t,) each: that row, NO_ROW unless all groups of the table are there, and how many they are, less one."""
        first = np.where(self.counted, self.first_row, NO_ROW)
        return first, np.where(self.counted, self.groups_of_tables - 1, 0)

    @cached_property
    def room_of_tables(self) -> Numbers:
        """(t,) growthLeft as capacity and control bytes have it."""
        most = self.tables.rows["capacity"].astype(np.int64) * 7 // 8
        return np.asarray(most - self.full_of_tables - self.deleted_of_tables)

    @cached_property
    def used_of_tables(self) -> Numbers:
        """(t,) used, as the tables say."""
        return self.tables.rows["used"].astype(np.int64)

    @cached_property
    def left_of_tables(self) -> Numbers:
        """(t,) growthLeft, as the tables say."""
        return self.tables.rows["growthLeft"].astype(np.int64)

    @cached_property
    def live_count(self) -> int:
        """Slots that hold an entry."""
        return int(self.groups.full_count.sum())

    @cached_property
    def cleared_before(self) -> Numbers:
        """(t,) how many groups at each table's beginning are all empty or half zeroed, as table.Clear leaves them."""
        groups = self.groups
        busy = ~((groups.empty_count == GROUP_SLOTS) | self.zeroed)
        first = self.groups_of_tables.copy()
        rows = np.flatnonzero(busy)
        np.minimum.at(first, groups.table[rows], groups.number_of(rows))
        return first

    @cached_property
    def table_being_cleared(self) -> int | None:
        """The table that Map.Clear may be at: all before it are cleared. None if the first ones are not.

        Clear goes through the tables in the order of the directory. It is the first that is not as Clear leaves it.
        """
        if self.header.small or not len(self.tables) or not self.countable:
            return None
        done = (self.full_of_tables + self.deleted_of_tables + self.used_of_tables == 0) & (
            self.left_of_tables == self.room_of_tables
        )
        at = int(np.argmin(done)) if not done.all() else len(done) - 1
        return at if at or self.cleared_before[0] else None

    @cached_property
    def can_prune(self) -> bool:
        """Whether an assign to a map of this type may take tombstones away."""
        snapshot = self.snapshot
        return prunes(assign_function(snapshot.types, snapshot.type), snapshot.release)

    @cached_property
    def just_converted(self) -> bool:
        """Whether the first table may just have been made of a full group, and gets its ninth entry (since 1.27)."""
        if not self.snapshot.release.assigns_to_new_table or len(self.tables) != 1:
            return False
        smallest = bool(self.tables.rows["capacity"][0] == SMALLEST_CAPACITY)
        return smallest and int(self.full_of_tables[0]) in (GROUP_SLOTS, GROUP_SLOTS + 1)

    def number(self, table: int) -> int:
        """What a table is called: the first directory entry that leads to it."""
        return int(self.tables.first[table])

    def table_where(self, table: int) -> Where:
        """The place of a table."""
        return Where(table=self.number(table), address=int(self.tables.addresses[table]))

    def where(self, row: int, slot: int | None = None) -> Where:
        """The place of a group, or of a slot in it."""
        table, (group, address) = int(self.groups.table[row]), self.groups.place_of(row)
        return Where(
            table=self.number(table) if table >= 0 else None,
            group=group,
            slot=slot,
            address=address,
        )
