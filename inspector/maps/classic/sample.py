"""A few live cells of many maps at once: what identifies a map of which only the address is known."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.bmap import OVERFLOW_SIZE, bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import SAME_SIZE_GROW
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import roundup_size
from inspector.gotypes.layouts import ClassicLayout, Layout
from inspector.hashing.aes import Hashes
from inspector.maps.classic.layout import array_bytes, classic
from inspector.maps.classic.mirror.bmap import tophashes
from inspector.maps.classic.mirror.growth import LARGEST_B, PREALLOCATED_FROM_B
from inspector.maps.family import Arrays, Headers, Mask, Sample, Source
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

SEAT = np.dtype([("tophash", "u1"), ("home", "<i8"), ("buckets", "<i8")])
"""Where a cell is: its tophash, the number of its bucket, and how many buckets the array has."""

Numbers = NDArray[np.int64]


def arrays(source: Source, headers: Headers) -> Arrays:
    """See Family.arrays: the buckets that each header leads to; their scale is B."""
    owner = np.flatnonzero((headers.rows["buckets"] != 0) & (headers.rows["B"] <= LARGEST_B))
    return Arrays(owner, headers.rows["buckets"][owner], headers.rows["B"][owner].astype(np.int64))


def array_size(release: Release, layout: Layout, scale: int) -> int:
    """See Family.array_size: 2^scale buckets, and the overflow buckets behind them."""
    return roundup_size(release, array_bytes(classic(layout), release, scale), not layout.has_pointers)


def sample(
    source: Source, headers: Headers, layout: Layout, possible: Mask, most: int, lenient: bool = False
) -> Sample:
    """See Family.sample: cells of up to `most` buckets of each array, without their overflow buckets.

    A layout is impossible where the array is not mapped, where the pointer that makeBucketArray leaves at its end is
    missing, and where overflow pointers lead nowhere.
    """
    return _Sampler(source, headers, classic(layout), possible, lenient).take(most)


def agrees(sample: Sample, hashes: Hashes) -> Mask:
    """See Family.agrees: the tophash is the hash's top byte, the bucket its low bits."""
    home = (hashes & (sample.seats["buckets"] - 1).astype(np.uint64)).astype(np.int64)
    return np.asarray((tophashes(hashes) == sample.seats["tophash"]) & (home == sample.seats["home"]))


@cache
def _sizes(layout: ClassicLayout, release: Release) -> NDArray[np.uint64]:
    """Bytes of an array of 2^B buckets and the overflow buckets behind them, by B."""
    return np.array([array_bytes(layout, release, b) for b in range(LARGEST_B + 1)], np.uint64)


