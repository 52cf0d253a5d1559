"""The process that holds a target by ptrace for us, so that nothing that happens to it or to us keeps the target.

The kernel lets all threads go that a process traces when that process ends. So the one who traces is a process of its
own:

- PTRACE_SEIZE waits as long as its thread is inside execve, and execve waits until its other threads are reaped by
  whoever traces them: both would wait for ever. Here the tracer is killed and another one tries.
- A thread that cannot be let go, since the kernel does not let it stop, is freed by the end of the tracer.
- When this process is stopped (SIGSTOP), the tracer notices and lets the target run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from inspector.control.apart import LOOK, Apart, Channel, stopped_meanwhile
from inspector.control.ptrace import PATIENCE, PTRACE_CALL, Threads, parsed
from inspector.control.waiting import letting_go
from inspector.errors import Hint, HoldLost, InspectError, NotPermitted, TargetGone
from inspector.memory import procfs
from inspector.memory.lifetime import Lifetime
from inspector.memory.threads import Thread

NAME = "gomap-tracer"
TRIES = 5
"""How often a target is asked to stop that is inside execve each time."""
ANSWER = PATIENCE + 3
"""Seconds after which a tracer that does not answer is given up, whatever it does."""
LET_GO = 2.0
"""Seconds that it has for letting all threads go."""
THREADS_AT_ONCE = 200
"""Threads whose registers are sent in one message."""

AGAIN = Hint("try again, or read without stopping: {no_stop}")


class Tracer:
    """Holds one process, again and again. Close it in the end."""

    def __init__(self, life: Lifetime) -> None:
        self.life = life
        self._apart: Apart | None = None
        self._waiting = False
        self._ready()

    def close(self) -> None:
        """End the process that holds; what it held runs."""
        if self._apart is not None:
            self._apart.end()
            self._apart = None
        self._waiting = False

    @contextmanager
    def holding(self) -> Iterator[float]:
        """Hold every thread still for the length of the block.

        Yields when the first of them was asked to stop, in seconds of time.perf_counter(). Raises NoSuchTarget,
        NotPermitted, TargetGone, ProgramReplaced, HoldLost; in each case, as on any exception inside the block, all
        threads run again.
        """
        try:
            yield self._hold()
            if self.life.ended:
                raise TargetGone(f"process {self.life.pid} ended while it was being read")
        except BaseException:
            self._let_go()
            raise
        if not self._let_go():
            raise HoldLost(f"process {self.life.pid} ran again too early, so what was copied may be torn", AGAIN)

    def threads(self) -> list[Thread]:
        """The registers of the threads, inside `holding`; raises HoldLost."""
        registers: list[tuple[int, bytes]] = []
        self._waiting = True
        if self._apart is not None and self._apart.channel.send("registers"):
            with suppress(EOFError):
                while some := self._apart.channel.receive():
                    registers += some
                self._waiting = False
                return parsed(registers)
        raise HoldLost(f"process {self.life.pid} ran again too early, so what was copied may be torn", AGAIN)

    def _ready(self) -> Apart:
        if self._apart is None or not self._apart.alive:
            self.close()
            life = self.life
            try:
                work = partial(_hold_on_request, life.pid, life.handle, os.getpid())
                self._apart = Apart(NAME, work, (life.handle,), dies_with_us=True)
            except OSError as error:
                raise NotPermitted(
                    f"no process can be started to hold process {life.pid}: {error.strerror}",
                    Hint("is the limit of processes or of open files reached? or read without stopping: {no_stop}"),
                ) from None
        return self._apart

    def _hold(self) -> float:
        pid = self.life.pid
        procfs.status(pid)
        for _ in range(TRIES):
            self.life.require()
            apart = self._ready()
            self._waiting = True
            apart.channel.send("hold")
            try:
                answer = self._answer(apart)
            except EOFError:
                raise HoldLost(f"the tracer of process {pid} was killed", AGAIN) from None
            if isinstance(answer, float):
                return answer
            if isinstance(answer, InspectError):
                raise answer
            self.close()
        self.life.require()
        raise NotPermitted(f"process {pid} is inside execve for a long time and cannot be stopped", AGAIN)

    def _answer(self, apart: Apart) -> object:
        """What the tracer answers; None when it waits in the kernel. Raises EOFError when it has ended."""
        deadline, before = time.monotonic() + ANSWER, ""
        while not apart.channel.waits(LOOK):
            now = procfs.system_call(apart.pid, apart.pid)
            if (now.startswith(PTRACE_CALL) and now == before) or time.monotonic() > deadline:
                return None
            before = now
        answer = apart.channel.receive()
        self._waiting = False
        return answer

    def _let_go(self) -> bool:
        """Let the process run; returns whether it stood still until now."""
        with letting_go():
            apart, stood = self._apart, False
            # An answer that nobody waited for (Ctrl-C) would be taken for the answer to this.
            if apart is not None and not self._waiting:
                try:
                    if apart.channel.send("release") and apart.channel.waits(LET_GO):
                        stood, free = apart.channel.receive()
                        if free:
                            return bool(stood)
                except EOFError:
                    pass
            # The kernel frees what it could not let go.
            self.close()
            return stood


# What follows runs in the process apart.


def _hold_on_request(pid: int, handle: int, parent: int, channel: Channel) -> None:
    """Hold and let go as the parent asks; return when it has ended, or when a thread could not be let go."""
    held: Threads | None = None
    with suppress(EOFError):
        while True:
            if held is not None and not channel.waits(0) and stopped_meanwhile(channel, parent):
                free, held = held.release(), None
                if not free:
                    return
            match channel.receive():
                case "hold":
                    held = Threads(pid, handle)
                    try:
                        channel.send(held.stop())
                    except InspectError as error:
                        # Released when the parent says so, as after a success.
                        channel.send(error)
                case "registers":
                    registers = list(held.registers()) if held is not None else []
                    for first in range(0, len(registers), THREADS_AT_ONCE):
                        channel.send(registers[first : first + THREADS_AT_ONCE])
                    channel.send([])
                case "release":
                    stood = held is not None
                    free = held is None or held.release()
                    held = None
                    channel.send((stood, free))
    if held is not None:
        held.release()
