"""Buckets, arrays of them, and mapextra, as objects: places are exact, addresses do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import BUCKET_CELLS, Release, TophashMarks
from inspector.maps.classic.mirror.growth import allocated_buckets
from inspector.maps.classic.mirror.maptype import Elem, Key, MapType

MARKS = TophashMarks()
"""The reserved tophash values; the same in every release whose layouts are declared."""

TOPHASH_SHIFT = 56
TOPHASH_MASK = 0xFF


@dataclass(slots=True, eq=False)
class Bmap:
    """runtime.bmap with its keys, elements and overflow pointer; None is memory that holds zeros.

    `row` is its place in the array that it was allocated with, None for an overflow bucket of its own.
    """

    row: int | None = None
    tophash: list[int] = field(default_factory=lambda: [MARKS.empty_rest] * BUCKET_CELLS)
    keys: list[Key] = field(default_factory=lambda: [None] * BUCKET_CELLS)
    elems: list[Elem] = field(default_factory=lambda: [None] * BUCKET_CELLS)
    overflow: Bmap | None = None

    @property
    def evacuated(self) -> bool:
        """runtime.evacuated: whether the first cell carries a marker."""
        return MARKS.evacuated_x <= self.tophash[0] <= MARKS.evacuated_empty

    def chain(self) -> Iterator[Bmap]:
        """The bucket itself and then its overflow buckets."""
        bucket: Bmap | None = self
        while bucket is not None:
            yield bucket
            bucket = bucket.overflow

    def put(self, cell: int, top: int, key: Key, elem: Elem) -> None:
        """Fill a cell."""
        self.tophash[cell], self.keys[cell], self.elems[cell] = top, key, elem

    def clear_data(self) -> None:
        """Zero everything behind the tophash bytes, as evacuate does: the overflow pointer too."""
        self.keys, self.elems, self.overflow = [None] * BUCKET_CELLS, [None] * BUCKET_CELLS, None


@dataclass(slots=True, eq=False)
class Buckets:
    """A bucket array: the first `size` rows are the map's, the rest preallocated overflow buckets."""

    size: int
    rows: list[Bmap]

    @property
    def next_overflow(self) -> Bmap | None:
        """The first of the preallocated overflow buckets."""
        return self.rows[self.size] if len(self.rows) > self.size else None


@dataclass(slots=True)
class Extra:
    """runtime.mapextra."""

    overflow: list[Bmap] | None = None
    oldoverflow: list[Bmap] | None = None
    next_overflow: Bmap | None = None


def make_bucket_array(release: Release, map_type: MapType, b: int) -> Buckets:
    """runtime.makeBucketArray: a fresh array; its last preallocated bucket carries the sentinel."""
    count = allocated_buckets(release, map_type.bucket_size, map_type.bucket_has_pointers, b)
    array = Buckets(1 << b, [Bmap(row) for row in range(count)])
    if array.next_overflow is not None:
        array.rows[-1].overflow = array.rows[0]
    return array


def is_empty(top: int) -> bool:
    """runtime.isEmpty."""
    return top <= MARKS.empty_one


def tophash(hash_value: int) -> int:
    """runtime.tophash: the top byte of a hash, raised where it is a reserved value."""
    top = hash_value >> TOPHASH_SHIFT & TOPHASH_MASK
    return top + MARKS.min_tophash if top < MARKS.min_tophash else top


def tophashes(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """runtime.tophash of many hashes."""
    top = (hashes >> np.uint64(TOPHASH_SHIFT)).astype(np.uint8)
    return np.asarray(top + (top < MARKS.min_tophash) * np.uint8(MARKS.min_tophash))
