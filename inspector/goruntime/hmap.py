"""runtime.hmap, the header of a classic map."""

from __future__ import annotations

from functools import cache

from construct import Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

ITERATOR = 1
OLD_ITERATOR = 2
HASH_WRITING = 4
SAME_SIZE_GROW = 8

FLAG_NAMES = {
    ITERATOR: "iterator",
    OLD_ITERATOR: "oldIterator",
    HASH_WRITING: "hashWriting",
    SAME_SIZE_GROW: "sameSizeGrow",
}
"""hmap.flags, in the order of runtime/map.go."""


@cache
def _hmap(clear_seq: bool) -> Construct:
    # clearSeq came with 1.24 so that an iterator notices a clear(); it pushes extra to offset 48.
    return Struct(
        "count" / go.int,
        "flags" / go.uint8,
        "B" / go.uint8,
        "noverflow" / go.uint16,
        "hash0" / go.uint32,
        "buckets" / go.pointer,
        "oldbuckets" / go.pointer,
        "nevacuate" / go.uintptr,
        *(["clearSeq" / go.uint64] if clear_seq else []),
        "extra" / go.pointer,
    )


def hmap(release: Release) -> Construct:
    """The hmap of a release: 48 bytes, 56 with clearSeq (runtime/map.go, map_noswiss.go)."""
    return _hmap(release.has_clear_seq)
