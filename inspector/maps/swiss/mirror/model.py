"""A whole Swiss map as internal/runtime/maps keeps it: every operation, entry by entry, without memory or addresses.

What differs between the assign functions (runtime_fast32.go, runtime_fast64.go, runtime_faststr.go, runtime.go) follows
from MapType.function; what differs between releases, from releases.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import EMPTY, GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY, STALE_INDEX
from inspector.maps.swiss.mirror.assigning import prunes
from inspector.maps.swiss.mirror.growth import made_for
from inspector.maps.swiss.mirror.maptype import Chance, Elem, Key, MapType
from inspector.maps.swiss.mirror.slots import Slots
from inspector.maps.swiss.mirror.table import Table

HASH_BITS = 64

MAX_ALLOC = 1 << 48
"""maxAlloc on linux/amd64: a hint whose tables would not fit counts as none."""

ONE_GROUP = 0
"""The number of the only group of a small map."""


@dataclass
class MirrorMap:
    """internal/runtime/maps.Map, and what can be done to it. Field names are the runtime's.

    `group` is what dirPtr leads to in a small map, None as long as it has no memory. `directory` is empty in a small
    map; else it has one entry for each value of the top globalDepth bits of a hash. Several may be the same table.
    """

    type: MapType
    release: Release
    chance: Chance
    seed: int
    used: int = 0
    global_depth: int = 0
    global_shift: int = 0
    tombstone_possible: bool = False
    clear_seq: int = 0
    group: Slots | None = None
    directory: list[Table] = field(default_factory=list)

    # Making

    @staticmethod
    def make(map_type: MapType, release: Release, chance: Chance, hint: int = 0) -> MirrorMap:
        """runtime.makemap and NewMap."""
        made = MirrorMap(map_type, release, chance, chance.seed())
        wanted = made_for(max(hint, 0))
        if wanted.tables * MAX_TABLE_CAPACITY * map_type.group_size > MAX_ALLOC or not wanted.tables:
            return made
        made.global_depth = wanted.tables.bit_length() - 1
        made.global_shift = HASH_BITS - made.global_depth
        made.directory = [Table(map_type, wanted.capacity, made.global_depth, index) for index in range(wanted.tables)]
        return made

    # What the state means

    @property
    def small(self) -> bool:
        """Whether the map has no tables."""
        return not self.directory

    def tables(self) -> list[Table]:
        """All tables, each once, in the order of the directory."""
        directory = self.directory
        return [table for i, table in enumerate(directory) if not i or table is not directory[i - 1]]

    def hash(self, key: Key, elem: Elem) -> int:
        """typ.Hasher: the hash of a key under the present seed, or one of chance."""
        hash_value = self.type.hasher(key, self.seed)
        return self.chance.hash_of(key, elem) if hash_value is None else hash_value

    def table_of(self, hash_value: int) -> Table:
        """Map.directoryIndex and directoryAt."""
        return self.directory[hash_value >> self.global_shift if len(self.directory) > 1 else 0]

    def find(self, key: Key) -> tuple[Slots, int] | None:
        """Map.getWithKey: where a key lies, if it is there."""
        hash_value = self.type.hasher(key, self.seed)
        if not self.used or hash_value is None:
            return None
        if self.small:
            assert self.group is not None
            groups, slot = self.group, self.group.find(ONE_GROUP, hash_value, key, self.type.equal)
        else:
            table = self.table_of(hash_value)
            groups, slot = table.groups, table.find(hash_value, key)
        return None if slot is None else (groups, slot)

    # The operations

    def assign(self, key: Key, elem: Elem, function: str | None = None) -> None:
        """An assign function (the type's, or the one that is named), and the store of the element that follows it."""
        hash_value = self.hash(key, elem)
        if self.small and self._assign_small(hash_value, key, elem):
            return
        prune = prunes(function or self.type.function, self.release)
        while True:
            added = self.table_of(hash_value).put_slot(hash_value, key, elem, self.seed, prune)
            if added is not None:
                self.used += added
                return
            self._rehash(self.table_of(hash_value))

    def delete(self, key: Key) -> None:
        """Map.Delete, which is all that the delete functions call."""
        if not self.used:
            return
        hash_value = self.hash(key, None)
        left = self._delete_small(hash_value, key) if self.small else self.table_of(hash_value).delete(hash_value, key)
        if left is None:
            return
        self.used -= 1
        if left != EMPTY and self.release.has_tombstone_possible:
            self.tombstone_possible = True
        if not self.used:
            self.seed = self.chance.seed()

    def clear(self) -> None:
        """Map.Clear: the builtin clear, and a loop that deletes every key, which the compiler turns into it."""
        if not self.used and not self.tombstone_possible:
            return
        if self.small:
            assert self.group is not None
            self.group.empty_group(ONE_GROUP, zeroed=True)
        for table in self.tables():
            table.clear(self.release)
        self.used, self.tombstone_possible = 0, False
        self.clear_seq += 1
        self.seed = self.chance.seed()

    # Maps without tables

    def _assign_small(self, hash_value: int, key: Key, elem: Elem) -> bool:
        """What an assign does to a map without tables; False: it has one now, and the assign begins anew."""
        if self.group is None:
            self.group = Slots(1)
        converts = self.used == GROUP_SLOTS and self.release.update_converts_full_group
        if not converts and self._put_slot_small(hash_value, key, elem):
            return True
        table = self._grow_to_table()
        if self.release.assigns_to_new_table:
            table.unchecked_put_slot(hash_value, key, elem)
            self.used += 1
        return self.release.assigns_to_new_table

    def _put_slot_small(self, hash_value: int, key: Key, elem: Elem) -> bool:
        """Map.putSlotSmall and its copies; False: the group has no room."""
        group = self.group
        assert group is not None
        slot = group.find(ONE_GROUP, hash_value, key, self.type.equal)
        if slot is not None:
            if self.type.need_key_update:
                group.keys[slot] = key
            group.elems[slot] = elem
            return True
        slot = group.first_free(ONE_GROUP)
        if slot is None:
            return False
        group.put(slot, hash_value, key, elem)
        self.used += 1
        return True

    def _delete_small(self, hash_value: int, key: Key) -> int | None:
        """Map.deleteSmall; returns what Table.delete does."""
        group = self.group
        assert group is not None
        slot = group.find(ONE_GROUP, hash_value, key, self.type.equal)
        if slot is None:
            return None
        group.ctrl[slot], group.keys[slot], group.elems[slot] = EMPTY, self.type.left_of(group.keys[slot]), None
        return EMPTY

    def _grow_to_table(self) -> Table:
        """Map.growToTable."""
        table, group = Table(self.type, SMALLEST_CAPACITY, 0, 0), self.group
        assert group is not None
        for slot in group.full():
            key, elem = group.keys[slot], group.elems[slot]
            table.unchecked_put_slot(self.hash(key, elem), key, elem)
        self.group, self.directory = None, [table]
        self.global_depth, self.global_shift = 0, HASH_BITS
        return table

    # Growing

    def _rehash(self, table: Table) -> None:
        """table.rehash."""
        if 2 * table.capacity <= MAX_TABLE_CAPACITY:
            self._grow(table, 2 * table.capacity)
        else:
            self._split(table)

    def _grow(self, table: Table, capacity: int) -> None:
        """table.grow."""
        grown = Table(self.type, capacity, table.local_depth, table.index)
        for slot in table.groups.full():
            key, elem = table.groups.keys[slot], table.groups.elems[slot]
            grown.unchecked_put_slot(self.hash(key, elem), key, elem)
        self._replace(grown)
        table.index = STALE_INDEX

    def _split(self, table: Table) -> None:
        """table.split: the next bit of a hash from the top on, a one or a zero, decides on the half."""
        depth = table.local_depth + 1
        left, right = (Table(self.type, MAX_TABLE_CAPACITY, depth, STALE_INDEX) for _ in range(2))
        bit = 1 << HASH_BITS - depth
        for slot in table.groups.full():
            key, elem = table.groups.keys[slot], table.groups.elems[slot]
            hash_value = self.hash(key, elem)
            (right if hash_value & bit else left).unchecked_put_slot(hash_value, key, elem)
        self._install_split(table, left, right)
        table.index = STALE_INDEX

    def _install_split(self, old: Table, left: Table, right: Table) -> None:
        """Map.installTableSplit."""
        if old.local_depth == self.global_depth:
            self._double_directory()
        left.index = old.index
        self._replace(left)
        right.index = left.index + (1 << self.global_depth - left.local_depth)
        self._replace(right)

    def _double_directory(self) -> None:
        """The first half of Map.installTableSplit."""
        for table in self.tables():
            table.index *= 2
        self.directory = [table for table in self.directory for _ in range(2)]
        self.global_depth += 1
        self.global_shift -= 1

    def _replace(self, table: Table) -> None:
        """Map.replaceTable: let all directory entries of a table's block lead to it."""
        entries = 1 << self.global_depth - table.local_depth
        self.directory[table.index : table.index + entries] = [table] * entries
