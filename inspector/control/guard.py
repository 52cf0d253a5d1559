"""The guard: a process that outlives us and gdb, and leaves the target running whoever of us was killed.

gdb stops what it attaches to by SIGSTOP (PTRACE_ATTACH). If it is killed before every thread has taken that signal,
the signal stays, and stops the whole process. The kernel undoes that by SIGCONT alone, which a program may have a
handler for: so the guard traces the threads for a moment, by SEIZE, and takes both signals back before they reach
anything.

It is there as long as the gdb is, and says and does nothing unless something has gone wrong.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial

from inspector.control.apart import Apart, Channel, stopped_meanwhile
from inspector.control.ptrace import LATE, Threads
from inspector.errors import InspectError, NotPermitted
from inspector.memory import procfs
from inspector.memory.lifetime import over

NAME = "gomap-guard"
QUITS = 3.0
"""Seconds in which gdb has to let go and quit after its input has ended, before it is killed."""
ANSWER = QUITS + 7.0
"""Seconds that the guard may take to undo a stop."""
TAKES = 0.3
"""Seconds in which a thread has to take a signal that is there for it."""
TAKEN = 1_000_000
"""Nanoseconds on the CPU after which a thread has taken the signal that it was let go with."""
LOOK = 0.002
TRIES = 3
Undo = Callable[[str], None]
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Guard:
    """Watches over a gdb, whose pidfd is `gdb`, and calls `undo` apart from us with the state that it was armed with.

    `whose` names the process that gdb holds, for the error. `keeps` are descriptors that `undo` needs. Raises
    NotPermitted.
    """

    def __init__(self, whose: str, gdb: int, undo: Undo, keeps: Collection[int] = ()) -> None:
        try:
            self._apart = Apart(NAME, partial(_watch, gdb, os.getpid(), undo), (gdb, *keeps))
        except OSError as error:
            raise NotPermitted(
                f"no process can be started to guard {whose}: {error.strerror}",
                "is the limit of processes or of open files reached?",
            ) from None

    @property
    def alive(self) -> bool:
        """Whether it is still there; somebody may have killed it."""
        return self._apart.alive

    def arm(self, state: str) -> None:
        """From now on gdb may hold the process, whose state was `state` before."""
        self._apart.channel.send(("armed", state))

    def disarm(self) -> None:
        """Say that gdb has let the process go, which runs."""
        self._apart.channel.send(("disarmed", ""))

    def undo(self) -> bool:
        """Undo a stop that gdb has left behind; returns whether that was done."""
        channel = self._apart.channel
        try:
            return channel.send(("undo", "")) and channel.waits(ANSWER) and bool(channel.receive())
        except EOFError:
            return False

    def close(self) -> None:
        """End it. What it was armed for must be over."""
        self.disarm()
        self._apart.end()


def undo_stop(pid: int, handle: int, gdb: int = 0) -> None:
    """Take back the SIGSTOP of an attach, and end the stop that it has caused. No signal of ours reaches the process.

    `handle` is its pidfd, `gdb` the pid of a debugger whose other signals are taken back, too.
    """
    threads = Threads(pid, handle)
    try:
        threads.stop()
        for thread, stop in threads.stops.items():
            if stop is not None and stop > 0 and stop.signal and threads.sent_by_tracer(thread, gdb):
                threads.forget_signal(thread)
        by_signal = any(stop is not None and stop > 0 and stop.by_signal for stop in threads.stops.values())
        if by_signal or stop_is_left(pid, threads.stops):
            signal.pidfd_send_signal(handle, signal.SIGCONT)
            _take_back(threads, signal.SIGCONT)
    except InspectError:
        # Another tracer may have come meanwhile: it has to live with the signal.
        if procfs.status(pid).state == "T":
            signal.pidfd_send_signal(handle, signal.SIGCONT)
    finally:
        _release(threads)


def _release(threads: Threads) -> None:
    """Let all threads go, also those that are killed meanwhile, whose end somebody has to take note of."""
    deadline = time.monotonic() + TAKES
    free = threads.release()
    while not free and time.monotonic() < deadline:
        time.sleep(LATE)
        free = threads.release_late()


def stop_is_left(pid: int, threads: Iterable[int]) -> bool:
    """Whether threads of a process are stopped, or will be by a signal that is there for them.

    One that waits in vfork stops only after it, and the process of which it is the first looks as if it ran.
    """
    for thread in threads:
        signals = procfs.thread_signals(pid, thread)
        if any((signals.get("SigPnd", 0) | signals.get("ShdPnd", 0)) >> (number - 1) & 1 for number in STOPS):
            return True
        if procfs.thread_state(pid, thread) == "T":
            return True
    return False


def end_what_it_started(gdb: int) -> None:
    """End what a gdb of ours has left in its session, when it has ended.

    It tries on children of its own what the kernel lets it trace. Killed meanwhile, it leaves them stopped for ever.
    """
    for pid in procfs.processes():
        with suppress(OSError):
            if os.getsid(pid) != gdb:
                continue
            handle = os.pidfd_open(pid)
            try:
                # Another process may have this pid by now. Another may have the one of gdb, too, and lead a session.
                if os.getsid(pid) == gdb and procfs.has_ended(gdb):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def undo_late_stop(pid: int, handle: int) -> None:
    """Let a process run that another debugger is about to let go of, in case that it leaves a stop; raises nothing.

    A gdbserver does so, now and then, with a program that forks.
    """
    with suppress(OSError, InspectError):
        deadline = time.monotonic() + QUITS
        while is_traced(pid) and not over(handle):
            if time.monotonic() > deadline:
                return
            time.sleep(LOOK)
        for _ in range(TRIES):
            if not comes_to_a_stop(pid, handle):
                return
            undo_stop(pid, handle)


def comes_to_a_stop(pid: int, handle: int) -> bool:
    """Whether a process stops that somebody has let go of just now.

    A thread takes the signal that it was let go with when it runs again. On a busy machine that can take a while, and
    until then nothing shows it. Where it takes too long the answer is yes: to undo no stop does no harm. `handle` is
    the pidfd of the process.
    """
    deadline = time.monotonic() + QUITS
    waiting = {thread: procfs.time_on_cpu(pid, thread) for thread in procfs.threads(pid)}
    while not over(handle):
        waiting = {thread: before for thread, before in waiting.items() if not _has_run(pid, thread, before)}
        if stop_is_left(pid, procfs.threads(pid)):
            return True
        if not waiting:
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(LOOK)
    return False


def _has_run(pid: int, thread: int, before: int) -> bool:
    """Whether a thread sleeps, or has run for a while since it had been on the CPU for `before` nanoseconds."""
    return procfs.thread_state(pid, thread) not in "Rt" or procfs.time_on_cpu(pid, thread) > before + TAKEN


def is_traced(pid: int) -> bool:
    """Whether anybody traces a thread of a process; raises NoSuchTarget where one ends meanwhile."""
    return any(procfs.status(thread).tracer for thread in procfs.threads(pid))


def _take_back(threads: Threads, number: signal.Signals) -> None:
    """Let one thread run until it is about to receive a signal of the whole process, and do not give it."""
    for thread, stop in list(threads.stops.items()):
        blocked = procfs.thread_signals(threads.pid, thread).get("SigBlk", -1)
        if stop is None or stop < 0 or blocked >> (number - 1) & 1:
            continue
        threads.resume(thread, stop.signal if stop is not None else 0)
        deadline = time.monotonic() + TAKES
        while time.monotonic() < deadline:
            stop = threads.await_stop(thread, TAKES)
            if stop is None or stop < 0:
                break
            if stop.signal == number:
                threads.forget_signal(thread)
                return
            threads.resume(thread, stop.signal)
        if threads.stops[thread] is None:
            threads.interrupt(thread)
            threads.await_stop(thread, TAKES)


# What follows runs in the process apart.


def leave_as_before(pid: int, handle: int, gdb: int, state: str) -> None:
    """Leave a process, whose pidfd is `handle`, as it was before a gdb attached: running, or stopped (state T)."""
    end_what_it_started(gdb)
    with suppress(OSError, InspectError):
        if over(handle):
            return
        if state == "T":
            signal.pidfd_send_signal(handle, signal.SIGSTOP)
        else:
            undo_stop(pid, handle, gdb)


def _watch(gdb: int, parent: int, undo: Undo, channel: Channel) -> None:
    """Wait for the end of the parent, or for its word."""
    armed, state = False, ""
    try:
        while True:
            if armed and not channel.waits(0) and stopped_meanwhile(channel, parent):
                _await_end(gdb, 0)
                undo(state)
                armed = False
            word, said = channel.receive()
            if word == "armed":
                armed, state = True, said
            elif word == "disarmed":
                armed = False
            else:
                undo(state)
                channel.send(True)
    except EOFError:
        # Without us gdb quits by itself, and lets go.
        _await_end(gdb, QUITS)
        if armed:
            undo(state)


def _await_end(gdb: int, patience: float) -> None:
    """Wait until gdb has ended; kill it when it does not."""
    deadline = time.monotonic() + patience
    while not over(gdb) and time.monotonic() < deadline:
        time.sleep(0.002)
    with suppress(OSError):
        signal.pidfd_send_signal(gdb, signal.SIGKILL)
    while not over(gdb):
        time.sleep(0.002)
