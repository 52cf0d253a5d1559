"""One key looked up as the runtime does it (getWithKey, getWithKeySmall), reading only what the runtime would read."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from inspector.errors import Hint, UnreadableMemory, UsageError
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissgroup import CTRL_SIZE, DELETED, EMPTY, GROUP_SLOTS, H2_BITS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, swisstable
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.gotypes.literal import Literal
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Reach
from inspector.gotypes.values import GoValue
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.family import Lookup, Source, Step
from inspector.maps.swiss.assign import assign_function
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS, SwissMap, read_header
from inspector.maps.swiss.layout import groups_for, layout_of
from inspector.maps.swiss.mirror.assigning import prunes
from inspector.maps.swiss.mirror.growth import most_entries, will_prune
from inspector.maps.swiss.places import Where
from inspector.memory.counting import CountingMemory
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Rows

FINGERPRINT = "h2"
SLOT = "slot"
WORDS = {EMPTY: "empty", DELETED: "deleted"}
"""Names of the control bytes that are not an H2."""


def look_up(source: Source, address: int, go_type: GoType, key: Literal) -> Lookup:
    """See Family.look_up: mapaccess2 of internal/runtime/maps, small maps and tables."""
    functions = source.functions
    assert functions is not None
    return _Walk(source, go_type, functions, key).find(address)


@dataclass(frozen=True)
class _Groups:
    """The groups that a key may be in: their first, how many there are, and whether all their slots may be taken.

    `table` is their table as a place, None in a small map; `grows` says what an insertion does that finds no room left
    (`room` is how many slots may still be taken).
    """

    start: int
    count: int
    table: int | None
    room: int
    grows: str

    def path(self, hashed: int) -> list[int]:
        """Numbers of groups in the order in which they are visited (probeSeq); each of them once."""
        mask, at, visited = self.count - 1, hashed >> H2_BITS & (self.count - 1), []
        for step in range(1, self.count + 1):
            visited.append(at)
            at = at + step & mask
        return visited


class _Walk:
    """Walks the probe sequence of one key."""

    def __init__(self, source: Source, map_type: GoType, functions: MemoryHash, literal: Literal) -> None:
        self.memory, self.regions = CountingMemory(source.memory), source.regions
        self.type, self.types, self.functions = map_type, source.types, functions
        self.layout, self.release, self.literal = layout_of(map_type), source.release, literal
        self.frozen = FrozenMemory()
        self.steps: list[Step] = []
        self.hashed: int | None = None

    def find(self, address: int) -> Lookup:
        """Look the key up in the Map at an address (0 for nil); raises UnreadableMemory, UsageError."""
        if not address:
            return self._answer("the map is nil")
        header = read_header(self.memory, address, self.release)
        if not header.used:
            first = "" if header.dir_ptr else "Inserting it makes the first group."
            return self._answer("the map is empty", inserting=first)
        self.frozen.blocks += self.literal.memory.blocks
        self.hashed = self._hash(header.seed)
        if self.hashed is None:
            return self._answer("a key that does not equal itself (NaN) is never found")
        groups = self._groups(header, self.hashed)
        for number in groups.path(self.hashed):
            found = self._visit(groups, number, self.hashed & ((1 << H2_BITS) - 1))
            ctrl = self.steps[-1].marks
            if found is not None:
                answer = self._answer("found", found, self._value(groups, number, found))
                return self._with_places(answer, groups, number, found)
            if groups.table is None:
                return self._answer("absent: a small map has no other group", inserting=self._inserting(groups))
            if EMPTY in ctrl:
                ended = f"absent: slot {ctrl.index(EMPTY)} is empty, so no later group was ever tried"
                return self._answer(ended, inserting=self._inserting(groups))
        return self._answer("absent: every group of the table was visited")

    def _hash(self, seed: int) -> int | None:
        slot = np.frombuffer(self.literal.data, np.uint8).reshape(1, -1)
        if self.layout.indirect_key:
            self.frozen.add(LITERAL_AT, self.literal.data)
            slot = np.frombuffer(struct.pack("<Q", LITERAL_AT), np.uint8).reshape(1, -1)
        done = Hasher(self.types, self.frozen, self.functions).map_keys(self.type, slot, seed)
        return int(done.hashes[0]) if done.known[0] else None

    def _groups(self, header: SwissMap, hashed: int) -> _Groups:
        """The groups that the hash chooses: those of its table, which the directory names (directoryIndex)."""
        if header.small:
            return _Groups(header.dir_ptr, 1, None, GROUP_SLOTS - header.used, "makes a table of 16 slots")
        if not header.directory_sound:
            raise UsageError(
                f"dirLen {header.dir_len}, globalDepth {header.global_depth} and globalShift {header.global_shift} "
                "do not agree with each other",
                Hint("the header is damaged: inspect the map without {key}"),
            )
        index = hashed >> (WORD_BITS - header.global_depth) if header.global_depth else 0
        address = int.from_bytes(self.memory.read(header.dir_ptr + index * POINTER_SIZE, POINTER_SIZE), "little")
        dtype = dtype_of(swisstable)
        table = np.frombuffer(self.memory.read(address, dtype.itemsize), dtype)[0]
        count = int(table["lengthMask"]) + 1
        if count & (count - 1) or count > groups_for(MAX_TABLE_CAPACITY):
            raise UsageError(
                f"the table at {address:#x} says that it has {count} groups",
                Hint("it is damaged: inspect the map without {key}"),
            )
        room, place = int(table["growthLeft"]), int(table["index"])
        return _Groups(int(table["groups"]), count, place, room, self._growth(header, table))

    def _growth(self, header: SwissMap, table: np.void) -> str:
        """What an insertion does to a table without room (table.rehash, after pruneTombstones)."""
        capacity, number = int(table["capacity"]), int(table["index"])
        tombstones = most_entries(capacity) - int(table["used"]) - int(table["growthLeft"])
        grows = f"doubles table {number} to {2 * capacity:,} slots"
        if 2 * capacity > MAX_TABLE_CAPACITY:
            doubles = int(table["localDepth"]) == header.global_depth
            grows = f"splits table {number}" + (" and doubles the directory" if doubles else "")
        if not prunes(assign_function(self.types, self.type), self.release):
            return grows
        # How many of them can be freed only the whole table says, which a lookup does not read.
        return f"prunes tombstones or {grows}" if will_prune(capacity, tombstones, tombstones) else grows

    def _inserting(self, groups: _Groups) -> str:
        """What inserting the key would do, by the groups on its path: they are all that an insertion reads, too."""
        for step in self.steps:
            if DELETED in step.marks:
                where = f"slot {step.marks.index(DELETED)} of {step.place.words().partition(', at ')[0]}"
                return f"Inserting it takes {where}, a tombstone."
        if groups.room <= 0:
            return f"Inserting it {groups.grows}."
        last = self.steps[-1]
        if EMPTY not in last.marks:
            return ""
        return f"Inserting it takes slot {last.marks.index(EMPTY)} of {last.place.words().partition(', at ')[0]}."

    # One group

    def _visit(self, groups: _Groups, number: int, h2: int) -> int | None:
        """Compare the control bytes of a group, then the keys in slots that match; the slot that holds the key."""
        base = groups.start + number * self.layout.group_size
        ctrl = tuple(self.memory.read(base, CTRL_SIZE))
        compared: list[int] = []
        found = None
        for slot in (slot for slot in range(GROUP_SLOTS) if ctrl[slot] == h2):
            compared.append(slot)
            key_at = base + self.layout.keys_at + slot * self.layout.key_stride
            if self._equal(self._row(key_at, self.layout.key_slot)):
                found = slot
                break
        place = Where(groups.table, number, None, base)
        form = {**place.form(), "address": f"{base:#x}", "ctrl": list(ctrl), "compared": compared}
        del form["slot"]
        words = tuple(WORDS.get(mark, str(mark)) for mark in ctrl)
        self.steps.append(Step(place, ctrl, words, tuple(compared), form))
        return found

    def _row(self, address: int, size: int) -> Rows:
        return np.frombuffer(self.memory.read(address, size), np.uint8).reshape(1, -1)

    def _equal(self, row: Rows) -> bool:
        key = self.types.key(self.type)
        reach = Reach(self.types, self.memory, self.regions, self.frozen)
        if self.layout.indirect_key:
            row = reach.behind(row, key.size)
            if not len(row):
                return False
        reach.copy(key, row, KEY_LIMITS)
        wanted = np.frombuffer(self.literal.data, np.uint8).reshape(1, -1)
        first, second = identify(self.types, self.frozen, key, np.concatenate((row, wanted))).tolist()
        return bool(first == second != UNEQUAL)

    def _value(self, groups: _Groups, number: int, slot: int) -> GoValue:
        elem = self.types.elem(self.type)
        base = groups.start + number * self.layout.group_size
        row = self._row(base + self.layout.elems_at + slot * self.layout.elem_stride, self.layout.elem_slot)
        reach = Reach(self.types, self.memory, self.regions, self.frozen)
        if self.layout.indirect_elem:
            address = int.from_bytes(row.tobytes(), "little")
            row = reach.behind(row, elem.size)
            if not len(row):
                raise UnreadableMemory(address, elem.size, "the element is not mapped")
        reach.copy(elem, row, VALUE_LIMITS)
        return Decoder(self.types, self.frozen).value(elem, row[0].tobytes())

    def _with_places(self, answer: Lookup, groups: _Groups, number: int, slot: int) -> Lookup:
        """The answer with where key and element lie: in the slot, or where it leads to."""
        base, layout = groups.start + number * self.layout.group_size, self.layout
        key = base + layout.keys_at + slot * layout.key_stride
        elem = base + layout.elems_at + slot * layout.elem_stride
        return replace(
            answer,
            key_address=self._word(key) if layout.indirect_key else key,
            elem_address=self._word(elem) if layout.indirect_elem else elem,
        )

    def _word(self, address: int) -> int:
        return int.from_bytes(self._row(address, POINTER_SIZE).tobytes(), "little")

    def _answer(self, ended: str, found: int | None = None, value: GoValue = None, inserting: str = "") -> Lookup:
        h2 = None if self.hashed is None else self.hashed & ((1 << H2_BITS) - 1)
        return Lookup(
            self.hashed, h2, FINGERPRINT, tuple(self.steps), found, SLOT, value, ended, self.memory.count, inserting
        )


LITERAL_AT = 1 << 61
"""The made-up address of a key that the map stores by reference."""
