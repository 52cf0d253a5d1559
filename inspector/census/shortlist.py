"""Which map types a candidate can have, for thousands of candidates at once.

A few keys of each candidate are hashed as keys of each type would be, all candidates together: of hundreds of types one
or two are left, and words that only look like a header are left with none.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.census.scan import Headers
from inspector.goruntime import scalars
from inspector.goruntime.bmap import bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import SAME_SIZE_GROW
from inspector.goruntime.releases import TophashMarks
from inspector.gotypes.gotype import GoType, Kind, MapLayout
from inspector.gotypes.names import SHAPE
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.gotypes.table import TypeTable
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.classic.mirror.growth import allocated_buckets, roundup_size
from inspector.maps.classic.snapshot import LARGEST_B
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Memory, RegionMap, Rows

WORD = 8
TOGETHER = 1 << 12
"""Candidates that are looked at together: their buckets fill some megabytes."""

BUCKETS = 4
"""Buckets of each array of a candidate that are looked at."""

CELLS = 3
"""Keys of a candidate that are hashed."""

LONGEST_STRING = 1 << 16
"""Bytes of a key's string; what says it is longer is not hashed here, and not refused either."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Sample:
    """Live cells of many candidates: whose they are, tophash, bucket number, buckets of the array, key slots.

    `possible` says of each candidate whether its buckets can have the layout at all.
    """

    owner: NDArray[np.int64]
    tophash: NDArray[np.uint8]
    home: NDArray[np.int64]
    buckets: NDArray[np.int64]
    keys: Rows
    possible: Mask


