"""Where a program's heap lies: in the arenas that its spans are in. Since 1.26 the kernel may place them anywhere.

Source: mheap.sysAlloc and mallocinit in runtime/malloc.go. Where the spans are not found, everything that may be the
heap is taken for it: memory that can be written and maps no file.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from inspector.goruntime.heap import ARENA_SIZE
from inspector.heap.spans import LARGEST_SPAN, Spans, find_spans
from inspector.memory.protocol import Region, RegionMap
from inspector.memory.sets import distinct
from inspector.target.run import Run

HEAP_NAMES = frozenset(f"[anon: Go: {name}]" for name in ("heap", "heap reservation", "used", "unused"))
"""How the kernel may call regions of the heap since 1.25 (decoratemappings, on for modules since go 1.25).

The last two stand for parts that were given back to the kernel and taken again (GODEBUG=harddecommit=1).
"""

ANONYMOUS = "[anon"
"""How names of regions begin that map no file."""


def heap_regions(run: Run) -> list[Region]:
    """The readable memory that the heap lies in; the heap metadata is read for it while the target runs."""
    found = find_spans(run)
    return regions_of_spans(run, found.spans) if found is not None else likely_regions(run.memory.regions())


def regions_of_spans(run: Run, spans: Spans) -> list[Region]:
    """The readable parts of all arenas that spans lie in (inspector.heap.spans.SPAN), sorted."""
    first, last = spans["start"] // np.uint64(ARENA_SIZE), (spans["end"] - np.uint64(1)) // np.uint64(ARENA_SIZE)
    arenas = {int(at) for at in distinct(np.concatenate([first, last]))}
    # An object may fill many arenas.
    for at in np.flatnonzero(last - first > 1).tolist():
        arenas.update(range(int(first[at]), int(last[at])))
    whole = RegionMap(Region(at * ARENA_SIZE, (at + 1) * ARENA_SIZE) for at in arenas)
    found = []
    for region in run.memory.regions():
        for start, end in zip(whole.starts.tolist(), whole.ends.tolist(), strict=True):
            low, high = max(region.start, start), min(region.end, end)
            if low < high and region.writable:
                found.append(Region(low, high, region.name))
    return sorted(found, key=lambda region: region.start)


def likely_regions(regions: Iterable[Region]) -> list[Region]:
    """Those that may be heap where no metadata says so: all of such names, else anonymous memory that is writable."""
    regions = [region for region in regions if region.writable and region.end - region.start < LARGEST_SPAN]
    named = [region for region in regions if region.name in HEAP_NAMES]
    anonymous = [region for region in regions if not region.name or region.name.startswith(ANONYMOUS)]
    return sorted(named or anonymous, key=lambda region: region.start)
