"""Where the headers of maps can lie: slots of their size in the heap, the stacks of goroutines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from inspector.goroutines.everyone import LARGEST_STACK, find_allgs, read_goroutines
from inspector.goruntime.goroutine import DEAD, SCANNED
from inspector.goruntime.sizes import MALLOC_HEADER_SIZE, roundup_size
from inspector.heap.extent import likely_regions, regions_of_spans
from inspector.heap.objects import Heap, read_heap
from inspector.heap.spans import Spans
from inspector.maps.family import Arena, Family, Headers, Source
from inspector.memory.protocol import Addresses, Region, RegionMap
from inspector.target.run import Run

NEAR = 1 << 20
"""Bytes between two spans that are copied with them."""

WORD = 8


@dataclass(frozen=True)
class Territory:
    """The memory to look through: `slots` in the heap and `stacks`, both without what is known to be out of use.

    `pointers` are the parts of the heap whose objects hold pointers. `arena` spans the whole heap; `heap` is its
    metadata, None where it was not found and `slots` is everything. A header is in a slot of `header_size` bytes.
    """

    family: Family
    arena: Arena
    slots: list[Region]
    stacks: list[Region]
    pointers: list[Region]
    heap: Heap | None
    header_size: int

    @property
    def size(self) -> int:
        """Bytes to look through."""
        return sum(region.end - region.start for region in (*self.slots, *self.stacks))

    def source(self, run: Run) -> Source:
        """Where maps are read from, with the heap's metadata as it was when the territory was surveyed."""
        return replace(run.source(), heap=self.heap)

    def header_objects(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which addresses begin an object in use of the size that headers have."""
        if self.heap is None:
            return np.ones(len(addresses), dtype=bool)
        own = self.heap.objects(addresses)
        return np.asarray(own.alive & (own.base == addresses) & (own.size == self.header_size))

    def holds_header(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which addresses begin an object in use of the size that headers have, or lie on a stack."""
        return np.asarray(self.header_objects(addresses) | self.on_stack(addresses))

    def worth_proving(self, headers: Headers) -> Headers:
        """Those candidates that lie where a header can be, lead to an object in use, and have something to prove."""
        headers = headers.where(self.family.plausible(headers.rows, self.arena) & self.family.provable(headers.rows))
        if self.heap is None:
            return headers
        storage = self.family.storage(headers.rows)
        led_to = self.heap.objects(storage)
        # Objects with pointers may have a malloc header before them.
        there = led_to.alive & (storage - led_to.base <= MALLOC_HEADER_SIZE)
        # What a map on a stack leads to may be there, too.
        there |= (led_to.size == 0) & self.on_stack(headers.addresses)
        return headers.where(there & self.holds_header(headers.addresses))

    def in_heap(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which addresses lie where the heap is; without its metadata other memory may lie between its parts."""
        inside = np.asarray((addresses - np.uint64(self.arena.start)) < np.uint64(self.arena.size))
        if self.heap is None:
            inside[inside] = self._slot_map.contains(addresses[inside], 1)
        return inside

    def on_stack(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which addresses lie on the stacks of goroutines."""
        return self._stack_map.contains(addresses, 1)

    @cached_property
    def _stack_map(self) -> RegionMap:
        return RegionMap(self.stacks)

    @cached_property
    def _slot_map(self) -> RegionMap:
        return RegionMap(self.slots)


def survey(run: Run) -> Territory:
    """Find out where to look; where the heap metadata is not found, everywhere in the heap."""
    family = run.family
    size = roundup_size(run.release, family.header_dtype(run.release).itemsize, False)
    # A stop for the metadata of a large heap would be longer than any other.
    heap = read_heap(run, hold=False)
    regions = regions_of_spans(run, heap.spans) if heap is not None else likely_regions(run.memory.regions())
    arena = Arena(regions[0].start, regions[-1].end) if regions else Arena(0, 0)
    if heap is None:
        return Territory(family, arena, regions, [], regions, None, size)
    readable, scanned = run.regions(), ~heap.spans["noscan"]
    slots = _joined(heap.spans[scanned & (heap.spans["elemsize"] == size)], readable)
    return Territory(family, arena, slots, _stacks(run), _joined(heap.spans[scanned], readable), heap, size)


def _joined(spans: Spans, readable: RegionMap) -> list[Region]:
    """Spans that lie close together as one, with what is between them: a stop costs more than to copy that."""
    joined: list[Region] = []
    for start, end in zip(spans["start"].tolist(), spans["end"].tolist(), strict=True):
        last = joined[-1] if joined else None
        if last and start - last.end <= NEAR and readable.covers(last.start, end - last.start):
            joined[-1] = Region(last.start, end)
        else:
            joined.append(Region(start, end))
    return joined


def _stacks(run: Run) -> list[Region]:
    """What is in use of the stacks of all goroutines; none where runtime.allgs is not found."""
    allgs = find_allgs(run)
    if allgs is None:
        return []
    rows, running = run.copied(partial(_goroutines, run, allgs))
    stacks = []
    for one in rows:
        if int(one["atomicstatus"]) & ~SCANNED in DEAD:
            continue  # its stack is kept for the next goroutine, and nothing on it is in use
        low, high = int(one["stack"]["lo"]), int(one["stack"]["hi"])
        if not 0 < high - low <= LARGEST_STACK:
            continue
        # A goroutine that is on a thread has its stack pointer there.
        now = [sp for sp in running if low <= sp < high]
        top = now[0] if now else int(one["sched"]["sp"])
        stacks.append(Region((top if low <= top < high else low) & -WORD, high))
    return sorted(stacks, key=lambda stack: stack.start)


def _goroutines(run: Run, allgs: int) -> tuple[NDArray[np.void], set[int]]:
    """All goroutines, as rows of runtime.g, and the stack pointers of all threads."""
    return read_goroutines(run, allgs), {thread.sp for thread in run.threads()}
