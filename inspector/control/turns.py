"""Waiting for a turn: the kernel lets only one tracer have a thread, and another inspector lets go of it soon."""

from __future__ import annotations

import random
import time

from inspector.errors import Hint, NotPermitted
from inspector.memory import procfs

TURN = 2.0
"""Seconds to wait for another tracer: no usual stop of ours takes a tenth of that."""
SHORTEST, LONGEST = 0.005, 0.03
"""Seconds between two looks, by chance: two that wait for each other must not look at the same moments."""


class BeingTraced(NotPermitted):
    """Somebody else traces the process."""


def tracer_of(pid: int, tracer: int) -> str:
    """Who traces a process, for the user: `tracer` is the id of the thread that does."""
    name = procfs.thread_name(tracer)
    process = procfs.process_of(tracer) or tracer
    return f"{name} (process {process})" if name else f"process {process}"


def refusal(pid: int, tracer: int) -> BeingTraced:
    """The error for a process that the thread `tracer` traces and does not let go of in time."""
    return BeingTraced(
        f"process {pid} is already traced by {tracer_of(pid, tracer)}, which did not let go of it within {TURN:.0f} s",
        Hint("detach the other debugger or try again later, or read without stopping: {no_stop}"),
    )


class Turn:
    """One attempt to trace a process, which begins now. `waited` says for whom it had to wait, or nothing."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.waited = ""
        self._began = time.monotonic()

    def await_free(self) -> None:
        """Wait until nobody traces the process; raises BeingTraced after TURN seconds, NoSuchTarget."""
        while tracer := procfs.status(self.pid).tracer:
            if tracer in procfs.threads_of_ours():
                # It lets go as soon as the kernel lets it.
                return
            if not self.goes_on(tracer_of(self.pid, tracer)):
                raise refusal(self.pid, tracer)

    def goes_on(self, who: str) -> bool:
        """Wait for a moment because of somebody; returns whether there is time left for another look."""
        now = time.monotonic()
        if now - self._began > TURN:
            return False
        time.sleep(random.uniform(SHORTEST, LONGEST))
        self.waited = f"waited {time.monotonic() - self._began:.1f} s until {who} let go of process {self.pid}"
        return True
