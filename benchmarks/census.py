"""How fast a heap is searched for maps, and how fast the maps found are judged, for both families.

Run it with `python -m benchmarks.census [MIB [MAPS]]`. A Go program fills that much of a heap (2048). Measured are the
search of the whole heap for words shaped like a header, as it is done where the heap metadata is not found; the search
of those slots that the heap metadata says may be one; and a bare copy of the same bytes. Memory is the peak above what
the interpreter has with everything imported and the program's types read.

Then a whole census is taken of a program with thousands of maps of many types (MAPS sets how many of each kind: 80):
maps judged in a second of processor time and of all, how long the process was held for each map, and the longest stop.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from inspector.census import take_census
from inspector.census.scan import PIECE, scan
from inspector.census.territory import survey
from inspector.heap.extent import heap_regions
from inspector.maps.family import Arena
from inspector.memory.protocol import Region
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target

MIB = 1 << 20
USUAL_SIZE, USUAL_MAPS = 2048, 80
FAMILIES = {"classic": USUAL, "swiss": SWISS_RELEASES[-1]}
SHARE = 3
"""The program takes no more than one part in so many of the memory that is free."""


def main() -> None:
    """Measure and print."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_SIZE
    size = min(wanted, _available() // SHARE // MIB)
    if size < wanted:
        print(f"{wanted} MiB would not leave this machine enough memory: {size} MiB are taken")
    maps = int(sys.argv[2]) if len(sys.argv) > 2 else USUAL_MAPS
    # The peak of memory only rises, so the first family's is its own; the other's is seen where it is higher.
    for family, toolchain in FAMILIES.items():
        _scan(family, toolchain, size)
    for family, toolchain in FAMILIES.items():
        _judge(family, toolchain, maps)


def _scan(family: str, toolchain: Toolchain, size: int) -> None:
    """Search a large heap."""
    program = build("bulk", toolchain)
    with start(program, str(size)) as running, open_target(str(running.pid), memory="direct") as target:
        _ = target.program.types, target.program.hash_keys
        regions = heap_regions(Run(target))
        total = sum(region.end - region.start for region in regions)
        print(f"{family} ({toolchain.name}): a heap of {total / MIB:,.0f} MiB")
        # The peak of what comes first is its own; later peaks are only seen where they are higher.
        before = _peak()
        _report("  whole heap", total, lambda: _search(target, regions))
        print(f"    peak memory above the interpreter's: {(_peak() - before) / MIB:,.1f} MiB")
        territory = survey(Run(target))
        _report("  slots by metadata", territory.size, lambda: _search(target, territory.slots))
        print(f"    peak memory with the metadata: {(_peak() - before) / MIB:,.1f} MiB")
        _report("  bare copy", total, lambda: _copy(target, regions))


def _judge(family: str, toolchain: Toolchain, maps: int) -> None:
    """Take a census of thousands of maps, as fast as it goes."""
    program = build("census", toolchain)
    with start(program, str(maps)) as running, open_target(str(running.pid), memory="direct") as target:
        _ = target.program.types, target.program.hash_keys
        busy = time.process_time()
        census = take_census(target, max_share=None)
        own = time.process_time() - busy
    count, timing = len(census.maps), census.timing
    print(
        f"{family} ({toolchain.name}): {count:,} maps, {count / own:,.0f} judged per second of one core "
        f"({count / timing.total * 1000:,.0f} in all)\n"
        f"    held for {timing.stopped / count * 1000:,.0f} us a map, {timing.longest_stop:.1f} ms at most"
    )


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
