"""Judging a map whose process was not stopped: what a copy shows may never have been in memory at one moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

from inspector.maps.family import Snapshot
from inspector.maps.findings import Finding, Judgement
from inspector.memory import procfs
from inspector.target.run import Run

COPIES = 12
"""Copies that have to show the same fault before it is believed.

Each part of a copy is read at another moment. Two equal copies prove nothing where a process inserts and deletes one
key all the time: each may have the header of one state and the buckets of the other, with a chance of one in four at
most. That all are torn alike has a chance of one in four million.
"""

LONGEST_PAUSE = 0.002
"""Seconds between two copies, at the most: of random length, so that no rhythm of the process fits."""

LONGEST_WAIT = 1.0
"""Seconds to wait for the kernel to let threads run that want to."""

LOOK = 0.001

DOUBTFUL = ("inconsistent", "unreadable")
"""Verdicts that a torn copy may give. A process's memory lacks nothing, so a part was read while it was replaced."""


def settled(run: Run, snapshot: Snapshot, judgement: Judgement, again: Callable[[], Snapshot | None]) -> Judgement:
    """The judgement, or "moving" where a write between two copies may be all that is wrong.

    `again` copies the same map once more; it returns None where it is no longer there. A target that is stopped for a
    copy, or stands still, is believed at once.
    """
    if run.stops or run.still or judgement.verdict not in DOUBTFUL:
        return judgement
    dice, threads = random.Random(), _Threads(run.target.local_pid)
    for _ in range(COPIES - 1):
        time.sleep(dice.uniform(0, LONGEST_PAUSE))
        if not threads.have_run():
            return _moving(judgement)
        other = again()
        if other is None or other.type != snapshot.type or not snapshot.shows_the_same(other):
            return _moving(judgement)
        if _faults(other.judge()) != _faults(judgement):
            return _moving(judgement)
    return judgement


class _Threads:
    """The threads of a process. One that the kernel lets wait in the middle of a write shows the same in every copy."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.deadline = time.monotonic() + LONGEST_WAIT
        self.ready = self._ready()

    def have_run(self) -> bool:
        """Wait until all that wanted to run at the last look have run; False where that takes too long."""
        while any(self._ready().get(thread) == before for thread, before in self.ready.items()):
            if time.monotonic() > self.deadline:
                return False
            time.sleep(LOOK)
        self.ready = self._ready()
        return True

    def _ready(self) -> dict[int, int]:
        """How long each thread has run that runs now or waits for a processor."""
        if self.pid is None:
            return {}
        ready = (each for each in procfs.threads(self.pid) if procfs.thread_state(self.pid, each) == "R")
        return {each: procfs.time_on_cpu(self.pid, each) for each in ready}


def _faults(judgement: Judgement) -> list[Finding]:
    return [finding for finding in judgement.findings if finding.severity == "error" or finding.unchecked]


def _moving(judgement: Judgement) -> Judgement:
    """What was found in a copy that may be torn is reported, and is not a fault."""
    findings = tuple(replace(f, severity="warning") if f.severity == "error" else f for f in judgement.findings)
    return replace(judgement, verdict="moving", findings=findings)
