"""The Go heap as its metadata describes it: which object an address is in, and which objects are alive.

Each span holds objects of one size. A slot is allocated when its index is below freeindex or its bit in allocBits
is set (mspan.isFree). Sweeping, which follows each collection, replaces allocBits by the marks; in a span that was
not not swept yet the marks in gcmarkBits show already which objects will stay, and nothing was allocated in it since.
The Green Tea collector keeps the marks of small objects in the span itself until it is swept.

Alive means here: allocated, and not known to be dead. In a swept span that is what the last collection marked, and all
that was allocated since or while it ran; what became unreachable since then is still counted until the next one ends.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime import heap as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.sizes import PAGE_SIZE
from inspector.heap.spans import LARGEST_SPAN, SpanList, Spans, find_spans, read_again
from inspector.maps.family import Objects
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Rows
from inspector.memory.sets import distinct
from inspector.target.run import Run

Count = TypeVar("Count", int, NDArray[np.int64])

SLOTS_AT_ONCE = 1 << 20
"""Slots whose bits are unpacked at a time: a few tens of megabytes with their addresses."""

TRIES = 4
"""How often the list of spans is read where it makes no sense in a target that runs."""

ALL_SET = 0xFF

NOT_FOUND = "the heap metadata (runtime.mheap_) was not found: dead maps may be among those listed"


@dataclass(frozen=True)
class Slots:
    """Live objects, one a row: where each begins, the bytes of its slot, whether it holds no pointers."""

    addresses: Addresses
    sizes: NDArray[np.uint64]
    noscan: NDArray[np.bool_]


@dataclass(frozen=True)
class Heap:
    """A copy of the heap metadata, valid for as long as the target does not run.

    `spans` has a row for each span in use, sorted by start (inspector.heap.spans.SPAN). Bit i of `bits` from the byte
    `places[span]` on says whether object i of a span is alive. `unsound` spans made no sense and are left out.
    """

    spans: Spans
    bits: NDArray[np.uint8]
    places: NDArray[np.int64]
    unsound: int = 0

    @property
    def in_use(self) -> int:
        """Bytes of the spans in use, with the slots in them that are free (runtime.MemStats.HeapInuse)."""
        return int((self.spans["end"] - self.spans["start"]).sum())

    def objects(self, addresses: Addresses) -> Objects:
        """The object that each address is in (runtime.findObject); see Books.objects."""
        if not len(self.spans):
            return _unknown(len(addresses))
        addresses = np.asarray(addresses, dtype=np.uint64)
        at = np.searchsorted(self.spans["start"], addresses, side="right").astype(np.int64) - 1
        span = self.spans[np.maximum(at, 0)]
        inside = (at >= 0) & (addresses < span["end"])
        index = np.where(inside, (addresses - span["start"]) // span["elemsize"], np.uint64(0))
        base = np.where(inside, span["start"] + index * span["elemsize"], np.uint64(0))
        byte = self.bits[self.places[np.maximum(at, 0)] + (index >> np.uint64(3)).astype(np.int64)]
        alive = byte >> (index & np.uint64(7)).astype(np.uint8) & 1
        size = np.where(inside, span["elemsize"], np.uint64(0))
        types = np.where(inside, span["type"], np.uint64(0))
        return Objects(base, size, inside & (alive != 0), inside & span["noscan"], types)

    def about(self, addresses: Addresses) -> Heap:
        """See HeapMetadata.about: all is copied already."""
        return self

    def alive(self, smallest: int = 1, largest: int = LARGEST_SPAN) -> Iterator[Slots]:
        """All live objects in slots of `smallest` to `largest` bytes, in portions that fit into memory."""
        sizes = self.spans["elemsize"]
        for group, nelems in _alike(self.spans, np.flatnonzero((sizes >= smallest) & (sizes <= largest))):
            packed = self.bits[self.places[group][:, None] + np.arange(_width(nelems))]
            row, index = np.nonzero(_unpacked(packed, nelems))
            span = self.spans[group][row]
            addresses = span["start"] + index.astype(np.uint64) * span["elemsize"]
            yield Slots(addresses, span["elemsize"], span["noscan"])


def read_heap(run: Run, hold: bool = True) -> Heap | None:
    """Copy the heap metadata while the target is held; None, with a note, where it is not found.

    That of a heap of gigabytes takes more than a second: without `hold` it is copied while the target runs, and what
    is allocated or swept meanwhile is as before or as after it.
    """
    with run.held() if hold else nullcontext():
        # What is read while the target runs may be torn.
        tries = 1 if hold or run.still else TRIES
        found = next((spans for spans in (find_spans(run) for _ in range(tries)) if spans is not None), None)
        if found is None:
            run.note(NOT_FOUND)
            return None
        if found.unsound:
            run.note(f"{found.unsound} heap spans hold impossible values: their objects are left out")
        copies = _copies(run, found.spans)
    return replace(_heap(found.spans, copies), unsound=found.unsound)


@dataclass(frozen=True)
class HeapParts:
    """The heap's metadata, read only where it is asked for, and anew each time: that of a running target changes.

    `found` are the spans as they were a while ago: of an address in a newer one nothing is said.
    """

    run: weakref.ref[Run]
    """The run keeps this: a circle of the two would keep all that it opened until the collector comes."""
    found: SpanList

    def about(self, addresses: Addresses) -> Heap:
        """Copy what it says of some addresses; call it while the target is held (see HeapMetadata.about)."""
        known = self.found.spans
        at = np.searchsorted(known["start"], addresses, side="right").astype(np.int64) - 1
        run = self.run()
        assert run is not None, "asked after the end of the request"
        spans = read_again(run, self.found, distinct(at[at >= 0]))
        return _heap(spans, _copies(run, spans))


def sizes_are_exact(run: Run) -> bool:
    """Whether objects are as large as their types ask for: builds with -asan put a red zone behind each."""
    return run.target.program.build.settings.get("-asan") != "true"


def heap_parts(run: Run) -> HeapParts | None:
    """Find the spans of the heap, so that objects can be asked for; None where there are none to be found."""
    found = find_spans(run)
    return None if found is None else HeapParts(weakref.ref(run), found)


def _unknown(count: int) -> Objects:
    """What is said of addresses in no span."""
    nowhere, no = np.zeros(count, np.uint64), np.zeros(count, bool)
    return Objects(nowhere, nowhere, no, no, nowhere)


def _copies(run: Run, spans: Spans) -> list[Bitmaps]:
    return [_copy(run, spans, rows, nelems) for rows, nelems in _alike(spans)]


def _heap(spans: Spans, copies: list[Bitmaps]) -> Heap:
    widths = _width(spans["nelems"].astype(np.int64))
    places = np.cumsum(widths) - widths
    bits = np.zeros(int(widths.sum()), dtype=np.uint8)
    for copy in copies:
        bits[places[copy.rows][:, None] + np.arange(_width(copy.nelems))] = copy.alive(spans[copy.rows])
    return Heap(spans, bits, places)


@dataclass(frozen=True)
class Bitmaps:
    """Bitmaps copied for the spans at `rows`, which have equally many objects, packed.

    `allocated` are those of spans that have free slots at all, `marked` those whose marks matter.
    """

    rows: NDArray[np.int64]
    nelems: int
    allocated: Rows
    marked: Rows

    def alive(self, spans: Spans) -> Rows:
        """Packed bits of the live objects in those spans."""
        alive = np.arange(self.nelems, dtype=np.uint64) < spans["freeindex"][:, None]
        alive[_has_room(spans)] |= _unpacked(self.allocated, self.nelems)
        unswept, begun = _waiting(spans)
        waiting, marked = unswept | begun, _unpacked(self.marked, self.nelems)
        alive[unswept] &= marked[unswept[waiting]]
        alive[begun] |= marked[begun[waiting]]
        return np.packbits(alive, axis=1, bitorder="little")


def _copy(run: Run, spans: Spans, rows: NDArray[np.int64], nelems: int) -> Bitmaps:
    chosen = spans[rows]
    allocated = _read_bits(run, chosen["allocBits"][_has_room(chosen)], nelems)
    unswept, begun = _waiting(chosen)
    waiting = chosen[unswept | begun]
    # Sweeping moves marks out of a span into gcmarkBits: who looks for them in this order sees them in either place.
    inline = _inline_marks(run, waiting, nelems)
    return Bitmaps(rows, nelems, allocated, _read_bits(run, waiting["gcmarkBits"], nelems) | inline)


def _inline_marks(run: Run, spans: Spans, nelems: int) -> Rows:
    """What the collector marked in the spans themselves; nothing where it does not do so."""
    marked = np.zeros((len(spans), _width(nelems)), np.uint8)
    if not run.release.marks_in_spans or _width(nelems) > schema.MARK_BITS:
        return marked
    sizes = spans["elemsize"]
    chosen = np.flatnonzero((sizes >= schema.SMALLEST_MARKED_INLINE) & (sizes <= schema.LARGEST_MARKED_INLINE))
    if not len(chosen):
        return marked
    declared = dtype_of(schema.inline_marks)
    places = spans["start"][chosen] + np.uint64(PAGE_SIZE - declared.itemsize)
    rows, ok = gather(run.memory, run.regions(), places, declared.itemsize)
    rows[~ok] = ALL_SET
    marked[chosen] = rows.view(declared)["marks"][:, 0, : _width(nelems)]
    return marked


def _has_room(spans: Spans) -> NDArray[np.bool_]:
    """Which spans have objects that freeindex says nothing of."""
    has_room: NDArray[np.bool_] = spans["freeindex"] < spans["nelems"]
    return has_room


def _waiting(spans: Spans) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which spans wait to be swept, and which are being swept so far that the marks may be the allocBits already."""
    sweeping = spans["age"] == schema.BEING_SWEPT
    # sweep sets freeindex to 0 before it makes the marks the new allocBits and gives the span fresh ones.
    begun = sweeping & (spans["freeindex"] == 0)
    return np.isin(spans["age"], (schema.UNSWEPT, schema.UNSWEPT_AND_CACHED)) | (sweeping & ~begun), begun


def _read_bits(run: Run, addresses: Addresses, nelems: int) -> Rows:
    """Bitmaps of nelems bits; all are set where they cannot be read (a core cut short), so that nothing seems dead."""
    rows, ok = gather(run.memory, run.regions(), addresses, _width(nelems))
    rows[~ok] = ALL_SET
    return rows


def _unpacked(rows: NDArray[np.uint8], nelems: int) -> NDArray[np.bool_]:
    return np.unpackbits(rows, axis=1, count=nelems, bitorder="little").astype(np.bool_)


def _width(nelems: Count) -> Count:
    """Bytes that hold so many bits."""
    return (nelems + 7) // 8


def _alike(spans: Spans, wanted: NDArray[np.int64] | None = None) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Rows of spans that have equally many objects, with that number, in portions of at most SLOTS_AT_ONCE."""
    rows = np.arange(len(spans)) if wanted is None else wanted
    counts = spans["nelems"][rows]
    for nelems in distinct(counts).tolist():
        group = rows[counts == nelems]
        step = max(1, SLOTS_AT_ONCE // nelems)
        for first in range(0, len(group), step):
            yield group[first : first + step], nelems
