"""How long a map of a million entries takes, beside bare copies of the same bytes in the same run.

Run it with `python -m benchmarks.million [ROUNDS]`. Each round does all ways in turn, so that a change of
the machine's speed meets them alike; printed are medians, and ratios to the bare copy of the same round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from fixtures import USUAL, build, start
from inspector.inspection.one_map import Inspection, inspect
from inspector.memory.process import ProcessMemory
from inspector.target.opening import open_target
from inspector.target.target import Target


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with start(build("million", USUAL)) as running, open_target(str(running.pid), memory="direct") as target:
        for variable, type_name in (("main.m64", "map[int64]int64"), ("main.mstr", "map[string]int64")):
            _compare(target, variable, type_name, rounds)


def _compare(target: Target, variable: str, type_name: str, rounds: int) -> None:
    assert target.pid is not None
    memory = ProcessMemory(target.pid)
    sample = _inspect(target, variable, type_name)
    assert sample.snapshot is not None
    address, size = sample.snapshot.header.storage, sample.snapshot.bytes_read
    columns: dict[str, list[float]] = {"bare copy": [], "held": [], "whole inspection": []}
    for _ in range(rounds):
        columns["bare copy"].append(_timed(lambda: memory.read(address, size)))
        started = time.perf_counter()
        inspection = _inspect(target, variable, type_name)
        columns["whole inspection"].append((time.perf_counter() - started) * 1000)
        columns["held"].append(inspection.timing.stopped)
    print(f"{variable} ({type_name}), {sample.entries_total:,} entries, {size:,} bytes, {rounds} rounds")
    for name, times in columns.items():
        ratios = [mine / bare for mine, bare in zip(times, columns["bare copy"], strict=True)]
        print(f"  {name:17} {statistics.median(times):8.1f} ms   {statistics.median(ratios):6.1f} x the bare copy")


def _inspect(target: Target, variable: str, type_name: str) -> Inspection:
    inspection = inspect(target, variable, type_name)
    assert inspection.judgement.verdict == "consistent"
    return inspection


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
