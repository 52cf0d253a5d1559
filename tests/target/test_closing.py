"""What was opened for a request is given back with it, not when Python's collector next comes by."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

import pytest

from fixtures import USUAL, Running, build, cached_core, start
from inspector import inspect, open_target, take_census
from inspector.target.target import Target


def files(at_most: int) -> int:
    """How many files are open, as soon as they are so few, or in the end: threads of ours end a little later."""
    deadline = time.monotonic() + 5
    while (now := len(os.listdir("/proc/self/fd"))) > at_most and time.monotonic() < deadline:
        time.sleep(0.02)
    return now


def look(target: Target) -> None:
    assert inspect(target, "main.sessions").judgement.verdict == "consistent"


def count(target: Target) -> None:
    assert take_census(target).maps


@pytest.fixture(scope="module")
def living():
    with start(build("census", USUAL), "2") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("ask", [look, count])
@pytest.mark.parametrize("kind", ["process", "core"])
def test_requests_one_after_the_other_leave_no_file_open(
    living: Running, kind: str, ask: Callable[[Target], None]
) -> None:
    where = str(living.pid) if kind == "process" else str(cached_core(living.exe, "2").path)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        opened: list[int] = []
        for _ in range(3):
            with open_target(where, memory="direct" if kind == "process" else "auto") as target:
                ask(target)
            del target
            opened.append(files(opened[0] if opened else 0))
    finally:
        if collecting:
            gc.enable()
    # What others have left to the collector may be closed meanwhile.
    assert max(opened[1:]) <= opened[0]


def mapped() -> int:
    """KiB of files that count as memory of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssFile:"))


def test_a_core_that_was_read_counts_as_memory_of_ours_only_until_it_is_given_back(living: Running) -> None:
    core = cached_core(living.exe, "2").path
    with open_target(str(core)) as target:
        before = mapped()
        for region in target.memory.regions():
            target.memory.read(region.start, region.end - region.start).tobytes()
        read = mapped()
        target.relieve()
        after = mapped()
        assert take_census(target).maps
    assert read - before > core.stat().st_size // 2048
    assert after - before < (read - before) // 4
