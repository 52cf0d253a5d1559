"""Finding runtime.mheap_ and reading the spans that its heap is made of (runtime/mheap.go).

The symbol says where mheap_ lies; in a stripped executable all writable data is looked through. Either way
the place is proven: a slice that may be allspans must lead to spans that make sense and do not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime import heap as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.sizes import PAGE_SIZE, SIZE_CLASSES
from inspector.memory.gather import gather
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, RegionMap
from inspector.memory.sets import distinct, is_among
from inspector.target.data import places_of
from inspector.target.program import PAGE
from inspector.target.run import Run

WORD = 8
MOST_SPANS = 1 << 23
"""Spans that are read at most: those of 64 GiB in the smallest possible spans."""

SAMPLE = 128
"""Spans of a candidate that are looked at before all of them are."""

CHUNK = 1 << 16
"""Spans read at once."""

WRONG_SHARE = 64
"""One span in so many may make no sense (overwritten memory) before the whole heap is disbelieved."""

LARGEST_SPAN = 1 << 40

SPAN = np.dtype(
    [
        ("start", np.uint64),
        ("end", np.uint64),
        ("elemsize", np.uint64),
        ("nelems", np.uint64),
        ("freeindex", np.uint64),
        ("allocCount", np.uint64),
        ("allocBits", np.uint64),
        ("gcmarkBits", np.uint64),
        ("age", np.int32),
        ("noscan", np.bool_),
        ("record", np.uint64),
        ("type", np.uint64),
    ]
)
"""One span in use: its objects fill [start, end), `age` is its sweepgen compared with that of mheap_, `record` the
address of its mspan, `type` that of its only object's type where it records one."""

Spans = np.ndarray[tuple[int], np.dtype[np.void]]


@dataclass(frozen=True)
class SpanList:
    """The spans in use, sorted by their start, as an array of SPAN; `unsound` ones made no sense and are left out.

    `head` is the address of what was read of mheap_ (inspector.goruntime.heap.mheap_spans).
    """

    spans: Spans
    unsound: int
    head: int


def find_spans(run: Run) -> SpanList | None:
    """Read all spans in use; None where no mheap_ is found. Call it while the target is held."""
    declared = dtype_of(schema.mheap_spans(run.release))
    # Found out once: of a process that runs, its mappings are read each time.
    regions = run.regions()
    for start, size in places_of(run, "runtime.mheap_", declared.itemsize):
        try:
            data = np.frombuffer(run.memory.read(start, size), np.uint8)
        except UnreadableMemory:
            continue
        for at in _candidates(data, declared):
            head = data[at : at + declared.itemsize].view(declared)[0]
            found = _read_all(run, regions, start + at, head)
            if found is not None:
                return found
    return None


def _candidates(data: NDArray[np.uint8], declared: np.dtype[np.void]) -> list[int]:
    """Offsets at which data could hold a sweepgen followed by allspans."""
    words = data.view("<u8")
    count = len(words) - declared.itemsize // WORD + 1
    if count <= 0:
        return []
    assert declared.fields is not None
    at = declared.fields["allspans"][1] // WORD
    pointer, length, capacity = (words[at + i : at + i + count] for i in range(3))
    sweepgen, before = words[:count], words[at - 1 : at - 1 + count]
    likely = (pointer != 0) & (pointer < END_OF_USER_SPACE) & (pointer % np.uint64(PAGE) == 0)
    likely &= (length > 0) & (length <= capacity) & (length <= MOST_SPANS)
    likely &= (capacity >= schema.SMALLEST_ALLSPANS) & (capacity < END_OF_USER_SPACE)
    # The half word before the slice is padding.
    likely &= (sweepgen % np.uint64(2) == 0) & (before < 1 << 32)
    return [int(hit) * WORD for hit in np.flatnonzero(likely)]


def read_again(run: Run, found: SpanList, rows: NDArray[np.int64]) -> Spans:
    """Those of some spans that are in use for objects of the same size as before, as they are now."""
    known = found.spans[rows]
    if not len(known):
        return known
    try:
        data = np.frombuffer(run.memory.read(found.head, WORD), "<u4")
    except UnreadableMemory:
        return known[:0]
    # sweepgen is the first word of what was found of mheap_.
    spans, _ = _read_some(run, run.regions(), known["record"], int(data[0]))
    before = known[is_among(known["record"], spans["record"])]
    same = np.ones(len(spans), dtype=bool)
    for name in ("start", "end", "elemsize"):
        same &= spans[name] == before[name]
    return spans[same]


