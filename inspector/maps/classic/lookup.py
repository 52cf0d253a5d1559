"""One key looked up as the runtime does it (mapaccess2), reading only what the runtime would read."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from inspector.errors import Hint, UnreadableMemory, UsageError
from inspector.goruntime.bmap import TOPHASH_SIZE, bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS, TophashMarks
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.gotypes.literal import Literal
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Reach
from inspector.gotypes.values import GoValue
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.classic.header import Hmap, read_header
from inspector.maps.classic.layout import layout_of
from inspector.maps.classic.mirror.bmap import tophash
from inspector.maps.classic.mirror.growth import LARGEST_B
from inspector.maps.classic.places import Array, Bucket
from inspector.maps.family import Lookup, Source, Step
from inspector.memory.counting import CountingMemory
from inspector.memory.frozen import FrozenMemory

LONGEST_WALK = 1 << 16
"""Buckets of one chain that are walked at most: hostile memory may be one endless chain."""


MARKS = TophashMarks()
WORDS = {
    MARKS.empty_rest: "rest",
    MARKS.empty_one: "one",
    MARKS.evacuated_x: "X",
    MARKS.evacuated_y: "Y",
    MARKS.evacuated_empty: "evac",
}
"""Names of the tophashes that are not part of a hash."""


def look_up(source: Source, address: int, go_type: GoType, key: Literal) -> Lookup:
    """See Family.look_up: mapaccess2, evacuated buckets of a growing map included."""
    functions = source.functions
    assert functions is not None
    return _Walk(source, go_type, functions).find(address, key)


class _Walk:
    """Walks the chain of one key."""

    def __init__(self, source: Source, map_type: GoType, functions: MemoryHash) -> None:
        self.memory, self.regions = CountingMemory(source.memory), source.regions
        self.type, self.types, self.functions = map_type, source.types, functions
        self.layout = layout_of(map_type)
        self.release, self.marks = source.release, source.release.marks
        self.frozen = FrozenMemory()

    def find(self, address: int, literal: Literal) -> Lookup:
        """Look a key up in the hmap at an address (0 for nil); raises UnreadableMemory, UsageError."""
        if not address:
            return self._ended(None, (), "the map is nil")
        header = read_header(self.memory, address, self.release)
        if not header.count:
            return self._ended(None, (), "the map is empty")
        if header.B > LARGEST_B:
            raise UsageError(
                f"B {header.B} is impossible", Hint("the header is damaged: inspect the map without {key}")
            )
        self.frozen.blocks += literal.memory.blocks
        hashed = self._hash(literal, header.hash0)
        if hashed is None:
            return self._ended(None, (), "a key that does not equal itself (NaN) is never found")
        array, bucket, base = self._start(header, hashed)
        return self._walk(literal, hashed, array, bucket, base)

    def _hash(self, literal: Literal, hash0: int) -> int | None:
        slot = np.frombuffer(literal.data, np.uint8).reshape(1, -1)
        if self.layout.indirect_key:
            self.frozen.add(LITERAL_AT, literal.data)
            slot = np.frombuffer(struct.pack("<Q", LITERAL_AT), np.uint8).reshape(1, -1)
        done = Hasher(self.types, self.frozen, self.functions).map_keys(self.type, slot, hash0)
        return int(done.hashes[0]) if done.known[0] else None

    def _start(self, header: Hmap, hashed: int) -> tuple[Array, int, int]:
        """The bucket that the hash chooses: of the old array where that one is not evacuated yet."""
        if header.oldbuckets:
            shift = 0 if header.has(SAME_SIZE_GROW) else 1
            bucket = hashed & ((1 << header.B >> shift) - 1)
            base = header.oldbuckets + bucket * self.layout.bucket_size
            head = self.memory.read(base, 1)[0]
            if not self.marks.evacuated_x <= head <= self.marks.evacuated_empty:
                return "old", bucket, base
        bucket = hashed & ((1 << header.B) - 1)
        return "new", bucket, header.buckets + bucket * self.layout.bucket_size

    def _walk(self, literal: Literal, hashed: int, array: Array, bucket: int, base: int) -> Lookup:
        top = tophash(hashed)
        steps: list[Step] = []
        dtype = dtype_of(bmap(self.layout.key_slot, self.layout.elem_slot))
        while base and len(steps) < LONGEST_WALK:
            cells = np.frombuffer(self.memory.read(base, dtype.itemsize), dtype)[0]
            tops = cells["tophash"].tolist()
            end = tops.index(self.marks.empty_rest) if self.marks.empty_rest in tops else len(tops)
            compared = []
            for cell in (cell for cell in range(end) if tops[cell] == top):
                compared.append(cell)
                if self._equal(literal, cells["keys"][cell].tobytes()):
                    steps.append(_step(Bucket(array, bucket, len(steps), base), tops, compared))
                    found = self._found(hashed, top, steps, cell, cells["elems"][cell].tobytes())
                    slots = cells["keys"][cell].tobytes(), cells["elems"][cell].tobytes()
                    return self._with_places(found, base, cell, *slots)
            steps.append(_step(Bucket(array, bucket, len(steps), base), tops, compared))
            if end < len(tops):
                return self._ended(hashed, steps, f"absent: cell {end} is emptyRest, nothing comes behind it", top)
            base = int(cells["overflow"])
        return self._ended(hashed, steps, "absent: the chain ends here", top)

    def _equal(self, literal: Literal, slot: bytes) -> bool:
        key = self.types.key(self.type)
        row = np.frombuffer(slot, np.uint8).reshape(1, -1)
        reach = Reach(self.types, self.memory, self.regions, self.frozen)
        if self.layout.indirect_key:
            row = reach.behind(row, key.size)
            if not len(row):
                return False
        reach.copy(key, row, KEY_LIMITS)
        wanted = np.frombuffer(literal.data, np.uint8).reshape(1, -1)
        first, second = identify(self.types, self.frozen, key, np.concatenate((row, wanted))).tolist()
        return bool(first == second != UNEQUAL)

    def _found(self, hashed: int, top: int, steps: list[Step], cell: int, slot: bytes) -> Lookup:
        elem = self.types.elem(self.type)
        reach = Reach(self.types, self.memory, self.regions, self.frozen)
        row = np.frombuffer(slot, np.uint8).reshape(1, -1)
        if self.layout.indirect_elem:
            row = reach.behind(row, elem.size)
            if not len(row):
                raise UnreadableMemory(int.from_bytes(slot, "little"), elem.size, "the element is not mapped")
        reach.copy(elem, row, VALUE_LIMITS)
        value = Decoder(self.types, self.frozen).value(elem, row[0].tobytes())
        return self._answer(hashed, top, steps, cell, value, "found")

    def _with_places(self, found: Lookup, base: int, cell: int, key: bytes, elem: bytes) -> Lookup:
        """The answer with where key and element lie: in the cell, or where it leads to."""
        keys_at = base + TOPHASH_SIZE
        key_at = keys_at + cell * self.layout.key_slot
        elem_at = keys_at + BUCKET_CELLS * self.layout.key_slot + cell * self.layout.elem_slot
        return replace(
            found,
            key_address=int.from_bytes(key, "little") if self.layout.indirect_key else key_at,
            elem_address=int.from_bytes(elem, "little") if self.layout.indirect_elem else elem_at,
        )

    def _ended(
        self, hashed: int | None, steps: list[Step] | tuple[Step, ...], why: str, top: int | None = None
    ) -> Lookup:
        return self._answer(hashed, top, steps, None, None, why)

    def _answer(
        self,
        hashed: int | None,
        top: int | None,
        steps: list[Step] | tuple[Step, ...],
        cell: int | None,
        value: GoValue,
        ended: str,
    ) -> Lookup:
        return Lookup(hashed, top, "tophash", tuple(steps), cell, "cell", value, ended, self.memory.count)


def _step(place: Bucket, tops: list[int], compared: list[int]) -> Step:
    form = {**place.form(), "address": f"{place.address:#x}", "tophash": tops, "compared": compared}
    return Step(place, tuple(tops), tuple(WORDS.get(top, str(top)) for top in tops), tuple(compared), form)


LITERAL_AT = 1 << 61
"""The made-up address of a key that the map stores by reference."""