class Shortlist:
    """Finds types for candidates by their keys' hashes."""

    def __init__(self, types: TypeTable, memory: Memory, regions: RegionMap, functions: MemoryHash) -> None:
        self.types, self.memory, self.regions, self.functions = types, memory, regions, functions
        self.marks: TophashMarks = types.release.marks
        self.sizes: dict[MapLayout, NDArray[np.uint64]] = {}
        self.groups: dict[MapLayout, dict[int, list[GoType]]] = defaultdict(lambda: defaultdict(list))
        for map_type in types.map_types:
            if map_type.layout is not None and SHAPE not in map_type.name:
                self.groups[map_type.layout][map_type.key_address].append(map_type)

    def of(self, headers: Headers, room: NDArray[np.uint64]) -> list[list[GoType]]:
        """The types that each candidate may have: those whose keys hash to the places where they lie.

        `room` is how many bytes the object that holds its buckets has for them, 0 where that is not known.
        """
        found: list[list[GoType]] = [[] for _ in range(len(headers))]
        for first in range(0, len(headers), TOGETHER):
            some = np.arange(first, min(first + TOGETHER, len(headers)))
            rows = headers.rows[some]
            for layout, keys in self.groups.items():
                right_size = (room[some] == 0) | (room[some] == self._sizes(layout)[np.minimum(rows["B"], LARGEST_B)])
                if not right_size.any():
                    continue
                sample = self._sample(rows, layout, right_size)
                for alike in keys.values():
                    for at in np.flatnonzero(self._fit(alike[0], sample, rows)).tolist():
                        found[first + at] += alike
        return found

    def _fit(self, map_type: GoType, sample: _Sample, rows: NDArray[np.void]) -> Mask:
        """For each candidate whether its sampled keys lie where keys of this type would."""
        fit = sample.possible.copy()
        if not len(sample.owner) or not fit.any():
            return fit
        key = self.types.key(map_type)
        assert map_type.layout is not None
        slots, possible = sample.keys, np.ones(len(sample.owner), dtype=bool)
        frozen = FrozenMemory()
        reach = Reach(self.types, self.memory, self.regions, frozen)
        if map_type.layout.indirect_key:
            words = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
            values, possible = gather(self.memory, self.regions, words, key.size)
            frozen.add_rows(words[possible], values[possible])
        else:
            values = slots
        possible &= self._can_be(key, values, 0)
        fit[sample.owner[~possible]] = False
        left = possible & fit[sample.owner]
        reach.copy(key, values[left], KEY_LIMITS)
        hashed = Hasher(self.types, frozen, self.functions).map_keys(
            map_type, slots[left], rows["hash0"][sample.owner[left]]
        )
        top = (hashed.hashes >> np.uint64(56)).astype(np.uint8)
        top = np.where(top < self.marks.min_tophash, top + self.marks.min_tophash, top)
        home = (hashed.hashes & (sample.buckets[left] - 1).astype(np.uint64)).astype(np.int64)
        wrong = hashed.known & ((top != sample.tophash[left]) | (home != sample.home[left]))
        fit[sample.owner[left][wrong]] = False
        return fit

    def _can_be(self, go_type: GoType, rows: Rows, depth: int) -> Mask:
        """Which rows can be values of a type, by their strings and interfaces: garbage must not be followed."""
        can = np.ones(len(rows), dtype=bool)
        if not go_type.has_pointers or depth > BUCKETS:
            return can
        if go_type.kind == Kind.STRING:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
            sizes = np.clip(headers["len"], 0, LONGEST_STRING).astype(np.uint64)
            return np.asarray((headers["len"] >= 0) & ((sizes == 0) | self.regions.contains(headers["data"], sizes)))
        if go_type.kind == Kind.INTERFACE:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
            return np.asarray((headers["tab"] == 0) | self.regions.contains(headers["tab"], WORD))
        if go_type.kind == Kind.STRUCT:
            for part in go_type.fields:
                inner = self.types.get(part.type_address)
                can &= self._can_be(inner, rows[:, part.offset : part.offset + inner.size], depth + 1)
        if go_type.kind == Kind.ARRAY and go_type.length:
            elem = self.types.elem(go_type)
            can &= self._can_be(elem, rows.reshape(-1, elem.size), depth + 1).reshape(len(rows), -1).all(axis=1)
        return can

    # The sample

    def _sizes(self, layout: MapLayout) -> NDArray[np.uint64]:
        """Bytes usable in the object that the allocator gives for an array of 2^B buckets, by B."""
        if layout not in self.sizes:
            release = self.types.release
            rows = (
                allocated_buckets(release, layout.bucket_size, layout.bucket_has_pointers, b)
                for b in range(LARGEST_B + 1)
            )
            noscan = not layout.bucket_has_pointers
            sizes = [roundup_size(release, count * layout.bucket_size, noscan) for count in rows]
            self.sizes[layout] = np.array(sizes, np.uint64)
        return self.sizes[layout]

    def _sample(self, rows: NDArray[np.void], layout: MapLayout, right_size: Mask) -> _Sample:
        b = rows["B"].astype(np.int64)
        old_b = np.where(rows["flags"] & SAME_SIZE_GROW != 0, b, np.maximum(b - 1, 0))
        possible = right_size & self._covered(rows["buckets"], b, layout)
        possible &= (rows["oldbuckets"] == 0) | self._covered(rows["oldbuckets"], old_b, layout)
        parts = [
            self._cells(rows["buckets"], b, layout, possible),
            self._cells(rows["oldbuckets"], old_b, layout, possible & (rows["oldbuckets"] != 0)),
        ]
        owner, tophash, home, buckets, keys = (np.concatenate([part[i] for part in parts]) for i in range(5))
        # The first few of each candidate.
        order = np.argsort(owner, kind="stable")
        rank = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
        chosen = order[rank < CELLS]
        return _Sample(owner[chosen], tophash[chosen], home[chosen], buckets[chosen], keys[chosen], possible)

    def _covered(self, starts: NDArray[np.uint64], b: NDArray[np.int64], layout: MapLayout) -> Mask:
        return self.regions.contains(starts, np.left_shift(np.uint64(layout.bucket_size), b.astype(np.uint64)))

    def _cells(
        self, starts: NDArray[np.uint64], b: NDArray[np.int64], layout: MapLayout, possible: Mask
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], Rows]:
        """Live cells of the first buckets of each array: owner, tophash, bucket, buckets of the array, key slot."""
        sizes = np.left_shift(1, b)
        owner = np.repeat(np.flatnonzero(possible), BUCKETS)
        home = np.tile(np.arange(BUCKETS), int(possible.sum()))
        there = home < sizes[owner]
        owner, home = owner[there], home[there]
        places = starts[owner] + home.astype(np.uint64) * np.uint64(layout.bucket_size)
        raw, ok = gather(self.memory, self.regions, places, layout.bucket_size)
        raw, owner, home = raw[ok], owner[ok], home[ok]
        buckets = raw.view(dtype_of(bmap(layout.key_slot, layout.elem_slot)))[:, 0]
        overflow = buckets["overflow"]
        good = (overflow == 0) | (overflow % np.uint64(8) == 0) & self.regions.contains(overflow, layout.bucket_size)
        possible[owner[~good]] = False
        row, cell = np.nonzero((buckets["tophash"] >= self.marks.min_tophash) & good[:, None])
        return owner[row], buckets["tophash"][row, cell], home[row], sizes[owner[row]], buckets["keys"][row, cell]
