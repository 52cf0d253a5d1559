"""Which words of an object are pointers, as its span notes it since Go 1.22 (runtime/mbitmap.go)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime import heap as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.sizes import MALLOC_HEADER_SIZE, MAX_SMALL_SIZE, MIN_SIZE_FOR_MALLOC_HEADER, PAGE_SIZE
from inspector.gotypes.pointermask import pointer_mask
from inspector.heap.objects import Heap
from inspector.heap.spans import Spans
from inspector.maps.family import WORD, Mask
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.target.run import Run

BYTE = 8
LONGEST = 8
"""Words of an object that are looked at."""

BITMAP = PAGE_SIZE // WORD // BYTE
"""Bytes of the bitmap at the end of a span of one page: a bit for each word."""


def pointer_words(run: Run, heap: Heap, addresses: Addresses) -> tuple[NDArray[np.uint64], Mask]:
    """(n,) bit i says whether word i of each object is a pointer, of its first eight; (n,) where that is known.

    It is noted in spans of one page of objects with pointers of at most 512 bytes.
    """
    bits, known = np.zeros(len(addresses), np.uint64), np.zeros(len(addresses), dtype=bool)
    if not run.release.malloc_headers or not len(heap.spans) or not len(addresses):
        return bits, known
    at = np.searchsorted(heap.spans["start"], addresses, side="right").astype(np.int64) - 1
    span = heap.spans[np.maximum(at, 0)]
    known = (at >= 0) & (addresses < span["end"]) & _have_bitmaps(span)
    word = (addresses - span["start"]) // np.uint64(WORD)
    # Two bytes hold the bits of eight words, wherever they begin.
    raw, ok = gather(run.memory, run.regions(), _bitmaps(run, span) + word // np.uint64(BYTE), 2)
    known &= ok
    pair = raw[:, 0].astype(np.uint64) | raw[:, 1].astype(np.uint64) << np.uint64(BYTE)
    words = np.minimum(span["elemsize"] // np.uint64(WORD), np.uint64(LONGEST))
    mask = (np.uint64(1) << words) - np.uint64(1)
    bits = pair >> word % np.uint64(BYTE) & mask
    return np.where(known, bits, 0), known


def _have_bitmaps(spans: Spans) -> Mask:
    """Which spans end with a bitmap of their own."""
    small = (spans["elemsize"] <= MIN_SIZE_FOR_MALLOC_HEADER) & (spans["end"] - spans["start"] <= PAGE_SIZE)
    return np.asarray(small & ~spans["noscan"])


def _bitmaps(run: Run, spans: Spans) -> Addresses:
    """Where the bitmap of each such span begins."""
    base = spans["start"] + np.uint64(PAGE_SIZE - BITMAP)
    if run.release.marks_in_spans:
        size = spans["elemsize"]
        inline = (size >= schema.SMALLEST_MARKED_INLINE) & (size <= schema.LARGEST_MARKED_INLINE)
        base -= np.where(inline, dtype_of(schema.inline_marks).itemsize, 0).astype(np.uint64)
    return np.asarray(base)


class Followed:
    """Which words of a heap's objects the collector follows: the bitmap of their span, or their type, says so.

    The type is noted in the malloc header of an object of more than 512 bytes, and in the span of one above 32 KiB; the
    collector repeats it up to the end of the slot. Until Go 1.21 nothing of that is known.
    """

    def __init__(self, run: Run, heap: Heap) -> None:
        self._run, self._spans, self._masks = run, heap.spans, dict[int, Mask | None]()
        self._known = run.release.malloc_headers and len(heap.spans) > 0
        if not self._known:
            return
        small = np.flatnonzero(_have_bitmaps(heap.spans))
        self._rows = np.full(len(heap.spans), -1, np.int64)
        self._rows[small] = np.arange(len(small))
        self._bits, ok = gather(run.memory, run.regions(), _bitmaps(run, heap.spans[small]), BITMAP)
        self._rows[small[~ok]] = -1

    def __call__(self, places: Addresses) -> Mask:
        """(n,) whether the word at each place is followed. It counts as one where that is not known."""
        followed = np.ones(len(places), dtype=bool)
        if not self._known or not len(places):
            return followed
        at = np.maximum(np.searchsorted(self._spans["start"], places, side="right").astype(np.int64) - 1, 0)
        inside = (places - self._spans["start"][at]) < self._spans["end"][at] - self._spans["start"][at]
        small = np.flatnonzero(inside & (self._rows[at] >= 0))
        word = ((places[small] - self._spans["start"][at[small]]) // np.uint64(WORD)).astype(np.int64)
        followed[small] = self._bits[self._rows[at[small]], word // BYTE] >> (word % BYTE).astype(np.uint8) & 1
        typed = np.flatnonzero(inside & (self._spans["elemsize"][at] > MIN_SIZE_FOR_MALLOC_HEADER))
        followed[typed] = self._by_type(places[typed], self._spans[at[typed]])
        return followed

    def _by_type(self, places: Addresses, spans: Spans) -> Mask:
        followed = np.ones(len(places), dtype=bool)
        base = spans["start"] + (places - spans["start"]) // spans["elemsize"] * spans["elemsize"]
        headed = (spans["elemsize"] <= MAX_SMALL_SIZE) & (spans["type"] == 0)
        headers, which = np.unique(base[headed], return_inverse=True)
        rows, ok = gather(self._run.memory, self._run.regions(), headers, WORD)
        types = spans["type"].copy()
        types[headed] = np.where(ok, rows.view(np.uint64)[:, 0], 0)[which]
        offset = places - base
        followed[headed & (offset == 0)] = False
        offset -= np.where(headed, np.uint64(MALLOC_HEADER_SIZE), np.uint64(0))
        order = np.argsort(types, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(types[order])) + 1):
            mask = self._mask(int(types[group[0]])) if len(group) else None
            if mask is not None:
                # The word before an object, its header, was told already.
                followed[group] &= mask[(offset[group] // np.uint64(WORD)).astype(np.int64) % len(mask)]
        return followed

    def _mask(self, address: int) -> Mask | None:
        if address not in self._masks:
            self._masks[address] = pointer_mask(self._run.release, self._run.memory, address)
        return self._masks[address]
