"""Words of a heap that are shaped like the header of a map, found at the speed of memory.

A cheap test is made of every word, the others only where it holds. What is found here is a candidate and no more: its
buckets have to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import FLAG_NAMES, HASH_WRITING, SAME_SIZE_GROW, hmap
from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.snapshot import LARGEST_B
from inspector.memory.protocol import Addresses, Memory, Region

WORD = 8
PIECE = 1 << 22
"""Bytes that are copied at a time: a few milliseconds of a process that is held for it."""

RANGES_AT_ONCE = 1 << 8
"""Ranges that are copied in one stop at most: each takes some microseconds, however short it is."""

BLOCK = 1 << 16
"""Words that are tested at a time, so that the results of each step stay in the processor's cache."""

FLAGS_TO_HASH0 = 32
"""Bits of flags, B and noverflow, which lie before hash0 in the same word."""

T = TypeVar("T")


class Copied(Protocol):
    """Calls a reader while the target is held (Run.copied)."""

    def __call__(self, read: Callable[[], T], /) -> T:
        """What `read` returns."""
        ...


@dataclass(frozen=True)
class Headers:
    """Candidates: their addresses in ascending order, and the hmaps found there as rows of the schema's dtype."""

    addresses: Addresses
    rows: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.addresses)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Headers:
        """Some of them."""
        return Headers(self.addresses[chosen], self.rows[chosen])

    def header(self, at: int) -> Hmap:
        """One of them, as others read it."""
        return Hmap.of(dict(zip(self.rows.dtype.names or (), self.rows[at].item(), strict=True)))

    def without(self, addresses: list[int]) -> Headers:
        """Those at other addresses."""
        return self.where(~np.isin(self.addresses, np.array(addresses, np.uint64)))

    @staticmethod
    def joined(parts: list[Headers], release: Release) -> Headers:
        """Several of them as one, each address once."""
        if not parts:
            return Headers(np.empty(0, np.uint64), np.empty(0, dtype_of(hmap(release))))
        addresses, first = np.unique(np.concatenate([part.addresses for part in parts]), return_index=True)
        return Headers(addresses, np.concatenate([part.rows for part in parts])[first])


@dataclass(frozen=True)
class Arena:
    """The range [start, end) that every bucket of a Go heap lies in."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def holds(self, pointers: Addresses) -> NDArray[np.bool_]:
        """Which words are aligned addresses in it."""
        inside = (pointers - np.uint64(self.start)) < np.uint64(self.size)
        return np.asarray(inside & (pointers % np.uint64(WORD) == 0))


@dataclass(frozen=True)
class Piece:
    """A part of the memory that was looked through: its size in bytes, and what was found in it."""

    size: int
    headers: Headers


def scan(memory: Memory, ranges: list[Region], arena: Arena, release: Release, copied: Copied) -> Iterator[Piece]:
    """Candidates in each piece of `ranges`, one yield for each piece whatever was found there.

    A piece is copied by `copied`, in a stop of its own, and looked at afterwards. What cannot be read is left out.
    """
    dtype = dtype_of(hmap(release))
    for some, size in _pieces(ranges, dtype.itemsize - WORD):
        found = [
            _candidates(start, np.frombuffer(data, "<u8", len(data) // WORD), arena, release, dtype)
            for start, data in copied(partial(_read, memory, some))
        ]
        yield Piece(size, Headers.joined(found, release))


def _pieces(ranges: list[Region], overlap: int) -> Iterator[tuple[list[Region], int]]:
    """The ranges in portions for one stop each: no more than PIECE bytes, of one range or of many small ones.

    Parts of one range overlap, so that what lies across their border is found. The size counts every byte once.
    """
    portion: list[Region] = []
    size = 0
    for region in ranges:
        for start in range(region.start, region.end, PIECE):
            length = min(PIECE, region.end - start)
            if portion and (size + length > PIECE or len(portion) == RANGES_AT_ONCE):
                yield portion, size
                portion, size = [], 0
            portion.append(Region(start, min(start + length + overlap, region.end)))
            size += length
    if portion:
        yield portion, size


def _read(memory: Memory, regions: list[Region]) -> list[tuple[int, memoryview]]:
    """The bytes of each region with its address; without those that cannot be read."""
    found = []
    for region in regions:
        with suppress(UnreadableMemory):
            found.append((region.start, memory.read(region.start, region.end - region.start)))
    return found


def _candidates(start: int, words: NDArray[np.uint64], arena: Arena, release: Release, dtype: np.dtype) -> Headers:
    length = dtype.itemsize // WORD
    parts = [
        at + _likely(words[at : at + BLOCK + length - 1], arena, length)
        for at in range(0, len(words) - length + 1, BLOCK)
    ]
    places = np.concatenate(parts) if parts else np.empty(0, np.int64)
    rows = words[places[:, None] + np.arange(length)].view(dtype)[:, 0]
    headers = Headers(np.uint64(start) + places.astype(np.uint64) * np.uint64(WORD), rows)
    return headers.where(plausible(rows, arena, release))


def _likely(words: NDArray[np.uint64], arena: Arena, length: int) -> NDArray[np.int64]:
    """Places where buckets leads into the arena, count is no more than its bytes, and hash0 is not zero."""
    most = len(words) - length + 1
    if most <= 0:
        return np.empty(0, np.int64)
    # Subtraction wraps around below the arena, so one comparison tests both ends.
    likely = (words[2 : 2 + most] - np.uint64(arena.start)) < np.uint64(arena.size)
    likely &= words[:most] <= np.uint64(arena.size)
    likely &= words[1 : 1 + most] >= np.uint64(1 << FLAGS_TO_HASH0)
    return np.flatnonzero(likely)


def plausible(rows: NDArray[np.void], arena: Arena, release: Release) -> NDArray[np.bool_]:
    """Which hmaps agree with themselves: flags, B, count, pointers and nevacuate."""
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
