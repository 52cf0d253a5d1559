"""Moments of an inspection that can be seen from outside, so that a signal sent then does interrupt something."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.commandline import catches_sigterm, gdbs_of, start_cli

Process = subprocess.Popen[str]
Event = Callable[[Process], bool]

WATCH = 0.0002
"""Seconds between two looks: a small map is held for a few milliseconds."""


def has_begun(process: Process) -> bool:
    """Our code runs. What a signal does before the interpreter has reached it is not ours."""
    return catches_sigterm(process.pid)


def has_gdb(process: Process) -> bool:
    """It has started gdb."""
    return bool(gdbs_of(process.pid))


def holds(pid: int) -> Event:
    """A process is in the hands of a tracer."""
    status = Path(f"/proc/{pid}/status")

    def held(_: Process) -> bool:
        try:
            return "TracerPid:\t0\n" not in status.read_text(errors="replace")
        except OSError:
            return False

    return held


@dataclass(frozen=True)
class Moment:
    """Some time after an event, at random up to `later` seconds."""

    event: Event
    later: float = 0.0


def come_at(moment: Moment, dice: random.Random, *args: object) -> tuple[Process, bool]:
    """Start the command line and come back at a moment in the middle of it; also whether that moment came."""
    process = start_cli(*args)
    while process.poll() is None and not has_begun(process):
        time.sleep(WATCH)
    while process.poll() is None:
        if moment.event(process):
            time.sleep(dice.uniform(0, moment.later))
            break
        time.sleep(WATCH)
    return process, process.poll() is None


class Tries:
    """Tries until two thirds of `wanted` came in the middle of an inspection; those that came too late prove nothing.

    Iterate, and add to `happened`. Three times as many tries that come too late are a failure of the test.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted, self.happened = wanted, 0

    def __iter__(self) -> Iterator[int]:
        """The numbers of the tries: at least `wanted` of them."""
        for attempt in range(3 * self.wanted):
            if attempt >= self.wanted and self.enough:
                return
            yield attempt
        assert self.enough, f"only {self.happened} of {3 * self.wanted} came in the middle of an inspection"

    @property
    def enough(self) -> bool:
        """Whether two thirds of those that were wanted came in the middle."""
        return self.happened >= self.wanted * 2 // 3
