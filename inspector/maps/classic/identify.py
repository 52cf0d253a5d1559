"""The type of a map of which only the address is known.

Of all map types in the executable only the right key layout reproduces the tophash bytes and the bucket
numbers. Types whose keys hash alike are told apart by what their bytes can be, or named as alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.bmap import OVERFLOW_SIZE, bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.mapextra import mapextra
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.gotypes.names import SHAPE
from inspector.gotypes.plausible import Plausibility
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.gotypes.table import TypeTable
from inspector.hashing.hasher import Hasher
from inspector.hashing.keys import HashKeys
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.growth import PREALLOCATED_FROM_B, allocated_buckets
from inspector.maps.classic.snapshot import LARGEST_B
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Memory, RegionMap, Rows

FIRST = 6
"""Keys that are hashed before all others."""

SAMPLE = 256
"""Buckets of each array that are looked at, spread over it."""


@dataclass(frozen=True)
class Identity:
    """Types that a map may have, the likeliest first, and how many keys prove their key's hash.

    `proven` is 0 when nothing could be proven: an empty map, NaN keys only, or unknown hash keys.
    """

    candidates: tuple[GoType, ...]
    proven: int


@dataclass(frozen=True)
class _Cells:
    """Live cells of a sample: tophash, bucket number, buckets of the array, key and element slots."""

    tophash: NDArray[np.uint8]
    home: NDArray[np.int64]
    buckets: NDArray[np.int64]
    keys: Rows
    elems: Rows


def identify(
    memory: Memory,
    regions: RegionMap,
    header: Hmap,
    types: TypeTable,
    hash_keys: HashKeys | None,
    among: Sequence[GoType] | None = None,
) -> Identity:
    """Find the map types that fit an hmap, of all or `among` some; nothing raises for bad memory.

    Call it while the target is held.
    """
    finder = _Finder(memory, regions, header, types, hash_keys)
    return finder.identify(types.map_types if among is None else among)


class _Finder:
    def __init__(
        self, memory: Memory, regions: RegionMap, header: Hmap, types: TypeTable, hash_keys: HashKeys | None
    ) -> None:
        self.memory, self.regions, self.header, self.types = memory, regions, header, types
        self.functions = hash_keys.functions(types.release) if hash_keys else None
        self.marks = types.release.marks
        self.samples: dict[MapLayout, _Cells | None] = {}
        self.hashed: dict[tuple[MapLayout, int], int | None] = {}

    def identify(self, among: Sequence[GoType]) -> Identity:
        ranked = []
        for map_type in among:
            assert map_type.layout is not None
            if SHAPE in map_type.name:
                continue
            cells = self._sample(map_type.layout)
            proven = None if cells is None else self._proven(map_type, cells)
            if cells is None or proven is None:
                continue
            specific = self._specific(map_type, cells)
            if specific is not None:
                ranked.append((proven, specific, map_type))
        if not ranked:
            return Identity((), 0)
        best = max(proven for proven, _, _ in ranked)
        fit = [(specific, map_type) for proven, specific, map_type in ranked if proven == best]
        fit.sort(key=lambda pair: (-pair[0], pair[1].name))
        return Identity(tuple(map_type for _, map_type in fit), best)

    # The sample

    def _sample(self, layout: MapLayout) -> _Cells | None:
        """Live cells under a layout; None when the memory cannot be buckets of that layout."""
        if layout not in self.samples:
            self.samples[layout] = self._take(layout)
        return self.samples[layout]

    def _take(self, layout: MapLayout) -> _Cells | None:
        parts = []
        for address, b in ((self.header.buckets, self.header.B), (self.header.oldbuckets, self.header.old_b)):
            if not address:
                continue
            cells = self._array(layout, address, b)
            if cells is None:
                return None
            parts.append(cells)
        if not parts:
            empty = np.empty(0, np.int64)
            no_rows = np.empty((0, 0), np.uint8)
            return _Cells(np.empty(0, np.uint8), empty, empty, no_rows, no_rows)
        return _Cells(*(np.concatenate([getattr(p, name) for p in parts]) for name in _Cells.__dataclass_fields__))

    def _array(self, layout: MapLayout, address: int, b: int) -> _Cells | None:
        if not 0 <= b <= LARGEST_B or address % 8:
            return None
        size, stride = 1 << b, layout.bucket_size
        if not self.regions.covers(address, size * stride):
            return None
        numbers = np.unique(np.linspace(0, size - 1, min(size, SAMPLE)).astype(np.int64))
        places = np.uint64(address) + numbers.astype(np.uint64) * np.uint64(stride)
        try:
            raw = self.memory.read_many(places, stride)
        except UnreadableMemory:
            return None
        rows = np.ascontiguousarray(raw).reshape(-1).view(dtype_of(bmap(layout.key_slot, layout.elem_slot)))
        if address == self.header.buckets and not self._tail_fits(layout):
            return None
        pointers = rows["overflow"][rows["overflow"] != 0]
        if (pointers % np.uint64(8)).any() or not self.regions.contains(pointers, stride).all():
            return None
        live = rows["tophash"] >= self.marks.min_tophash
        at, _ = np.nonzero(live)
        return _Cells(
            rows["tophash"][live], numbers[at], np.full(len(at), size), rows["keys"][live], rows["elems"][live]
        )

    def _tail_fits(self, layout: MapLayout) -> bool:
        """Whether the preallocated overflow buckets end where makeBucketArray puts its sentinel."""
        header = self.header
        if header.B < PREALLOCATED_FROM_B or not header.extra:
            return header.B < PREALLOCATED_FROM_B and not (header.extra and layout.bucket_has_pointers)
        rows = allocated_buckets(self.types.release, layout.bucket_size, layout.bucket_has_pointers, header.B)
        end = header.buckets + rows * layout.bucket_size
        try:
            next_overflow = mapextra.parse(self.memory.read(header.extra, mapextra.sizeof())).nextOverflow
            sentinel = int.from_bytes(self.memory.read(end - OVERFLOW_SIZE, OVERFLOW_SIZE), "little")
        except UnreadableMemory:
            return False
        if not next_overflow:
            return True  # all are in use, and with them the one that held the sentinel
        start = header.buckets + (layout.bucket_size << header.B)
        askew = (next_overflow - header.buckets) % layout.bucket_size
        return start <= next_overflow < end and not askew and sentinel == header.buckets

    # The proof

    def _proven(self, map_type: GoType, cells: _Cells) -> int | None:
        """How many keys of the sample hash to their places; None when one of them does not."""
        assert map_type.layout is not None
        known = (map_type.layout, map_type.key_address)
        if known not in self.hashed:
            self.hashed[known] = self._prove(map_type, cells) if self.functions and len(cells.home) else 0
        return self.hashed[known]

    def _prove(self, map_type: GoType, cells: _Cells) -> int | None:
        few = _Cells(*(getattr(cells, name)[:FIRST] for name in _Cells.__dataclass_fields__))
        # Most types are wrong and fail at once: only the others are worth all cells.
        judge = Plausibility(self.types, self.memory, self.regions)
        if not self._keys_hold(judge, map_type, few) or self._matched(map_type, few) is None:
            return None
        return self._matched(map_type, cells)

    def _matched(self, map_type: GoType, cells: _Cells) -> int | None:
        assert self.functions is not None
        assert map_type.layout is not None
        key, frozen = self.types.key(map_type), FrozenMemory()
        reach = Reach(self.types, self.memory, self.regions, frozen)
        keys = reach.behind(cells.keys, key.size) if map_type.layout.indirect_key else cells.keys
        reach.copy(key, keys, KEY_LIMITS)
        done = Hasher(self.types, frozen, self.functions).map_keys(map_type, cells.keys, self.header.hash0)
        top = (done.hashes >> np.uint64(56)).astype(np.uint8)
        top = np.where(top < self.marks.min_tophash, top + self.marks.min_tophash, top)
        bucket = (done.hashes & (cells.buckets - 1).astype(np.uint64)).astype(np.int64)
        right = (top == cells.tophash) & (bucket == cells.home)
        return int(np.count_nonzero(done.known)) if right[done.known].all() else None

    def _specific(self, map_type: GoType, cells: _Cells) -> int | None:
        """How much the keys and elements had to satisfy to be of this type; None when they do not."""
        assert map_type.layout is not None
        judge = Plausibility(self.types, self.memory, self.regions)
        elem, indirect = self.types.elem(map_type), map_type.layout.indirect_elem
        if self._keys_hold(judge, map_type, cells) and self._hold(judge, elem, cells.elems, indirect):
            return judge.specific
        return None

    def _keys_hold(self, judge: Plausibility, map_type: GoType, cells: _Cells) -> bool:
        assert map_type.layout is not None
        return self._hold(judge, self.types.key(map_type), cells.keys, map_type.layout.indirect_key)

    def _hold(self, judge: Plausibility, part: GoType, slots: Rows, indirect: bool) -> bool:
        if not indirect or not len(slots):
            return judge.holds(part, slots)
        words = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
        rows, ok = gather(self.memory, self.regions, words, part.size)
        return bool(ok.all()) and judge.holds(part, rows)
