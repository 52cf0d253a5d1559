"""The thread of ours that holds a target by ptrace, so that nothing in the target can keep us or itself.

The kernel lets all threads go that a thread of ours traces when that ends, or this process, whatever ends it. The one
who traces is a thread of its own because PTRACE_SEIZE may block:

- It waits as long as its thread is inside execve, and execve waits until the other threads of the program are reaped by
  whoever traces them: both would wait for ever. Here the thread that waits for the answer reaps them.
- Where even that does not help (the file that is executed is read slowly), the tracer is abandoned.
- A thread that cannot be let go, since the kernel does not let it stop (vfork), is let go later, when it stops.

A process of its own would do the same, but after a fork each page that we write costs a page fault, most of them while
the target is held: stops were 8 ms longer on a busy machine.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from inspector.control.apart import LOOK, Channel, deaf_to, set_name
from inspector.control.ptrace import LATE, PATIENCE, PTRACE_CALL, WALL, RegisterSets, Threads, parsed, undisturbed
from inspector.control.turns import BeingTraced, Turn
from inspector.control.waiting import letting_go
from inspector.errors import Hint, HoldLost, InspectError, NotPermitted
from inspector.memory import procfs
from inspector.memory.helpers import Helper
from inspector.memory.lifetime import Lifetime
from inspector.memory.threads import Thread

ANSWER = PATIENCE + 1
"""Seconds after which a tracer that does not answer is given up, whatever it does."""
LET_GO = 2.0
"""Seconds that it has for letting all threads go."""
THREADS_AT_ONCE = 200
SETS_AT_ONCE = 16
"""Threads whose registers, or all sets of registers, are sent in one message."""

NAME = "gomap-tracer"
"""What the thread is called in lists of threads."""

REGISTERS, REGISTER_SETS = "registers", "register sets"
"""What the tracer is asked while it holds."""

AGAIN = Hint("try again, or read without stopping: {no_stop}")


class Tracer:
    """Holds one process, again and again. Close it in the end.

    `free_since` is when it ran again after the last time, in seconds of time.perf_counter(). `waited` says for whom it
    had to wait before it could hold it, or nothing.
    """

    def __init__(self, life: Lifetime) -> None:
        self.life = life
        self.free_since = 0.0
        self.waited = ""
        self._beside: _Beside | None = None
        self._waiting = self._holds = False

    def close(self) -> None:
        """Give up the thread that holds: it lets go of what it holds as soon as it can, and ends."""
        if self._beside is not None:
            self._beside.channel.close()
            self._beside = None
        self._waiting = False

    @contextmanager
    def holding(self) -> Iterator[float]:
        """Hold every thread still for the length of the block.

        Yields when the first of them was asked to stop, in seconds of time.perf_counter(). Raises NoSuchTarget,
        NotPermitted, TargetGone, ProgramReplaced, HoldLost; in each case, as on any exception inside the block, all
        threads run again.
        """
        try:
            began = self._hold()
            self._holds = True
            yield began
        except BaseException:
            self._let_go()
            raise
        if not self._let_go():
            raise HoldLost(f"process {self.life.pid} ran again too early, so what was copied may be torn", AGAIN)

    def threads(self) -> list[Thread]:
        """The registers of the threads, none where they run: a thread that runs cannot be asked. Raises HoldLost."""
        return parsed(self._asked(REGISTERS))

    def register_sets(self) -> list[RegisterSets]:
        """All registers of the threads, likewise; raises HoldLost."""
        return self._asked(REGISTER_SETS)

    def _asked(self, what: str) -> list[Any]:
        if not self._holds:
            return []
        found: list[Any] = []
        self._waiting = True
        if self._beside is not None:
            with suppress(EOFError), undisturbed():
                self._beside.channel.send(what)
                while self._beside.channel.waits(ANSWER):
                    some = self._beside.channel.receive()
                    found += some
                    if not some:
                        self._waiting = False
                        return found
        raise HoldLost(f"process {self.life.pid} ran again too early, so what was copied may be torn", AGAIN)

    def _ready(self) -> _Beside:
        if self._beside is None or not self._beside.is_alive():
            self.close()
            self._beside = _Beside(self.life)
        return self._beside

    def _hold(self) -> float:
        """Hold every thread, as soon as nobody else traces one; raises BeingTraced if that takes too long."""
        turn = Turn(self.life.pid)
        while True:
            turn.await_free()
            try:
                began = self._hold_now()
            except BeingTraced:
                # Somebody else was quicker, perhaps with some of the threads only.
                self._let_go()
                if not turn.goes_on("another tracer"):
                    raise
            else:
                self.waited = turn.waited
                return began

    def _hold_now(self) -> float:
        pid = self.life.pid
        procfs.status(pid)
        self.life.require()
        beside = self._ready()
        self._waiting = True
        try:
            with undisturbed():
                beside.channel.send("hold")
                answer = self._answer(beside)
        except EOFError:
            raise HoldLost(f"process {pid} cannot be held: the tracer ended", AGAIN) from None
        self.life.require()
        if isinstance(answer, float):
            return answer
        if isinstance(answer, InspectError):
            raise answer
        raise NotPermitted(f"process {pid} has been inside execve for {ANSWER:.0f} s and cannot be stopped", AGAIN)

    def _answer(self, beside: _Beside) -> object:
        """What the tracer answers; None when it waits in the kernel for too long. Raises EOFError when it has ended."""
        deadline, before = time.monotonic() + ANSWER, ""
        while not beside.channel.waits(LOOK):
            now = procfs.system_call(os.getpid(), beside.native_id)
            if now.startswith(PTRACE_CALL) and now == before:
                self._reap()
            if time.monotonic() > deadline:
                return None
            before = now
        answer = beside.channel.receive()
        self._waiting = False
        return answer

    def _reap(self) -> None:
        """Take note of the end of threads that are traced, which the tracer cannot do while it is blocked."""
        pid = self.life.pid
        for thread in procfs.threads(pid):
            if procfs.thread_state(pid, thread) in procfs.ENDED:
                with suppress(ChildProcessError):
                    os.waitpid(thread, WALL | os.WNOHANG)

    def _let_go(self) -> bool:
        """Let the process run; returns whether it stood still until now."""
        with letting_go():
            beside, self._holds = self._beside, False
            # An answer that nobody waited for (Ctrl-C) would be taken for the answer to this.
            if beside is not None and not self._waiting:
                with suppress(EOFError):
                    if beside.channel.send("release") and beside.channel.waits(LET_GO):
                        self.free_since = beside.channel.receive()
                        return True
            self.close()
            if beside is not None:
                beside.join(LET_GO)
            self.free_since = time.perf_counter()
            return False


class _Beside(Helper):
    """The thread that traces, as its other end of `channel` asks; it ends with the channel."""

    def __init__(self, life: Lifetime) -> None:
        super().__init__()
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = Channel(ours)
        # Its own: the thread may outlive the target's descriptors.
        self._pid, self._handle = life.pid, os.dup(life.handle)
        try:
            self.begin()
        except BaseException:
            self.channel.close()
            raise

    def run(self) -> None:
        """Hold and let go as it is asked; in the end, wait for threads that could not be let go."""
        signal.pthread_sigmask(signal.SIG_BLOCK, deaf_to())
        # Another inspector, or a debugger that is refused, reports who is in its way.
        set_name(NAME)
        channel, threads = Channel(self._theirs), Threads(self._pid, self._handle)
        try:
            while True:
                while not channel.waits(LATE if threads.stops else None):
                    threads.release_late()
                if channel.receive() == "hold":
                    with undisturbed():
                        _hold(threads, channel)
        except EOFError:
            while not threads.release():
                time.sleep(LATE)
                threads.release_late()
        finally:
            channel.close()
            os.close(self._handle)


def _hold(threads: Threads, channel: Channel) -> None:
    """Hold until the other end says that it is enough. Raises EOFError, then the threads have yet to be let go."""
    try:
        channel.send(threads.stop())
    except InspectError as error:
        # Let go when the other end says so, as after a success.
        channel.send(error)
    while (asked := channel.receive()) != "release":
        found: list[Any] = list(threads.registers() if asked == REGISTERS else threads.register_sets())
        at_once = THREADS_AT_ONCE if asked == REGISTERS else SETS_AT_ONCE
        for first in range(0, len(found), at_once):
            channel.send(found[first : first + at_once])
        channel.send([])
    threads.release()
    channel.send(time.perf_counter())
