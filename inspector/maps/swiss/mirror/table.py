"""One table of a Swiss map (internal/runtime/maps/table.go), as far as it does not need the map it is of."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS
from inspector.maps.swiss.mirror.growth import most_entries, will_prune
from inspector.maps.swiss.mirror.maptype import Elem, Key, MapType
from inspector.maps.swiss.mirror.slots import Slots

DENSE = 4
"""A table whose entries times this are no more than its groups (less one) is cleared group by group (table.Clear)."""

LARGE_SLOT = 32
"""So is one whose slots have more bytes than this."""


@dataclass(slots=True, eq=False)
class Table:
    """The runtime's table; field names are its own. Deleted slots are counted nowhere: they follow from the others."""

    type: MapType
    capacity: int
    local_depth: int
    index: int
    used: int = 0
    growth_left: int = field(init=False)
    groups: Slots = field(init=False)

    def __post_init__(self) -> None:
        """Give it empty groups (table.reset)."""
        self.groups = Slots(self.capacity // GROUP_SLOTS)
        self.growth_left = most_entries(self.capacity)

    @property
    def tombstones(self) -> int:
        """table.tombstones: how many slots are deleted."""
        return most_entries(self.capacity) - self.used - self.growth_left

    def find(self, hash_value: int, key: Key) -> int | None:
        """The slot that holds a key (table.getWithKey)."""
        for group in self.groups.path(hash_value):
            slot = self.groups.find(group, hash_value, key, self.type.equal)
            if slot is not None:
                return slot
            if self.groups.first_empty(group) is not None:
                break
        return None

    def put_slot(self, hash_value: int, key: Key, elem: Elem, seed: int, prunes: bool) -> int | None:
        """table.PutSlot and its copies in the assign functions: how many entries it added, or None: no room is left.

        `prunes` says whether this assign function calls pruneTombstones.
        """
        groups, reused = self.groups, None
        for group in groups.path(hash_value):
            slot = groups.find(group, hash_value, key, self.type.equal)
            if slot is not None:
                if self.type.need_key_update:
                    groups.keys[slot] = key
                groups.elems[slot] = elem
                return 0
            slot = groups.first_free(group)
            if slot is None:
                continue
            if groups.ctrl[slot] == DELETED:
                reused = slot if reused is None else reused
                continue
            if reused is not None:
                slot = reused
                self.growth_left += 1
            if not self.growth_left and prunes:
                self.prune_tombstones(seed)
            if not self.growth_left:
                return None
            self._fill(slot, hash_value, key, elem)
            return 1
        raise ValueError("no group on the path of a key has an empty slot")

    def unchecked_put_slot(self, hash_value: int, key: Key, elem: Elem) -> None:
        """table.uncheckedPutSlot and uncheckedPutSlotForAssign: a table without tombstones, a key that is not in it."""
        for group in self.groups.path(hash_value):
            slot = self.groups.first_free(group)
            if slot is not None:
                self._fill(slot, hash_value, key, elem)
                return
        raise ValueError("no group on the path of a key has room for it")

    def _fill(self, slot: int, hash_value: int, key: Key, elem: Elem) -> None:
        self.groups.put(slot, hash_value, key, elem)
        self.growth_left -= 1
        self.used += 1

    def delete(self, hash_value: int, key: Key) -> int | None:
        """table.Delete: what the control byte of the key's slot became, or None: the key is not there."""
        groups = self.groups
        slot = self.find(hash_value, key)
        if slot is None:
            return None
        self.used -= 1
        groups.keys[slot], groups.elems[slot] = self.type.left_of(groups.keys[slot]), None
        # A group that was never full cannot be on another key's way.
        if groups.first_empty(slot // GROUP_SLOTS) is not None:
            groups.ctrl[slot] = EMPTY
            self.growth_left += 1
        else:
            groups.ctrl[slot] = DELETED
        return groups.ctrl[slot]

    def prune_tombstones(self, seed: int) -> None:
        """table.pruneTombstones: make tombstones empty that no key's path needs, if that is worth it."""
        groups, needed = self.groups, self._needed_groups(seed)
        freed = [
            slot for slot, control in enumerate(groups.ctrl) if control == DELETED and slot // GROUP_SLOTS not in needed
        ]
        if will_prune(self.capacity, self.tombstones, len(freed)):
            for slot in freed:
                groups.ctrl[slot] = EMPTY
                self.growth_left += 1

    def _needed_groups(self, seed: int) -> set[int]:
        """Groups whose tombstones have to stay: those on a key's way, and those that have empty slots anyway."""
        groups = self.groups
        needed = {group for group in range(groups.count) if groups.first_empty(group) is not None}
        for slot in groups.full():
            hash_value = self.type.hasher(groups.keys[slot], seed)
            if hash_value is None:
                continue
            for group in groups.path(hash_value):
                if group == slot // GROUP_SLOTS:
                    break
                if groups.first_free(group) is not None:
                    needed.add(group)
        return needed

    def clear(self, release: Release) -> None:
        """table.Clear."""
        most, groups = most_entries(self.capacity), self.groups
        if release.clear_passes_over_unused and not self.used and self.growth_left == most:
            return
        few = self.used * DENSE <= groups.count - 1 or self.type.slot_size > LARGE_SLOT
        by_group = few if release.clear_zeroes_well_used else release.clear_passes_over_unused
        for group in range(groups.count):
            groups.empty_group(group, zeroed=not by_group or groups.has_entry(group))
        self.used, self.growth_left = 0, most

    def clone(self) -> Table:
        """table.clone."""
        twin = Table(self.type, self.capacity, self.local_depth, self.index, self.used)
        twin.growth_left, twin.groups = self.growth_left, self.groups.copy()
        return twin