def _read_all(run: Run, regions: RegionMap, place: int, head: np.void) -> SpanList | None:
    """The spans of what may be allspans; None when they make no sense."""
    data, length = int(head["allspans"]["data"]), int(head["allspans"]["len"])
    if not regions.covers(data, length * WORD):
        return None
    try:
        pointers = np.frombuffer(run.memory.read(data, length * WORD), "<u8")
    except UnreadableMemory:
        return None
    if not pointers.all() or (pointers % np.uint64(WORD)).any() or len(distinct(pointers)) != length:
        return None
    sweepgen, found, unsound = int(head["sweepgen"]), [], 0
    sample = pointers[np.linspace(0, length - 1, min(length, SAMPLE)).astype(np.int64)]
    spans, wrong = _read_some(run, regions, sample, sweepgen)
    if wrong * WRONG_SHARE > len(sample):
        return None
    for at in range(0, length, CHUNK):
        spans, wrong = _read_some(run, regions, pointers[at : at + CHUNK], sweepgen)
        found.append(spans)
        unsound += wrong
    spans = np.concatenate(found)
    spans = spans[np.argsort(spans["start"])]
    apart = np.ones(len(spans), dtype=bool)
    apart[1:] = spans["start"][1:] >= spans["end"][:-1]
    unsound += int((~apart).sum())
    if not apart.any() or unsound * WRONG_SHARE > length:
        return None
    return SpanList(spans[apart], unsound, place)


def _read_some(run: Run, regions: RegionMap, pointers: Addresses, sweepgen: int) -> tuple[Spans, int]:
    """Those of the spans that are in use and make sense, and how many are not readable or make none."""
    declared = dtype_of(schema.mspan(run.release))
    rows, ok = gather(run.memory, regions, pointers, declared.itemsize)
    raw = rows[ok].view(declared)[:, 0]
    used = raw["state"] == schema.SPAN_IN_USE
    raw = raw[used]
    # Differences of 32-bit counters that may wrap around.
    age = (raw["sweepgen"] - np.uint32(sweepgen)).astype(np.int32)
    sound = _sound(raw) & np.isin(age, schema.SPAN_AGES)
    kept = raw[sound]
    spans = np.zeros(len(kept), dtype=SPAN)
    spans["record"] = pointers[ok][used][sound]
    spans["start"], spans["age"] = kept["startAddr"], age[sound]
    spans["end"] = kept["startAddr"] + kept["elemsize"] * kept["nelems"]
    spans["noscan"] = kept["spanclass"] & schema.NOSCAN
    if run.release.malloc_headers:
        # Of an object without pointers none is recorded, and an earlier span's may still be there.
        typed = (kept["spanclass"] >> schema.SIZE_CLASS_SHIFT == 0) & ~spans["noscan"]
        spans["type"] = np.where(typed, kept["largeType"], 0)
    for name in ("elemsize", "nelems", "freeindex", "allocCount", "allocBits", "gcmarkBits"):
        spans[name] = kept[name]
    return spans, int((~ok).sum() + (~sound).sum())


def _sound(raw: Spans) -> NDArray[np.bool_]:
    """Which spans in use could have been made by mheap.initSpan and used by the allocator since."""
    start, pages, nelems, elemsize = (
        raw[name].astype(np.uint64) for name in ("startAddr", "npages", "nelems", "elemsize")
    )
    page = np.uint64(PAGE_SIZE)
    sound: NDArray[np.bool_] = (start != 0) & (start < END_OF_USER_SPACE) & (start % page == 0)
    sound &= (pages > 0) & (pages <= LARGEST_SPAN // PAGE_SIZE)
    large = raw["spanclass"] >> schema.SIZE_CLASS_SHIFT == 0
    sound &= np.where(large, elemsize <= LARGEST_SPAN, is_among(elemsize, np.array(SIZE_CLASSES, dtype=np.uint64)))
    sound &= (elemsize > 0) & (nelems > 0) & (nelems <= np.where(large, 1, page))
    # Clamped, so that the product of what is damaged does not wrap around into sense.
    filled = np.minimum(elemsize, np.uint64(LARGEST_SPAN)) * np.minimum(nelems, page)
    whole = np.minimum(pages, np.uint64(LARGEST_SPAN // PAGE_SIZE)) * page
    sound &= (filled <= whole) & (filled > whole // np.uint64(2))
    sound &= (raw["freeindex"] <= nelems) & (raw["allocCount"] <= nelems)
    sound &= (raw["limit"] > start) & (raw["limit"] - start <= whole)
    for name in ("allocBits", "gcmarkBits"):
        sound &= (raw[name] != 0) & (raw[name] % WORD == 0) & (raw[name] < END_OF_USER_SPACE)
    return sound
