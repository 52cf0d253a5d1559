"""A process of our own that does one thing apart from us: it can be abandoned, and it can outlive us.

It is forked, which takes less than a millisecond, and runs none of our other code: it keeps no file open but those
that it is given, prints nothing, and no signal but SIGKILL and SIGSTOP has any effect on it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from inspector.memory import procfs
from inspector.memory.lifetime import over

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
LARGEST = 1 << 18
"""Bytes of a message at most."""
SPARED = {
    signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP,
    signal.SIGSYS, signal.SIGCONT, signal.SIGWINCH, signal.SIGKILL, signal.SIGSTOP,
}  # fmt: skip
"""Signals that mean a fault of the process itself, that end nothing, or that cannot be blocked."""

LOOK = 0.03
"""Seconds between two looks at a process that has something to say, or something to do."""

_libc = ctypes.CDLL(None, use_errno=True)


def deaf_to() -> set[signal.Signals]:
    """The signals that must have no effect on processes that we start, however many get them: Ctrl-C, SIGTERM."""
    return {signal.Signals(number) for number in signal.valid_signals() if number < signal.SIGRTMIN} - SPARED


def set_name(name: str) -> None:
    """Give the thread that calls this a name in lists of threads; fifteen bytes of it are kept."""
    _libc.prctl(PR_SET_NAME, name.encode())


class Channel:
    """Messages from one process to another; anything that pickle knows, up to LARGEST bytes."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: object) -> bool:
        """Send a message; returns whether there is still somebody to receive it."""
        try:
            self._end.sendall(pickle.dumps(message))
        except OSError:
            return False
        return True

    def waits(self, seconds: float | None) -> bool:
        """Whether a message, or the end of the other process, arrives within some seconds."""
        ready = select.poll()
        ready.register(self._end, select.POLLIN)
        return bool(ready.poll(None if seconds is None else seconds * 1000))

    def receive(self) -> Any:
        """The next message; raises EOFError when the other process has ended."""
        try:
            message = self._end.recv(LARGEST)
        except OSError:
            raise EOFError from None
        if not message:
            raise EOFError
        return pickle.loads(message)

    def fileno(self) -> int:
        """The descriptor."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end, which the other process notices."""
        self._end.close()


class Apart:
    """A process that runs `work` with its end of a channel, and ends with it.

    It is called `name` in lists of processes. Of our descriptors it has only those that are in `keeps`.
    `dies_with_us` makes the kernel kill it when the thread ends that starts it. Raises OSError where no process can
    be started.
    """

    def __init__(
        self, name: str, work: Callable[[Channel], None], keeps: Collection[int] = (), dies_with_us: bool = False
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        # No handler of ours may run in the other process, and none here before it is known.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, deaf_to())
        try:
            with warnings.catch_warnings():
                # Python warns of threads that are not there in the new process. It takes no lock of theirs.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.pid = os.fork()
            if self.pid == 0:
                _work(name, work, theirs, (theirs.fileno(), *keeps), parent if dies_with_us else None)
            self.channel = Channel(ours)
            self.handle = os.pidfd_open(self.pid)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self.handle >= 0 and not over(self.handle)

    def end(self) -> None:
        """End it, whatever it does; when this returns, the kernel has let go of all that it traced."""
        if self.handle < 0:
            return
        with suppress(OSError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self.join()

    def join(self) -> None:
        """Wait until it has ended."""
        self.channel.close()
        # Somebody else may reap all children of this process.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.handle)
        self.handle = -1


def stopped_meanwhile(channel: Channel, parent: int) -> bool:
    """Wait for the parent's next word; returns whether it was stopped itself instead (SIGSTOP), and cannot say any."""
    stopped = 0
    while not channel.waits(LOOK):
        stopped = stopped + 1 if procfs.thread_state(parent, parent) == "T" else 0
        if stopped == 2:
            return True
    return False


def _work(
    name: str, work: Callable[[Channel], None], end: socket.socket, keeps: Collection[int], parent: int | None
) -> None:
    """Do the work in the new process; never returns."""
    try:
        # What is collected here may have finalizers that mean the other process: temporary files, programs it started.
        gc.disable()
        if parent is not None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(0)
        set_name(name)
        os.setsid()
        os.chdir("/")
        kept = sorted(set(keeps))
        for below, above in zip([-1, *kept], [*kept, os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(below + 1, above)
        work(Channel(end))
    finally:
        os._exit(0)
