"""Where the headers of maps can lie: slots of their size in the heap, the stacks of goroutines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from construct import ConstructError
from numpy.typing import NDArray

from inspector.census.scan import Arena, Headers
from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.goroutine import g
from inspector.goruntime.hmap import hmap
from inspector.goruntime.releases import MALLOC_HEADER_SIZE
from inspector.goruntime.scalars import slice_header
from inspector.heap.objects import Heap, read_heap
from inspector.heap.spans import Spans
from inspector.maps.classic.mirror.growth import roundup_size
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Region, RegionMap
from inspector.target.run import Run

HEAP_START = 0xC000000000
HEAP_END = 0xE000000000
"""Go's arenas on linux/amd64 grow from the first on (runtime.mallocinit); 128 GiB of them are looked through."""

MOST_GOROUTINES = 1 << 22
LARGEST_STACK = 1 << 30
NEAR = 1 << 20
"""Bytes between two spans that are copied with them."""

WORD = 8


@dataclass(frozen=True)
class Territory:
    """The memory to look through: `slots` in the heap and `stacks`, both without what is known to be out of use.

    `pointers` are the parts of the heap whose objects hold pointers. `arena` spans the whole heap; `heap` are its
    books, None where they were not found and `slots` is everything. An hmap is in a slot of `header_size` bytes.
    """

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

    def holds_header(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which addresses begin an object in use of a size for an hmap, or lie on a stack."""
        if self.heap is None:
            return np.ones(len(addresses), dtype=bool)
        own = self.heap.objects(addresses)
        fits = own.alive & (own.base == addresses) & (own.size == self.header_size)
        return np.asarray(fits | self.on_stack(addresses))

    def alive(self, headers: Headers) -> NDArray[np.bool_]:
        """Which candidates are where an hmap can be, with buckets that begin an object in use, too."""
        if self.heap is None:
            return np.ones(len(headers), dtype=bool)
        buckets = self.heap.objects(headers.rows["buckets"])
        # Objects with pointers may have a malloc header before them.
        there = buckets.alive & (headers.rows["buckets"] - buckets.base <= MALLOC_HEADER_SIZE)
        # The buckets of a map on a stack may be there, too.
        there |= (buckets.size == 0) & self.on_stack(headers.addresses)
        return np.asarray(there & self.holds_header(headers.addresses))

    def room(self, buckets: Addresses) -> NDArray[np.uint64]:
        """Bytes from each address to the end of the heap object it is in; 0 where the heap's books do not tell."""
        if self.heap is None:
            return np.zeros(len(buckets), np.uint64)
        there = self.heap.objects(buckets)
        return np.where(there.size > 0, there.size - (buckets - there.base), np.uint64(0))

    def on_stack(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which addresses lie on the stacks of goroutines."""
        return self._stack_map.contains(addresses, 1)

    @cached_property
    def _stack_map(self) -> RegionMap:
        return RegionMap(self.stacks)


def survey(run: Run) -> Territory:
    """Find out where to look; where the heap's books are not found, everywhere in the heap."""
    regions = [region for region in run.memory.regions() if HEAP_START <= region.start < HEAP_END]
    arena = Arena(regions[0].start, regions[-1].end) if regions else Arena(HEAP_START, HEAP_START)
    size = roundup_size(run.release, hmap(run.release).sizeof(), False)
    # A stop for the books of a large heap would be longer than any other.
    heap = read_heap(run, hold=False)
    if heap is None:
        return Territory(arena, regions, [], regions, None, size)
    readable, scanned = run.regions(), ~heap.spans["noscan"]
    slots = _joined(heap.spans[scanned & (heap.spans["elemsize"] == size)], readable)
    return Territory(arena, slots, _stacks(run), _joined(heap.spans[scanned], readable), heap, size)


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
    """What is in use of the stacks of all goroutines (runtime.allgs); none where the symbol is missing."""
    symbol = run.image.symbol("runtime.allgs")
    if symbol is None:
        return []
    try:
        rows, running = run.copied(partial(_goroutines, run, symbol.address))
    except (UnreadableMemory, ConstructError):
        return []
    stacks = []
    for one in rows:
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
    declared = dtype_of(g(run.release))
    everyone = slice_header.parse(run.memory.read(allgs, slice_header.sizeof()))
    if not 0 < everyone.len <= MOST_GOROUTINES:
        return np.empty(0, declared), set()
    pointers = np.frombuffer(run.memory.read(everyone.data, everyone.len * WORD), np.uint64)
    rows, ok = gather(run.memory, run.regions(), pointers, declared.itemsize)
    return rows[ok].view(declared)[:, 0], {thread.sp for thread in run.threads()}
