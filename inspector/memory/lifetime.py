"""What a pid stood for when it was first looked at: one process and the program that it ran then.

A pid is given to other processes when its own has ended, and a process that calls exec runs another program under the
same pid. Whoever stops a process, signals it or reads it twice asks here first.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from inspector.errors import ProgramReplaced
from inspector.memory import procfs
from inspector.memory.descriptors import enough_descriptors


class Lifetime:
    """A process from now on, and the program that it runs now. Raises NoSuchTarget.

    `handle` is a pidfd: signals that go through it reach this process or nobody.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.handle = procfs.open_process(pid)
        self._memory: int | None = None
        # Exec gives a process a new address space, and this file shows the old one for as long as it is open.
        with suppress(OSError):
            self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self._auxv = _auxv(pid)

    def close(self) -> None:
        """Give back the descriptors."""
        for descriptor in (self.handle, self._memory):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._memory = None

    @property
    def ended(self) -> bool:
        """Whether the process is gone or a zombie."""
        return over(self.handle) or procfs.has_ended(self.pid)

    @property
    def replaced(self) -> bool:
        """Whether the process has called exec: it lives on, with another program. False when it has ended."""
        auxv = _auxv(self.pid)
        # A process that is about to end has no memory either, and no auxiliary vector.
        return bool(auxv) and (auxv != self._auxv or self._memory_gone()) and not over(self.handle)

    @property
    def headless(self) -> bool:
        """Whether its first thread has no memory any more: another may be inside execve, or the process ends."""
        return not _auxv(self.pid)

    def require(self) -> None:
        """Raise ProgramReplaced when the process has called exec."""
        if self.replaced:
            raise ProgramReplaced(
                f"process {self.pid} called exec while it was being inspected",
                "it runs another program now: inspect it again",
            )

    def _memory_gone(self) -> bool:
        """Whether nobody has the memory any more that the process had at first."""
        if self._memory is None:
            return False
        try:
            # Nothing is mapped there: that is an error as long as there is any memory.
            return os.pread(self._memory, 1, 0) == b""
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, whoever may have its pid by now; raises OSError."""
        signal.pidfd_send_signal(self.handle, number)


def over(handle: int) -> bool:
    """Whether the process of a pidfd has ended, reaped or not."""
    try:
        ready = select.poll()
        ready.register(handle, select.POLLIN)
        return bool(ready.poll(0))
    except OSError:
        return True


def _auxv(pid: int) -> bytes:
    try:
        with enough_descriptors():
            return Path(f"/proc/{pid}/auxv").read_bytes()
    except OSError:
        return b""
