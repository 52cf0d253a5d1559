"""Which objects of the heap lead to which, and what some of them keep alive alone.

Each word of an object that the collector follows, of the variables and of the goroutines' stacks counts as a reference
to the object in use that it lies in. No type is needed. A word that is not a pointer may look like one: then more seems
to lead to an object than does, and what is kept alone is more than what is counted. Objects that nothing leads to keep
nothing: the next collection takes them away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.heap.objects import Heap
from inspector.heap.pointers import Followed
from inspector.heap.roots import Root
from inspector.memory.protocol import Addresses, Memory, Region
from inspector.memory.sets import distinct

WORD = 8
PIECE = 1 << 24
"""Bytes that are looked through at once."""

MOST_REFERENCES = 1 << 25
"""References that are kept at most: they take a gigabyte."""

ROOT = -1
"""Stands for the number of an object where a reference is in a variable or on a stack."""

FEW, MANY = 32, 1 << 12
"""From so few objects on they are followed one by one: a list of a million elements has a million levels."""

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_Found = tuple[NDArray[np.int32], NDArray[np.int32], Addresses]
"""References: the objects that they are in, or ROOT; the objects that they lead to; where they lie."""


@dataclass(frozen=True)
class Retained:
    """What some places keep alive alone: objects, and the bytes of their slots.

    `reached` counts the bytes of all that they lead to.
    """

    objects: int
    bytes: int
    reached: int


@dataclass(frozen=True)
class _Edges:
    """References in the order of the object at one end: those of object i are from `first[i]` to `first[i + 1]`.

    `others` are the numbers of the objects at the other end, `words` where each reference lies.
    """

    first: Numbers
    others: NDArray[np.int32]
    words: Addresses

    @staticmethod
    def by(ends: NDArray[np.int32], others: NDArray[np.int32], words: Addresses, count: int) -> _Edges:
        order = np.argsort(ends, kind="stable")
        first = np.searchsorted(ends[order], np.arange(count + 1))
        return _Edges(first.astype(np.int64), others[order], words[order])

    def of(self, objects: Numbers) -> tuple[Numbers, Numbers]:
        """The numbers of the references of some objects, and for each of them which of the objects it is of."""
        counts = self.first[objects + 1] - self.first[objects]
        which = np.repeat(np.arange(len(objects)), counts)
        return np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + self.first[objects][which], which


class TooManyReferences(Exception):
    """There are more references than can be kept."""


class References:
    """All references of a heap at rest. `incomplete` says that some memory could not be read."""

    def __init__(
        self,
        heap: Heap,
        memory: Memory,
        pointers: Sequence[Region],
        roots: Iterable[Root],
        others: Addresses,
        followed: Followed,
        ignored: Addresses,
    ) -> None:
        """`pointers` are the parts of the heap with objects that hold pointers.

        What `others` lead to, words of registers and of special records, is kept, too, and so is what that leads to;
        yet they themselves count as no references: a finalizer is there for the sake of its object. What objects at
        `ignored` addresses hold counts as none either. Raises TooManyReferences.
        """
        self._ignored, self._followed = ignored, followed
        self.heap, self.memory, self.incomplete = heap, memory, False
        alive = list(heap.alive())
        bases = np.concatenate([part.addresses for part in alive] or [np.empty(0, np.uint64)])
        order = np.argsort(bases)
        self.bases = bases[order]
        self.sizes = np.concatenate([part.sizes for part in alive] or [np.empty(0, np.uint64)])[order]
        self._low = int(heap.spans["start"][0]) if len(heap.spans) else 0
        self._high = int(heap.spans["end"][-1]) if len(heap.spans) else 0
        self._kept = 0
        found = [_NOTHING, *self._in(map(Root, pointers), True), *self._in(roots, False)]
        sources, targets = (np.concatenate([part[at] for part in found]) for at in (0, 1))
        words = np.concatenate([part[2] for part in found])
        rooted = sources == ROOT
        self._from_roots = _Edges.by(np.zeros(int(rooted.sum()), np.int32), targets[rooted], words[rooted], 1)
        self._to = _Edges.by(targets, sources, words, len(self.bases))
        self._from = _Edges.by(sources[~rooted], targets[~rooted], words[~rooted], len(self.bases))
        self._stamps = np.zeros(len(self.bases), np.int32)
        self._stamp = 0
        seeds = np.concatenate((targets[rooted], self._holding(others)))
        nowhere = _Ranges(np.empty(0, np.uint64), np.empty(0, np.uint64))
        self._reachable = np.zeros(len(self.bases), bool)
        self._reachable[self._spread(seeds[seeds >= 0].astype(np.int64), self._next(), None, nowhere)] = True

    def retained(self, places: Sequence[tuple[int, int]]) -> Retained:
        """What would be free if nothing led on from some places, given as addresses and sizes, nor kept them.

        A place that is an object counts itself; one inside of an object, or outside of the heap, only what it leads to.
        Of places that nothing leads to it is what nothing but they led to.
        """
        starts = np.array(sorted({address for address, _ in places}), np.uint64)
        sizes = np.array([size for _, size in sorted(dict(places).items())], np.uint64)
        whole = self._numbers(starts)
        own = distinct(whole[whole >= 0])
        inside = _Ranges(starts[whole < 0], sizes[whole < 0])
        reached = self._spread(np.concatenate((own, self._led_to(inside))), self._next(), None, inside)
        mark = self._stamp
        holders = self._holding(starts)
        kept = (holders < 0) | self._reachable[np.maximum(holders, 0)] if len(self.bases) else holders < 0
        escaped = self._escaped(reached, own, mark, inside, bool(kept.any()))
        kept_elsewhere = self._spread(escaped, self._next(), (mark, own), inside)
        bytes_reached = int(self.sizes[reached].sum())
        return Retained(
            len(reached) - len(kept_elsewhere), bytes_reached - int(self.sizes[kept_elsewhere].sum()), bytes_reached
        )

    # Finding references

    def _in(self, roots: Iterable[Root], in_heap: bool) -> Iterator[_Found]:
        for root in roots:
            region = root.region
            for start in range(region.start, region.end, PIECE):
                size = (min(start + PIECE, region.end) - start) // WORD * WORD
                try:
                    words = np.frombuffer(self.memory.read(start, size), np.uint64)
                except UnreadableMemory:
                    self.incomplete = True
                    continue
                inside = (words - np.uint64(self._low)) < np.uint64(self._high - self._low)
                if root.followed is not None:
                    first = (start - region.start) // WORD
                    inside &= root.followed[first : first + len(words)]
                likely = np.flatnonzero(inside)
                yield self._real(words[likely], np.uint64(start) + likely.astype(np.uint64) * np.uint64(WORD), in_heap)

    def _real(self, pointers: Addresses, places: Addresses, in_heap: bool) -> _Found:
        targets = self._holding(pointers)
        # What lies between spans with pointers is read with them.
        sources = self._holding(places, scanned=True) if in_heap else np.full(len(places), ROOT, np.int32)
        real = (targets >= 0) & ((sources >= 0) | (not in_heap)) & (sources != targets)
        if in_heap:
            real &= ~np.isin(sources, self._holding(self._ignored))
            real[real] = self._followed(places[real])
        self._kept += int(np.count_nonzero(real))
        if self._kept > MOST_REFERENCES:
            raise TooManyReferences
        return sources[real], targets[real], places[real]

    def _holding(self, addresses: Addresses, scanned: bool = False) -> NDArray[np.int32]:
        """The numbers of the objects in use that addresses lie in, -1 for none, or where they hold no pointers."""
        objects = self.heap.objects(addresses)
        numbers = np.searchsorted(self.bases, objects.base).astype(np.int32)
        return np.where(objects.alive & ~(objects.noscan & scanned), numbers, np.int32(-1))

    def _numbers(self, addresses: Addresses) -> Numbers:
        """The numbers of the objects in use that begin at addresses, -1 for none."""
        held = self._holding(addresses).astype(np.int64)
        if not len(self.bases):
            return held
        return np.where((held >= 0) & (self.bases[np.maximum(held, 0)] == addresses), held, -1)

    # Following them

    def _next(self) -> int:
        self._stamp += 1
        return self._stamp

    def _led_to(self, inside: _Ranges) -> Numbers:
        """The objects that references in some ranges lead to."""
        if not len(inside.starts):
            return np.empty(0, np.int64)
        parts = [edges.others[inside.hold(edges.words)] for edges in (self._from, self._from_roots)]
        return distinct(np.concatenate(parts)).astype(np.int64)

    def _escaped(self, reached: Numbers, own: Numbers, mark: int, inside: _Ranges, kept: bool) -> Numbers:
        """Those of the objects reached that something else leads to: a root, or an object that was not reached.

        If the places are `kept` themselves, such an object must be kept, too.
        """
        numbers, which = self._to.of(reached)
        sources = self._to.others[numbers]
        others = self._stamps[sources] != mark
        if kept:
            others &= self._reachable[sources]
        others |= sources == ROOT
        others &= ~inside.hold(self._to.words[numbers])
        return np.setdiff1d(reached[distinct(which[others])], own)

    def _spread(self, seeds: Numbers, stamp: int, within: tuple[int, Numbers] | None, inside: _Ranges) -> Numbers:
        """All objects that some lead to, with these: `within` those of an earlier stamp, and not through its own."""
        stamps = self._stamps
        if within is not None:
            stamps[within[1]] = 0
        front = distinct(seeds)
        stamps[front] = stamp
        found = [front]
        while len(front):
            if len(front) < FEW:
                front, passed = self._one_by_one(front, stamp, within, inside)
                found.append(passed)
                continue
            numbers, _ = self._from.of(front)
            targets = self._from.others[numbers]
            if within is not None:
                targets = targets[(stamps[targets] == within[0]) & ~inside.hold(self._from.words[numbers])]
            front = distinct(targets[stamps[targets] != stamp]).astype(np.int64)
            stamps[front] = stamp
            found.append(front)
        return np.concatenate(found)

    def _one_by_one(
        self, front: Numbers, stamp: int, within: tuple[int, Numbers] | None, inside: _Ranges
    ) -> tuple[Numbers, Numbers]:
        """The same without arrays, for a while: what is left to follow, and what was found."""
        stamps, edges, waiting, found = self._stamps, self._from, front.tolist(), list[int]()
        for _ in range(MANY):
            if not waiting or len(waiting) > MANY:
                break
            one = waiting.pop()
            begin, end = int(edges.first[one]), int(edges.first[one + 1])
            targets = edges.others[begin:end]
            if within is not None and len(inside.starts):
                targets = targets[~inside.hold(edges.words[begin:end])]
            for target in targets.tolist():
                if stamps[target] != stamp and (within is None or stamps[target] == within[0]):
                    stamps[target] = stamp
                    waiting.append(target)
                    found.append(target)
        return np.array(waiting, np.int64), np.array(found, np.int64)


@dataclass(frozen=True)
class _Ranges:
    """Ranges of memory in ascending order."""

    starts: Addresses
    sizes: NDArray[np.uint64]

    def hold(self, addresses: Addresses) -> Mask:
        """Which addresses lie in one of them."""
        if not len(self.starts):
            return np.zeros(len(addresses), bool)
        at = np.maximum(np.searchsorted(self.starts, addresses, side="right") - 1, 0)
        return np.asarray((addresses - self.starts[at]) < self.sizes[at])


_NOTHING: _Found = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint64))
