"""Headers of classic maps that may be damaged: what they might have been before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.hmap import FLAG_NAMES, HASH_WRITING, SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.classic.mirror.growth import LARGEST_B
from inspector.maps.family import Arena, Mask, Repaired, Sample, Source
from inspector.maps.repairing import Starts, as_they_are, joined, one_byte_off, pointers_off, with_fields
from inspector.memory.gather import gather

LIKELY_B = 26
"""Arrays of 2^26 buckets take more than 4 GiB: a larger B is not tried."""

TOPHASH_BITS = 7.9
"""What a tophash tells of a hash: it has 251 values."""


def pointer_fields() -> tuple[str, ...]:
    """See Family.pointer_fields."""
    return ("buckets", "oldbuckets", "extra")


def nearly_plausible(rows: NDArray[np.void], arena: Arena) -> Mask:
    """See Family.nearly_plausible."""
    b, old, extra = rows["B"].astype(np.int64), rows["oldbuckets"], rows["extra"]
    buckets = np.left_shift(1, np.minimum(b, LARGEST_B))
    mark = rows["nevacuate"].astype(np.int64)
    resting = (mark == 0) | (mark == buckets) | (mark == np.maximum(buckets >> 1, 1))
    fields = (
        (rows["count"] > 0) & (rows["count"] <= BUCKET_CELLS * (1 + buckets)),
        rows["flags"] & ~np.uint8(sum(FLAG_NAMES)) == 0,
        b <= LIKELY_B,
        rows["hash0"] != 0,
        arena.holds(rows["buckets"]),
        (old == 0) | arena.holds(old),
        (extra == 0) | arena.holds(extra),
        np.where(old == 0, resting, (mark >= 0) & (mark <= buckets)),
    )
    # A wrong B makes the count and nevacuate look wrong, too.
    wrong = sum((~each).astype(np.int64) for each in fields)
    return np.asarray((wrong <= 1) | (fields[1] & fields[3] & fields[4] & fields[5] & fields[6] & (rows["count"] > 0)))


def looks_like_cells(source: Source, rows: NDArray[np.void]) -> Mask:
    """See Family.looks_like_cells: behind the first cell that says that all the rest are empty none is in use."""
    marks, ok = gather(source.memory, source.regions, rows["buckets"], BUCKET_CELLS)
    rest = np.maximum.accumulate(marks == 0, axis=1)
    # One byte may be damaged.
    strange = (rest & (marks != 0)).sum(axis=1)
    first = (marks == 0).argmax(axis=1)
    alone = (marks != 0).sum(axis=1) - first
    live = (marks >= source.release.marks.min_tophash).sum(axis=1)
    good = (strange <= 1) | (alone <= 1) | (strange == BUCKET_CELLS - 1 - first)
    # A map of one bucket has all its entries there, and in overflow buckets.
    one = (rows["B"] == 0) & (rows["count"] >= 0) & (rows["count"] <= BUCKET_CELLS) & (rows["oldbuckets"] == 0)
    good &= ~one | (live <= rows["count"] + 1)
    return np.asarray(~ok | good)


def shape_bits(source: Source, rows: NDArray[np.void]) -> NDArray[np.float64]:
    """See Family.shape_bits: empty cells are zeros, which show nothing."""
    return np.zeros(len(rows))


def repaired(source: Source, rows: NDArray[np.void]) -> Repaired:
    """See Family.repaired: B, flags, the old array."""
    parts = [as_they_are(rows)]
    every = np.arange(len(rows))
    b = np.tile(np.arange(LIKELY_B + 1), len(rows))
    parts.append(with_fields(rows, np.repeat(every, LIKELY_B + 1), "B", B=b))
    growing = np.flatnonzero(rows["oldbuckets"] != 0)
    parts.append(with_fields(rows, growing, "oldbuckets", oldbuckets=0))
    same_size = (rows["flags"] ^ SAME_SIZE_GROW) & ~np.uint8(HASH_WRITING)
    parts.append(with_fields(rows, growing, "flags", flags=same_size[growing]))
    return joined(parts)


def repaired_bytes(source: Source, rows: NDArray[np.void], starts: Starts) -> Repaired:
    """See Family.repaired_bytes: hash0, both arrays."""
    owner, seeds = one_byte_off(rows["hash0"])
    parts = [with_fields(rows, owner, "hash0", hash0=seeds)]
    owner, arrays = pointers_off(rows["buckets"], starts)
    parts.append(with_fields(rows, owner, "buckets", buckets=arrays))
    growing = np.flatnonzero(rows["oldbuckets"] != 0)
    owner, arrays = pointers_off(rows["oldbuckets"][growing], starts)
    parts.append(with_fields(rows, growing[owner], "oldbuckets", oldbuckets=arrays))
    return joined(parts)


def bits(sample: Sample) -> NDArray[np.float64]:
    """See Family.bits: the tophash and the number of the bucket."""
    return np.asarray(TOPHASH_BITS + np.log2(np.maximum(sample.seats["buckets"], 1)))
