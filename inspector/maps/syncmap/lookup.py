"""One key of a sync.Map looked up as Load does it, reading only what it would read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.syncmap import CHILDREN, CHILDREN_BITS, LEVELS, trie_entry, trie_indirect
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.gotypes.literal import Literal
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Reach
from inspector.gotypes.syncmaps import map_beneath
from inspector.gotypes.values import GoPointer, GoValue
from inspector.hashing.hasher import Hasher
from inspector.maps.families import family_of
from inspector.maps.family import WORD, Lookup, Source, Step
from inspector.maps.syncmap.contents import ANY_SIZE, path_of
from inspector.maps.syncmap.header import SyncHeader, read_header
from inspector.maps.syncmap.pair import read_map_of
from inspector.maps.syncmap.places import Where
from inspector.memory.counting import CountingMemory
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Rows

CHILD = "child"
MOST_CHAINED = 1 << 10
"""Entries of one list of equal hashes that are compared."""

NOBODY = "-"


def look_up(source: Source, address: int, go_type: GoType, key: Literal) -> Lookup:
    """See Reader.look_up: HashTrieMap.Load; for two maps a lookup in read, and one in dirty if read is amended."""
    reader = CountingMemory(source.memory)
    source = replace(source, memory=reader)
    if not address:
        return _unfound("the sync.Map is nil", reader)
    header = read_header(reader, address, source.release)
    beneath = map_beneath(source.types)
    if header.blank or beneath is None:
        return _unfound("the sync.Map was never used", reader)
    if header.is_trie:
        return _Trie(source, reader, go_type, beneath, key).find(header)
    return _in_two_maps(source, reader, go_type, beneath, header, key)


def _unfound(ended: str, reader: CountingMemory) -> Lookup:
    return Lookup(None, None, "", (), None, CHILD, None, ended, reader.count)


class _Trie:
    """Walks down the path that the hash of a key selects."""

    def __init__(
        self, source: Source, reader: CountingMemory, go_type: GoType, beneath: GoType, literal: Literal
    ) -> None:
        self.source, self.reader, self.beneath, self.literal = source, reader, beneath, literal
        self.any_type = source.types.key(go_type)
        self.frozen = FrozenMemory()
        self.frozen.blocks += literal.memory.blocks
        self.wanted = np.frombuffer(literal.data, np.uint8).reshape(1, -1)
        self.steps: list[Step] = []

    def find(self, header: SyncHeader) -> Lookup:
        """Look the key up; raises UnreadableMemory."""
        functions = self.source.functions
        assert functions is not None
        done = Hasher(self.source.types, self.frozen, functions).map_keys(self.beneath, self.wanted, header.seed)
        if not done.known[0]:
            return _unfound("a key that does not equal itself (NaN) is never found", self.reader)
        hashed, node = int(done.hashes[0]), header.words["root"]
        declared = dtype_of(trie_indirect)
        for depth in range(LEVELS):
            child = hashed >> CHILDREN_BITS * (LEVELS - 1 - depth) & (CHILDREN - 1)
            row = np.frombuffer(self.reader.read(node, declared.itemsize), declared)[0]
            below = int(row["children"][child])
            is_entry = bool(below) and self.reader.read(below, 1)[0] == 1
            held = "entry" if is_entry else "node" if below else "nil"
            prefix = hashed >> CHILDREN_BITS * (LEVELS - depth) if depth else 0
            self._step(Where("trie", path_of(prefix, depth), 0, node), child, held)
            if not below:
                return self._answer(hashed, "absent: the hash leads to no entry")
            if is_entry:
                return self._compare(hashed, child, below)
            node = below
        return self._answer(hashed, "absent: all bits of the hash are used up")

    def _step(self, place: Where, child: int, held: str) -> None:
        words = tuple(held if number == child else NOBODY for number in range(CHILDREN))
        form = {**place.form(), "address": f"{place.address:#x}", "child": child, "holds": held}
        compared = (child,) if held == "entry" else ()
        self.steps.append(Step(place, tuple(range(CHILDREN)), words, compared, form))

    def _compare(self, hashed: int, child: int, entry: int) -> Lookup:
        declared = dtype_of(trie_entry)
        assert declared.fields is not None
        key_at, value_at = declared.fields["key"][1], declared.fields["value"][1]
        for _ in range(MOST_CHAINED):
            if not entry:
                break
            raw = np.frombuffer(self.reader.read(entry, declared.itemsize), np.uint8)
            if self._equal(raw[key_at : key_at + ANY_SIZE].reshape(1, -1)):
                value = raw[value_at : value_at + ANY_SIZE].reshape(1, -1)
                return self._answer(hashed, "found", child, _decoded(self.source, self.any_type, value))
            entry = int(raw.view(declared)[0]["overflow"])
        return self._answer(hashed, "absent: the entry that the hash leads to has another key")

    def _equal(self, row: Rows) -> bool:
        reach = Reach(self.source.types, self.reader, self.source.regions, self.frozen)
        reach.copy(self.any_type, row, KEY_LIMITS)
        both = np.concatenate((row, self.wanted))
        first, second = identify(self.source.types, self.frozen, self.any_type, both).tolist()
        return bool(first == second != UNEQUAL)

    def _answer(self, hashed: int, ended: str, found: int | None = None, value: GoValue = None) -> Lookup:
        return Lookup(hashed, None, "", tuple(self.steps), found, CHILD, value, ended, self.reader.count)


def _decoded(source: Source, any_type: GoType, row: Rows) -> GoValue:
    frozen = FrozenMemory()
    Reach(source.types, source.memory, source.regions, frozen).copy(any_type, row, VALUE_LIMITS)
    return Decoder(source.types, frozen).value(any_type, row[0].tobytes())


def _in_two_maps(
    source: Source, reader: CountingMemory, go_type: GoType, beneath: GoType, header: SyncHeader, key: Literal
) -> Lookup:
    """Load of before Go 1.24: the read map, then the dirty one."""
    family = family_of(source.release)
    read, amended = read_map_of(source, header)
    dirty = header.words["dirty"]
    steps: tuple[Step, ...] = ()
    answer = _unfound("absent: the read map is nil, and not amended", reader)
    for address in (read, dirty) if amended else (read,):
        answer = family.look_up(source, address, beneath, key)
        steps += answer.steps
        if answer.found is not None:
            break
    answer = replace(answer, steps=steps, inserting="")
    if answer.found is None:
        return replace(answer, bytes_read=reader.count)
    deleted = replace(answer, found=None, value=None, ended="absent: the entry was deleted")
    if not isinstance(answer.value, GoPointer) or not answer.value.address:
        return replace(deleted, bytes_read=reader.count)
    place = int.from_bytes(source.memory.read(answer.value.address, WORD), "little")
    if not place:
        return replace(deleted, bytes_read=reader.count)
    row = np.frombuffer(source.memory.read(place, ANY_SIZE), np.uint8).reshape(1, -1)
    # A deleted entry that dirty lacks leads to one interface for all (expunged), and a nil that was stored to its own.
    if not row.any() and amended and dirty and family.look_up(source, dirty, beneath, key).found is None:
        return replace(deleted, bytes_read=reader.count)
    value = _decoded(source, source.types.key(go_type), row)
    return replace(answer, value=value, bytes_read=reader.count)