class _Sampler:
    """Samples many maps as if all had one layout; `possible` says which of them still may."""

    def __init__(
        self, source: Source, headers: Headers, layout: ClassicLayout, possible: Mask, lenient: bool = False
    ) -> None:
        self.source, self.rows, self.layout, self.lenient = source, headers.rows, layout, lenient
        self.dtype = dtype_of(bmap(layout.key_slot, layout.elem_slot))
        self.b = self.rows["B"].astype(np.int64)
        self.possible: Mask = possible & (self.b <= LARGEST_B) & (self.rows["buckets"] % np.uint64(8) == 0)

    def take(self, most: int) -> Sample:
        """Narrow down which maps are possible, and read cells of those."""
        rows, b = self.rows, self.b
        self.possible &= (rows["buckets"] == 0) | self._covered(rows["buckets"], b)
        growing = rows["oldbuckets"] != 0
        old_b = np.where(rows["flags"] & SAME_SIZE_GROW != 0, b, b - 1)
        if growing.any():
            aligned = rows["oldbuckets"] % np.uint64(8) == 0
            good = (old_b >= 0) & aligned & self._covered(rows["oldbuckets"], old_b)
            if self.lenient:
                growing &= good
            self.possible &= ~growing | good
        if not self.lenient:
            self._check_tails()
        parts = [self._cells(rows["buckets"], b, self.possible & (rows["buckets"] != 0), most)]
        if growing.any():
            parts.append(self._cells(rows["oldbuckets"], old_b, self.possible & growing, most))
        return self._joined(parts)

    def _joined(self, parts: list[Sample]) -> Sample:
        """The cells of both arrays, those of each map together, without maps that have turned out impossible."""
        owner = np.concatenate([part.owner for part in parts])
        order = np.argsort(owner, kind="stable")
        order = order[self.possible[owner[order]]]
        keys = np.concatenate([part.keys for part in parts])[order]
        elems = np.concatenate([part.elems for part in parts])[order]
        return Sample(owner[order], keys, elems, np.concatenate([part.seats for part in parts])[order], self.possible)

    def _covered(self, starts: Addresses, b: Numbers) -> Mask:
        sizes = np.left_shift(np.uint64(self.layout.bucket_size), np.clip(b, 0, LARGEST_B).astype(np.uint64))
        return self.source.regions.contains(starts, sizes)

    def _check_tails(self) -> None:
        """The preallocated overflow buckets end where makeBucketArray puts its sentinel, and some may be in store."""
        if not self.possible.any():
            return
        rows, layout, source = self.rows, self.layout, self.source
        large = self.b >= PREALLOCATED_FROM_B
        # A small map has extra only for lists of overflow buckets, which buckets with pointers need none of.
        self.possible &= large | (rows["extra"] == 0) | (not layout.bucket_has_pointers)
        self.possible &= ~large | (rows["extra"] != 0)
        at = np.flatnonzero(self.possible & large)
        if not len(at):
            return
        arrays = rows["buckets"][at]
        ends = arrays + _sizes(layout, source.release)[self.b[at]]
        extras, known = gather(source.memory, source.regions, rows["extra"][at], mapextra.sizeof())
        stored = extras.view(dtype_of(mapextra))[:, 0]["nextOverflow"]
        last, read = gather(source.memory, source.regions, ends - np.uint64(OVERFLOW_SIZE), OVERFLOW_SIZE)
        sentinel = last.view(np.uint64)[:, 0]
        own = arrays + np.left_shift(np.uint64(layout.bucket_size), self.b[at].astype(np.uint64))
        inside = (own <= stored) & (stored < ends) & ((stored - arrays) % np.uint64(layout.bucket_size) == 0)
        # Where none is in store all are in use, and with them the one that held the sentinel.
        self.possible[at] = known & read & ((stored == 0) | inside & (sentinel == arrays))

    def _cells(self, starts: Addresses, b: Numbers, chosen: Mask, most: int) -> Sample:
        """Live cells of some buckets of each array, spread over it."""
        sizes = np.left_shift(1, np.clip(b, 0, LARGEST_B))
        which = np.flatnonzero(chosen)
        looked_at = np.minimum(sizes[which], most)
        owner = np.repeat(which, looked_at)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(looked_at) - looked_at, looked_at)
        home = number * (sizes[owner] - 1) // np.maximum(np.repeat(looked_at, looked_at) - 1, 1)
        places = starts[owner] + home.astype(np.uint64) * np.uint64(self.layout.bucket_size)
        raw, ok = gather(self.source.memory, self.source.regions, places, self.layout.bucket_size)
        buckets = raw.view(self.dtype)[:, 0]
        if not self.lenient:
            overflow = buckets["overflow"]
            ok &= overflow % np.uint64(8) == 0
            ok &= (overflow == 0) | self.source.regions.contains(overflow, self.layout.bucket_size)
            self.possible[owner[~ok]] = False
        row, cell = np.nonzero(buckets["tophash"] >= self.source.release.marks.min_tophash)
        seats = np.empty(len(row), SEAT)
        seats["tophash"], seats["home"] = buckets["tophash"][row, cell], home[row]
        seats["buckets"] = sizes[owner[row]]
        return Sample(owner[row], buckets["keys"][row, cell], buckets["elems"][row, cell], seats, self.possible)
