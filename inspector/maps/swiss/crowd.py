"""Which of many small Swiss maps are sound, by all rules at once (docs/rules.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import SMALLEST_CAPACITY, swisstable
from inspector.gotypes.gotype import GoType
from inspector.maps.crowding import all_of, crowd_keys
from inspector.maps.family import Crowd, Mask, Source
from inspector.maps.swiss.checks.allocation import Kind, misplaced
from inspector.maps.swiss.checks.proof import UNLIKELY_HOME
from inspector.maps.swiss.checks.window import H2_MASK, follow
from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS, header_dtype
from inspector.maps.swiss.layout import groups_for, layout_of
from inspector.maps.swiss.mirror.growth import most_entries
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

MOST_CAPACITY = 128
"""Slots of a table that is judged in a crowd: most of them are small."""

Rows = NDArray[np.void]


def crowd(source: Source, addresses: Addresses, go_type: GoType) -> Crowd:
    """See Family.crowd: maps of one group, or of one small table without tombstones, at rest.

    The form is the number of slots.
    """
    return _Judge(source, go_type, header_dtype(source.release)).judge(addresses)


class _Judge:
    def __init__(self, source: Source, go_type: GoType, dtype: np.dtype[Any]) -> None:
        self.source, self.type, self.dtype, self.layout = source, go_type, dtype, layout_of(go_type)

    def judge(self, addresses: Addresses) -> Crowd:
        """Ask H1 to H4 and A1 of the headers, and the rest of what they lead to."""
        source = self.source
        raw, sound = gather(source.memory, source.regions, addresses, self.dtype.itemsize)
        rows = raw.view(self.dtype)[:, 0]
        forms = np.zeros(len(rows), np.int64)
        if source.functions is None or self.layout.indirect_key or self.layout.indirect_elem:
            return Crowd(rows, np.zeros(len(rows), dtype=bool), forms)
        small = rows["dirLen"] == 0
        sound &= (rows["writing"] == 0) & (rows["seed"] != 0) & (rows["globalDepth"] == 0)
        sound &= ~rows["padding"].reshape(len(rows), self.dtype["padding"].itemsize).any(axis=1)
        if "tombstonePossible" in (self.dtype.names or ()):
            sound &= rows["tombstonePossible"] <= np.where(small, 0, 1)
        sound &= np.where(small, rows["globalShift"] == 0, (rows["dirLen"] == 1) & (rows["globalShift"] == WORD_BITS))
        sound &= (rows["dirPtr"] % np.uint64(POINTER_SIZE) == 0) & ((rows["dirPtr"] != 0) | (rows["used"] == 0) & small)
        sound &= self._allocated(addresses, Kind("A1", self.dtype.itemsize, True))
        which = np.flatnonzero(sound & small & (rows["dirPtr"] != 0))
        sound[which] = self._groups_sound(rows[which], rows["dirPtr"][which], 1)
        forms[which] = GROUP_SLOTS
        which = np.flatnonzero(sound & ~small)
        sound[which], forms[which] = self._tables_sound(rows[which])
        return Crowd(rows, sound, forms)

    def _allocated(self, addresses: Addresses, kind: Kind) -> Mask:
        """(n,) which addresses begin objects as the allocator would make them (A1), if the heap's metadata is known."""
        heap = self.source.heap
        if heap is None:
            return np.ones(len(addresses), dtype=bool)
        return ~misplaced(heap.about(addresses), self.source.release, kind, addresses)

    def _tables_sound(self, rows: Rows) -> tuple[Mask, NDArray[np.int64]]:
        """(n,) whether the only table of each map is as it has to be, and how many slots it has."""
        source = self.source
        raw, sound = gather(source.memory, source.regions, rows["dirPtr"], POINTER_SIZE)
        places: Addresses = raw.view(np.uint64)[:, 0]
        sound &= self._allocated(rows["dirPtr"], Kind("A1", POINTER_SIZE, True))
        raw, ok = gather(source.memory, source.regions, places, swisstable.sizeof())
        sound &= ok & (places % np.uint64(POINTER_SIZE) == 0)
        sound &= self._allocated(places, Kind("A1", swisstable.sizeof(), True))
        tables = raw.view(dtype_of(swisstable))[:, 0]
        for name in ("localDepth", "padding", "index"):
            sound &= tables[name] == 0
        sound &= (tables["groups"] % np.uint64(POINTER_SIZE) == 0) & (tables["used"] == rows["used"])
        capacities, capacity = tables["capacity"].astype(np.int64), SMALLEST_CAPACITY
        rest = sound & self._apart(rows["dirPtr"], places, tables)
        sound = np.zeros(len(rows), dtype=bool)
        while capacity <= MOST_CAPACITY:
            which = np.flatnonzero(rest & (capacities == capacity))
            room = most_entries(capacity) - tables["used"][which].astype(np.int64)
            full = (tables["growthLeft"][which] == room) & (tables["lengthMask"][which] == groups_for(capacity) - 1)
            sound[which] = full & self._groups_sound(rows[which], tables["groups"][which], groups_for(capacity))
            capacity *= 2
        return sound, capacities

    def _apart(self, directories: Addresses, tables: Addresses, fields: Rows) -> Mask:
        """(n,) whether directory, table and groups of each map share no memory (D4)."""
        sizes = fields["capacity"].astype(np.uint64) // np.uint64(GROUP_SLOTS) * np.uint64(self.layout.group_size)
        word, table = np.uint64(POINTER_SIZE), np.uint64(swisstable.sizeof())
        parts = [(directories, word), (tables, table), (fields["groups"], sizes)]
        apart = np.ones(len(tables), dtype=bool)
        for at, (start, size) in enumerate(parts):
            for other, length in parts[at + 1 :]:
                # Differences wrap around, so that one of the two is large where the parts are apart.
                apart &= (other - start >= size) & (start - other >= length)
        return apart

    def _groups_sound(self, rows: Rows, starts: Addresses, count: int) -> Mask:
        """(n,) whether the `count` groups of each map, which lie at `starts`, and all keys in them are sound."""
        source, layout = self.source, self.layout
        sound = self._allocated(starts, Kind("A1", count * layout.group_size, layout.group_has_pointers))
        raw, ok = gather(source.memory, source.regions, starts, count * layout.group_size)
        map_of, number = np.divmod(np.arange(len(rows) * count), count)
        places = starts[map_of] + number.astype(np.uint64) * np.uint64(layout.group_size)
        groups = Groups.at(layout, raw.reshape(-1, layout.group_size), places, map_of, number)
        right = ~groups.deleted.any(axis=1) & ~groups.invalid.any(axis=1) & ~groups.zeroed
        right &= ~groups.padding.any(axis=1) & ~groups.elems_left.any(axis=1)
        if source.types.key(self.type).has_pointers:
            right &= ~groups.keys_left.any(axis=1)
        sound &= ok & right.reshape(-1, count).all(axis=1)
        sound &= groups.full.reshape(len(rows), count * GROUP_SLOTS).sum(axis=1) == rows["used"]
        return sound & self._keys_sound(rows, groups, count)

    def _keys_sound(self, rows: Rows, groups: Groups, count: int) -> Mask:
        """(n,) whether all keys of each map are where their hashes put them, each once."""
        at, slots = groups.live
        owner = np.asarray(groups.table[at], np.int64)
        keys = crowd_keys(self.source, self.type, owner, groups.keys[at, slots], rows["seed"][owner])
        right = keys.sound & (keys.hashes & H2_MASK == groups.ctrl[at, slots])
        if count > 1:
            mask = np.full(len(at), count - 1)
            paths = follow(at, owner * count, mask, keys.hashes, np.asarray(groups.empty.any(axis=1)))
            right &= paths.crossed < 0
            # More keys with one home group may be worth a warning (K6).
            right &= (np.bincount(paths.homes, minlength=len(groups)) <= UNLIKELY_HOME)[paths.homes]
        return all_of(owner, right, len(rows))
