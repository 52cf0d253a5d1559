"""Which objects of the heap anything leads to: what a collection that began now would keep (runtime/mgcmark.go).

Each word that it begins with counts as a reference to the object in use that it lies in, and so does each word of an
object that may hold pointers. No type is needed. A word that is no pointer may look like one: more is marked, then,
than a collection would keep, never less.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.heap.objects import Heap
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Memory, Region, RegionMap
from inspector.memory.sets import distinct

logger = logging.getLogger(__name__)

WORD = 8
PIECE = 1 << 24
"""Bytes that are looked through at once."""

MOST_SLOTS = 1 << 28
"""Slots of a heap that is marked: each takes a byte of ours."""

MOST_BYTES = 1 << 36
"""Bytes of objects with pointers, most of which may never have been written: they take half a minute."""

FEW, MOST_ALONE = 16, 1 << 17
"""So few objects are followed one by one, as those of lists are, and so many of them: they take about five seconds."""

RELIEVED = 1 << 20
"""Bytes that are read before the pages that they lie in are given back: those may be many more."""

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


class NotMarked(Exception):
    """What leads where could not be found out, for the reason that it says."""


class Marking:
    """Marks of a heap at rest. Slot i of span s has the number `8 * places[s] + i`, as in Heap.bits."""

    def __init__(self, heap: Heap, memory: Memory, regions: RegionMap, relieve: Callable[[], None]) -> None:
        """`relieve` is called now and then, after a lot was read. Raises NotMarked for a heap that is too large."""
        scanned = heap.spans[~heap.spans["noscan"]]
        size = int((scanned["end"] - scanned["start"]).sum())
        if len(heap.bits) * WORD > MOST_SLOTS or size > MOST_BYTES:
            raise NotMarked("the heap is too large")
        self._memory, self._regions, self._bits = memory, regions, heap.bits
        self._relieve, self._read_since = relieve, 0
        self._start, self._end, self._size = (
            np.ascontiguousarray(heap.spans[at]) for at in ("start", "end", "elemsize")
        )
        self._noscan = np.ascontiguousarray(heap.spans["noscan"])
        self._first = heap.places * WORD
        self._marks = np.zeros(len(heap.bits) * WORD, bool)

    def mark(self, roots: Iterable[Region], words: Addresses) -> None:
        """Mark what some memory and some `words`, those of registers, lead to. Raises NotMarked."""
        front = [self._new(words)]
        front += [self._new(self._read(*piece)) for root in roots for piece in _pieces(root.start, root.end)]
        waiting, alone = np.concatenate(front), 0
        while len(waiting):
            if len(waiting) > FEW:
                waiting = np.concatenate([self._new(found) for found in self._inside(waiting)])
                continue
            alone += 1
            if alone > MOST_ALONE:
                raise NotMarked("references lead through too many objects, one behind the other")
            waiting = np.concatenate((waiting[:-1], self._new(self._words_of(int(waiting[-1])))))
        logger.debug("%d objects are reached, %d of them alone", np.count_nonzero(self._marks), alone)

    def reached(self, addresses: Addresses) -> Mask:
        """Which addresses lie in a marked object, or in none."""
        span, inside = self._spans_of(addresses)
        slot = np.where(inside, (addresses - self._start[span]) // self._size[span], np.uint64(0)).astype(np.int64)
        return ~inside | self._marks[np.where(inside, self._first[span] + slot, 0)]

    def _spans_of(self, addresses: Addresses) -> tuple[Numbers, Mask]:
        span = np.maximum(np.searchsorted(self._start, addresses, side="right").astype(np.int64) - 1, 0)
        return span, (addresses >= self._start[span]) & (addresses < self._end[span])

    def _new(self, words: Addresses) -> Numbers:
        """Mark the objects in use that words lie in; returns the numbers of those that may lead on, and were not."""
        if not len(self._start):
            return np.empty(0, np.int64)
        words = words[(words - self._start[0]) < self._end[-1] - self._start[0]]
        span, inside = self._spans_of(words)
        span, words = span[inside], words[inside]
        number = self._first[span] + ((words - self._start[span]) // self._size[span]).astype(np.int64)
        alive = self._bits[number >> 3] >> (number & 7).astype(np.uint8) & 1
        fresh = (alive != 0) & ~self._marks[number]
        number, at = np.unique(number[fresh], return_index=True)
        self._marks[number] = True
        leading: Numbers = number[~self._noscan[span[fresh][at]]]
        return leading

    def _inside(self, numbers: Numbers) -> Iterator[Addresses]:
        """The words of some objects."""
        span = np.searchsorted(self._first, numbers, side="right") - 1
        sizes = self._size[span]
        starts = self._start[span] + (numbers - self._first[span]).astype(np.uint64) * sizes
        for size in distinct(sizes).tolist():
            chosen = starts[sizes == size]
            if size > PIECE:
                for start in chosen.tolist():
                    yield from (self._read(*piece) for piece in _pieces(start, start + size))
                continue
            step = max(1, RELIEVED // size)
            for at in range(0, len(chosen), step):
                rows, ok = gather(self._memory, self._regions, chosen[at : at + step], size)
                if not ok.all():
                    raise NotMarked("some memory cannot be read")
                yield rows.reshape(-1).view(np.uint64)
                self._count(rows.size)

    def _count(self, size: int) -> None:
        self._read_since += size
        if self._read_since > RELIEVED:
            self._read_since = 0
            self._relieve()

    def _words_of(self, number: int) -> Addresses:
        """The words of one object."""
        span = int(np.searchsorted(self._first, number, side="right")) - 1
        size = int(self._size[span])
        if size > PIECE:
            return np.concatenate(list(self._inside(np.array([number]))))
        return self._read(int(self._start[span]) + (number - int(self._first[span])) * size, size)

    def _read(self, start: int, size: int) -> Addresses:
        self._count(size)
        try:
            return np.frombuffer(self._memory.read(start, size), np.uint64)
        except UnreadableMemory:
            raise NotMarked("some memory cannot be read") from None


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each piece of a range begins, and its bytes; a last part of a word is left out."""
    end -= (end - start) % WORD
    return ((at, min(PIECE, end - at)) for at in range(start, end, PIECE))
