"""Threads of ours that begin, or fail to: nobody waits for one without end.

threading.Thread.start waits until the new thread says that it runs. One that gets a stack, but no memory for its first
lines of Python, never says so (seen with CPython 3.11 and RLIMIT_AS), and a program that is short of memory would hang.
"""

from __future__ import annotations

import _thread
import threading

from inspector.errors import InspectError

BEGIN = 30.0
"""Seconds that a thread may take to begin, on a machine however busy."""

RAISE = "raise the limits of memory or of processes, or end others"


class Helper:
    """A thread that does what `run` says. It keeps no program from ending."""

    def __init__(self) -> None:
        self.native_id = 0
        self._begun, self._ended = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Start the thread and wait until it runs; raises InspectError where it does not."""
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            raise InspectError("no thread can be started", RAISE) from None
        if not self._begun.wait(BEGIN):
            self._ended.set()
            raise InspectError(f"a thread that was started did not run within {BEGIN:.0f} s", RAISE)

    def run(self) -> None:
        """What the thread does; what it raises ends it, and is said to nobody."""
        raise NotImplementedError

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._begun.is_set() and not self._ended.is_set()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, at most so many seconds; returns whether it has."""
        return self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            self.native_id = threading.get_native_id()
            self._begun.set()
            self.run()
        except BaseException:
            # Whoever waits for it notices that it ended; there is nobody else to tell.
            return
        finally:
            self._ended.set()
