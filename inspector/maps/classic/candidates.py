"""Words that are shaped like an hmap, found at the speed of memory.

What is found here is a candidate and no more: its buckets have to prove it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.hmap import FLAG_NAMES, HASH_WRITING, SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.maps.classic.header import header_dtype
from inspector.maps.classic.mirror.growth import LARGEST_B, PREALLOCATED_FROM_B
from inspector.maps.family import Arena, Headers, Mask
from inspector.maps.scanning import headers_among

FLAGS_TO_HASH0 = 32
"""Bits of flags, B and noverflow, which lie before hash0 in the same word."""


def candidates(words: NDArray[np.uint64], start: int, arena: Arena, release: Release) -> Headers:
    """See Family.candidates: a cheap test is made of every word, the others only where it holds."""
    return headers_among(words, start, arena, header_dtype(release), _likely, plausible)


def _likely(words: NDArray[np.uint64], most: int, arena: Arena) -> NDArray[np.int64]:
    """Places where buckets leads into the arena, count is at most its bytes, and hash0 is not zero."""
    # Subtraction wraps around below the arena, so one comparison tests both ends.
    likely = (words[2 : 2 + most] - np.uint64(arena.start)) < np.uint64(arena.size)
    likely &= words[:most] <= np.uint64(arena.size)
    likely &= words[1 : 1 + most] >= np.uint64(1 << FLAGS_TO_HASH0)
    return np.flatnonzero(likely)


def plausible(rows: NDArray[np.void], arena: Arena) -> Mask:
    """See Family.plausible: flags, B, count, pointers and nevacuate."""
    b, count = rows["B"].astype(np.uint64), rows["count"]
    good = (rows["flags"] & ~np.uint8(sum(FLAG_NAMES)) == 0) & (rows["hash0"] != 0) & (b <= LARGEST_B)
    good &= np.left_shift(np.uint64(1), np.minimum(b, LARGEST_B)) <= arena.size
    old, extra = rows["oldbuckets"], rows["extra"]
    good &= arena.holds(rows["buckets"]) & ((old == 0) | arena.holds(old)) & ((extra == 0) | arena.holds(extra))
    good &= (old != rows["buckets"]) & (rows["buckets"] != 0)
    # Loosely: rule H6 knows what the growth trigger lets through exactly.
    buckets = np.left_shift(1, np.minimum(b, LARGEST_B).astype(np.int64))
    good &= (count >= 0) & (count <= BUCKET_CELLS * (1 + buckets))
    same_size = rows["flags"] & SAME_SIZE_GROW != 0
    good &= ~same_size | (old != 0) | (rows["flags"] & HASH_WRITING != 0)
    old_buckets = np.where(same_size, buckets, buckets >> 1)
    mark = rows["nevacuate"].astype(np.int64)
    resting = (mark == 0) | (mark == buckets) | (mark == np.maximum(buckets >> 1, 1))
    good &= np.where(old == 0, resting, (mark >= 0) & (mark <= old_buckets))
    return np.asarray(good)


def provable(rows: NDArray[np.void]) -> Mask:
    """See Family.provable: an empty map has nothing to prove it but overflow buckets in store."""
    return np.asarray((rows["count"] > 0) | (rows["B"] >= PREALLOCATED_FROM_B) & (rows["extra"] != 0))
