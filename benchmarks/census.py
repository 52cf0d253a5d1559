"""How fast a heap is searched for maps, and how much memory that takes.

Run it with `python -m benchmarks.census [MIB]`. A Go program fills that much of a heap (2048). Measured are the search
of the whole heap for words shaped like a header, as it is done where the heap metadata is not found; the search of
those slots that the heap metadata says may be one; and a bare copy of the same bytes. Memory is the peak above what the
interpreter has with everything imported and the program's types read; the maps are proven afterwards, and not measured
here.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fixtures import USUAL, build, start
from inspector.census.scan import PIECE, scan
from inspector.census.territory import survey
from inspector.heap.extent import heap_regions
from inspector.maps.family import Arena
from inspector.memory.protocol import Region
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target

MIB = 1 << 20
USUAL_SIZE = 2048
SHARE = 3
"""The program takes no more than one part in so many of the memory that is free."""


def main() -> None:
    """Measure and print."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_SIZE
    size = min(wanted, _available() // SHARE // MIB)
    if size < wanted:
        print(f"{wanted} MiB would not leave this machine enough memory: {size} MiB are taken")
    program = build("bulk", USUAL)
    with start(program, str(size)) as running, open_target(str(running.pid), memory="direct") as target:
        _ = target.program.types, target.program.hash_keys
        regions = heap_regions(Run(target))
        total = sum(region.end - region.start for region in regions)
        print(f"a heap of {total / MIB:,.0f} MiB")
        # The peak of what comes first is its own; later peaks are only seen where they are higher.
        before = _peak()
        _report("whole heap", total, lambda: _search(target, regions))
        print(f"  peak memory above the interpreter's: {(_peak() - before) / MIB:,.1f} MiB")
        territory = survey(Run(target))
        _report("slots by metadata", territory.size, lambda: _search(target, territory.slots))
        print(f"  peak memory with the metadata: {(_peak() - before) / MIB:,.1f} MiB")
        _report("bare copy", total, lambda: _copy(target, regions))


def _search(target: Target, regions: list[Region]) -> str:
    arena = Arena(regions[0].start, regions[-1].end)
    run = Run(target)
    found = sum(len(piece.headers) for piece in scan(run, regions, arena))
    return f"{found:,} candidates"


def _copy(target: Target, regions: list[Region]) -> str:
    for region in regions:
        for at in range(region.start, region.end, PIECE):
            target.memory.read(at, min(PIECE, region.end - at))
    return ""


def _report(what: str, size: int, work: Callable[[], str]) -> None:
    started, busy = time.perf_counter(), time.process_time()
    said = work()
    seconds, own = time.perf_counter() - started, time.process_time() - busy
    print(
        f"{what:20} {size / MIB:8,.0f} MiB {seconds:7.2f} s {size / seconds / 1e6:8,.0f} MB/s "
        f"{size / own / 1e6:8,.0f} MB per second of one core  {said}"
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _available() -> int:
    """Bytes that can be had without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


if __name__ == "__main__":
    main()
