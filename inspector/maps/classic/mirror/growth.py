"""When a map grows, how large its arrays are, and what hashGrow leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.goruntime.sizes import roundup_size

GrowthKind = Literal["double", "same-size"]

PREALLOCATED_FROM_B = 4
"""From this B on makeBucketArray adds overflow buckets to the array."""

LARGEST_B = 40
"""No array of 2^41 buckets fits into 47 bits of addresses: even an empty bucket has 16 bytes, and a count
that large would not fit into any machine that runs Go today."""

EXACT_NOVERFLOW_B = 16
"""Below this B noverflow counts every overflow bucket, from it on a sample (incrnoverflow)."""


@dataclass(frozen=True)
class NextGrowth:
    """The next growth: its kind, and which insertion of a new key from now on starts it (1 is the next)."""

    kind: GrowthKind
    inserts: int


def load_limit(release: Release, b: int) -> int:
    """Most entries that 2^b buckets take before an insertion doubles them (overLoadFactor)."""
    return max(BUCKET_CELLS, release.load_factor_half * ((1 << b) // 2))


def over_load_factor(release: Release, count: int, b: int) -> bool:
    """runtime.overLoadFactor: whether `count` entries are too many for 2^b buckets."""
    return count > load_limit(release, b)


def too_many_overflow_buckets(noverflow: int, b: int) -> bool:
    """runtime.tooManyOverflowBuckets: about as many overflow buckets as buckets."""
    return noverflow >= 1 << min(b, 15)


def b_for_hint(release: Release, hint: int) -> int:
    """The B that runtime.makemap chooses for a hint."""
    b = 0
    while over_load_factor(release, hint, b):
        b += 1
    return b


def allocated_buckets(release: Release, bucket_size: int, has_pointers: bool, b: int) -> int:
    """runtime.makeBucketArray: 2^b buckets and the overflow buckets preallocated behind them."""
    buckets = 1 << b
    if b < PREALLOCATED_FROM_B:
        return buckets
    buckets += 1 << (b - PREALLOCATED_FROM_B)
    size = buckets * bucket_size
    rounded = roundup_size(release, size, noscan=not has_pointers)
    return rounded // bucket_size if rounded != size else buckets


def next_growth(release: Release, count: int, b: int, noverflow: int) -> NextGrowth:
    """What mapassign will do for a map that is not growing.

    A same-size growth that overflow buckets still to come may bring earlier is not foreseen: that depends
    on the keys.
    """
    inserts = max(1, load_limit(release, b) - count + 1)
    if inserts > 1 and too_many_overflow_buckets(noverflow, b):
        return NextGrowth("same-size", 1)
    return NextGrowth("double", inserts)


def old_b(b: int, same_size: bool) -> int:
    """B of the old array (hmap.noldbuckets): the same, or one less; -1 where that is impossible."""
    return b if same_size else b - 1


def most_entries(release: Release, b: int, growing: GrowthKind | None, nevacuate: int) -> int:
    """Most entries a map can hold in this state, over all histories that mapassign allows.

    Insertions while growing are never refused, and each one moves nevacuate on by at least one, so a
    same-size growth may end with up to 2^b entries more than the load limit; the map then stays over its
    limit until the next insertion doubles it.
    """
    limit = load_limit(release, b)
    buckets = 1 << b
    if growing is None:
        return limit - 1 + buckets
    if growing == "same-size":
        return limit - 1 + nevacuate
    before = load_limit(release, b - 1) - 1 + (buckets >> 1)
    return before + nevacuate
