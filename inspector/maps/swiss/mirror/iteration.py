"""Iteration over a map that changes meanwhile (Iter in table.go of internal/runtime/maps); the map is not changed."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.goruntime.swissgroup import EMPTY, GROUP_SLOTS
from inspector.goruntime.swisstable import STALE_INDEX
from inspector.maps.swiss.mirror.maptype import Chance, Elem, Key
from inspector.maps.swiss.mirror.model import MirrorMap
from inspector.maps.swiss.mirror.slots import Slots
from inspector.maps.swiss.mirror.table import Table

NO_DIRECTORY = -1
"""dirIdx of an iteration over a map that was small when it began."""

OFFSET_MASK = (1 << 64) - 1


@dataclass(slots=True)
class Iter:
    """The runtime's Iter; field names are its own. `map` is None if the map was empty at the beginning.

    `groups` and `table` are what it holds on to: they may have been replaced in the map. `key` and `elem` are what the
    last `next` came to.
    """

    map: MirrorMap | None = None
    entry_offset: int = 0
    dir_offset: int = 0
    clear_seq: int = 0
    global_depth: int = 0
    dir_idx: int = 0
    table: Table | None = None
    groups: Slots | None = None
    entry_idx: int = 0
    key: Key = None
    elem: Elem = None

    @staticmethod
    def begin(over: MirrorMap, chance: Chance) -> Iter:
        """Iter.Init."""
        if not over.used:
            return Iter()
        offsets = chance.offsets()
        return Iter(
            over,
            offsets.entry,
            offsets.directory,
            over.clear_seq,
            over.global_depth,
            NO_DIRECTORY if over.small else 0,
            groups=over.group,
        )

    def next(self) -> bool:
        """Iter.Next: go on to the next entry; False at the end."""
        self.key = self.elem = None
        if self.map is None:
            return False
        if self.dir_idx == NO_DIRECTORY:
            return self._next_of_small(self.map)
        self._follow_directory(self.map)
        while self.dir_idx < len(self.map.directory):
            if self.table is None:
                self._choose_table(self.map)
            assert self.table is not None
            if self._next_of_table(self.map, self.table):
                return True
            self.dir_idx += 1 << self.map.global_depth - self.table.local_depth
            self.table, self.groups, self.entry_idx = None, None, 0
        return False

    def _next_of_small(self, over: MirrorMap) -> bool:
        groups = self.groups
        assert groups is not None
        while self.entry_idx < GROUP_SLOTS:
            slot = (self.entry_idx + self.entry_offset) % GROUP_SLOTS
            self.entry_idx += 1
            if groups.ctrl[slot] < EMPTY and self._yield(over, groups, slot, replaced=not over.small):
                return True
        return False

    def _follow_directory(self, over: MirrorMap) -> None:
        """Adapt the place in the directory to one that was doubled."""
        doubled = over.global_depth - self.global_depth
        self.dir_idx <<= doubled
        self.dir_offset = self.dir_offset << doubled & OFFSET_MASK
        self.global_depth = over.global_depth

    def _choose_table(self, over: MirrorMap) -> None:
        """Take the table that the place in the directory leads to, from its first directory entry on."""
        entry = self.dir_idx + self.dir_offset & len(over.directory) - 1
        self.table = over.directory[entry]
        self.dir_offset = self.dir_offset - (entry - self.table.index) & OFFSET_MASK

    def _next_of_table(self, over: MirrorMap, table: Table) -> bool:
        """Come to the next entry of a table, one slot further first, then from full slot to full slot."""
        groups, mask = table.groups, table.capacity - 1
        if self.entry_idx > mask:
            return False
        slot = self.entry_idx + self.entry_offset & mask
        self.entry_idx += 1
        if groups.ctrl[slot] < EMPTY and self._yield(over, groups, slot, replaced=table.index == STALE_INDEX):
            return True
        while self.entry_idx <= mask:
            slot = self.entry_idx + self.entry_offset & mask
            wanted = _next_full(groups, slot)
            if wanted is None:
                self.entry_idx += GROUP_SLOTS - slot % GROUP_SLOTS
                continue
            self.entry_idx += wanted - slot
            if self.entry_idx > mask:
                break
            # It goes on with the full slot behind this one, or with the next group.
            following = _next_full(groups, wanted + 1) if (wanted + 1) % GROUP_SLOTS else None
            end = wanted - wanted % GROUP_SLOTS + GROUP_SLOTS
            self.entry_idx += (end if following is None else following) - wanted
            if self._yield(over, groups, wanted, replaced=table.index == STALE_INDEX):
                return True
        return False

    def _yield(self, over: MirrorMap, groups: Slots, slot: int, replaced: bool) -> bool:
        """Take an entry; if its memory was replaced, what the map has of it now (Iter.grownKeyElem)."""
        self.key, self.elem = groups.keys[slot], groups.elems[slot]
        if not replaced:
            return True
        found = over.find(self.key)
        if found is not None:
            now, at = found
            self.key, self.elem = now.keys[at], now.elems[at]
            return True
        # A key that is not equal to itself cannot be found, but neither can it be deleted, except by clear.
        if self.clear_seq == over.clear_seq and not over.type.equal(self.key, self.key):
            return True
        self.key = self.elem = None
        return False


def _next_full(groups: Slots, slot: int) -> int | None:
    """The first full slot of a group from a slot on."""
    end = slot - slot % GROUP_SLOTS + GROUP_SLOTS
    return next((i for i in range(slot, end) if groups.ctrl[i] < EMPTY), None)
