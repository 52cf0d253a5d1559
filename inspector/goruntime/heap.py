"""runtime.mspan and the part of runtime.mheap that leads to all of them: the Go heap's metadata."""

from __future__ import annotations

from functools import cache

from construct import Bytes, Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

SPAN_IN_USE = 1
"""mspan.state of a span whose objects the garbage collector manages (mSpanInUse)."""

NOSCAN = 1
"""The bit of mspan.spanclass that is set where objects hold no pointers."""

SIZE_CLASS_SHIFT = 1
"""The rest of mspan.spanclass is the size class; 0 is an object too large for any."""

SMALLEST_ALLSPANS = 64 * 1024 // 8
"""mheap.allspans never has room for fewer (runtime.recordspan)."""

SWEPT, SWEPT_AND_CACHED = 0, 3
UNSWEPT, UNSWEPT_AND_CACHED, BEING_SWEPT = -2, 1, -1
"""What mspan.sweepgen is more than mheap.sweepgen, and what it then says of the span (runtime/mheap.go)."""

SPAN_AGES = (SWEPT, SWEPT_AND_CACHED, UNSWEPT, UNSWEPT_AND_CACHED, BEING_SWEPT)
"""All that it can be."""


ARENA_SIZE = 1 << 26
"""heapArenaBytes on linux/amd64: the heap takes addresses from the kernel in pieces of this size, each so aligned."""

MARK_BITS = 63
"""Bytes of each bitmap in a span."""

inline_marks = Struct(
    "scans" / Bytes(MARK_BITS),
    "owned" / go.uint8,
    "marks" / Bytes(MARK_BITS),
    "class" / go.uint8,
)
"""runtime.spanInlineMarkBits: the last 128 bytes of a span of one page whose objects have 16 to 512 bytes.

Sweeping adds these marks to gcmarkBits, clears them, and then goes on as in other spans (mspan.moveInlineMarks).
"""

SMALLEST_MARKED_INLINE, LARGEST_MARKED_INLINE = 16, 512
"""Sizes of objects whose marks lie in their span (gcUsesSpanInlineMarkBits)."""


@cache
def _mheap_spans(has_sweepers: bool) -> Construct:
    return Struct(
        # Counts up by two, so it is even.
        "sweepgen" / go.uint32,
        # All spans are swept, and how many sweepers are at work; both moved to sweep.active in 1.18.
        *(["sweepdone" / go.uint32, "sweepers" / go.uint32] if has_sweepers else []),
        "pad" / go.uint32,
        "allspans" / go.slice_header,
    )


def mheap_spans(release: Release) -> Construct:
    """runtime.mheap from sweepgen to allspans; what stands before it changed its size often."""
    return _mheap_spans(not release.at_least(1, 18))


@cache
def _mspan(narrow: bool, has_pinner: bool, has_type: bool) -> Construct:
    return Struct(
        "next" / go.pointer,
        "prev" / go.pointer,
        "list" / go.pointer,
        "startAddr" / go.uintptr,
        "npages" / go.uintptr,
        "manualFreeList" / go.uintptr,
        *_indices(narrow),
        "allocCache" / go.uint64,
        "allocBits" / go.pointer,
        "gcmarkBits" / go.pointer,
        *(["pinnerBits" / go.pointer] if has_pinner else []),
        "sweepgen" / go.uint32,
        "divMul" / go.uint32,
        "allocCount" / go.uint16,
        "spanclass" / go.uint8,
        "state" / go.uint8,
        "needzero" / go.uint8,
        # isUserArenaChunk since 1.20
        "flag" / go.uint8,
        "allocCountBeforeCache" / go.uint16,
        "elemsize" / go.uintptr,
        "limit" / go.uintptr,
        "speciallock" / go.uintptr,
        "specials" / go.pointer,
        *_types(has_type),
    )


def _types(has_type: bool) -> list[Construct]:
    """The type of the only object in a span, if it is too large for a size class and holds pointers; since 1.22."""
    return ["arenaFree" / Bytes(16), "largeType" / go.pointer] if has_type else []


def _indices(narrow: bool) -> list[Construct]:
    """Words until 1.21; since 1.22 halves of words, with freeIndexForScan, and since 1.25 scanIdx, beside them."""
    if not narrow:
        return ["freeindex" / go.uintptr, "nelems" / go.uintptr]
    return ["freeindex" / go.uint16, "nelems" / go.uint16, "freeIndexForScan" / go.uint16, "scanIdx" / go.uint16]


def mspan(release: Release) -> Construct:
    """runtime.mspan of a release up to specials, since 1.22 up to largeType (runtime/mheap.go)."""
    return _mspan(release.at_least(1, 22), release.at_least(1, 21), release.malloc_headers)


@cache
def _special(narrow: bool) -> Construct:
    return Struct("next" / go.pointer, "offset" / (go.uint16 if narrow else go.uintptr), "kind" / go.uint8)


def special(release: Release) -> Construct:
    """runtime.special (runtime/mheap.go): a record of something special about an object; words of its kind follow.

    `next` leads to the next record of the span, `offset` is that of the object in it.
    """
    return _special(release.narrow_special_offsets)
