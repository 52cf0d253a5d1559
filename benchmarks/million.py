"""How long a map of a million entries takes, of both families, beside bare copies of as many bytes in the same run.

Run it with `python -m benchmarks.million [ROUNDS]`. Each round does all ways in turn, so that a change of
the machine's speed meets them alike; printed are medians, and ratios to the bare copy of the same round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.inspection.one_map import Inspection, inspect
from inspector.memory.process import ProcessMemory
from inspector.target.opening import open_target
from inspector.target.target import Target

MAPS = (("main.m64", "map[int64]int64"), ("main.mstr", "map[string]int64"))
FAMILIES = {"classic": USUAL, "swiss": SWISS_RELEASES[-1]}
WAYS = ("bare copy", "held", "whole inspection")


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with ExitStack() as stack:
        targets: dict[str, Target] = {}
        for family, toolchain in FAMILIES.items():
            running = stack.enter_context(start(build("million", toolchain)))
            targets[family] = stack.enter_context(open_target(str(running.pid), memory="direct"))
        for variable, type_name in MAPS:
            _compare(targets, variable, type_name, rounds)


def _compare(targets: dict[str, Target], variable: str, type_name: str, rounds: int) -> None:
    measures = {family: _Measure(target, variable, type_name) for family, target in targets.items()}
    for _ in range(rounds):
        for measure in measures.values():
            measure.again()
    for family, measure in measures.items():
        measure.show(family)
    ratios = [
        swiss / classic
        for swiss, classic in zip(*(measures[family].times[WAYS[-1]] for family in ("swiss", "classic")), strict=True)
    ]
    print(f"  {'swiss / classic':25} {statistics.median(ratios):8.2f} x, the whole inspection")


class _Measure:
    """The times of one map in one target, in milliseconds."""

    def __init__(self, target: Target, variable: str, type_name: str) -> None:
        assert target.pid is not None
        self.target, self.variable, self.type_name = target, variable, type_name
        self.memory = ProcessMemory(target.pid)
        sample = _inspect(target, variable, type_name)
        assert sample.snapshot is not None
        self.size, self.entries = sample.snapshot.bytes_read, sample.entries_total
        # As many bytes as the inspection reads, of the part of the heap that the map lies in.
        self.start = _region_of(self.memory, sample.snapshot.header.storage, self.size)
        self.times: dict[str, list[float]] = {way: [] for way in WAYS}

    def again(self) -> None:
        """Do all ways in turn."""
        self.times["bare copy"].append(_timed(lambda: self.memory.read(self.start, self.size)))
        started = time.perf_counter()
        inspection = _inspect(self.target, self.variable, self.type_name)
        self.times["whole inspection"].append((time.perf_counter() - started) * 1000)
        self.times["held"].append(inspection.timing.stopped)

    def show(self, family: str) -> None:
        """Print medians, and ratios to the bare copy of the same round."""
        print(f"{family}: {self.variable} ({self.type_name}), {self.entries:,} entries, {self.size:,} bytes")
        for way, times in self.times.items():
            ratios = [mine / bare for mine, bare in zip(times, self.times["bare copy"], strict=True)]
            print(f"  {way:25} {statistics.median(times):8.1f} ms   {statistics.median(ratios):6.1f} x the bare copy")


def _region_of(memory: ProcessMemory, address: int, size: int) -> int:
    """Where the region begins that an address lies in; it holds `size` bytes."""
    region = next(region for region in memory.regions() if region.start <= address < region.end)
    assert region.end - region.start >= size
    return region.start


def _inspect(target: Target, variable: str, type_name: str) -> Inspection:
    inspection = inspect(target, variable, type_name, max_stop=None)
    assert inspection.judgement.verdict == "consistent"
    return inspection


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
