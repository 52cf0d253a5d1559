"""Stopping the threads of a process without gdb: PTRACE_SEIZE and PTRACE_INTERRUPT.

SEIZE sends no SIGSTOP, and the kernel lets every seized thread run on when the tracer ends, however it ends. Reports
of the kernel are looked at but not consumed (WNOWAIT): so a signal of the target's own, which a thread was about to
receive when it stopped, still reaches it if the tracer is killed.

`Threads` is used in threads and processes of their own (tracer.py, guard.py), as SEIZE may block: see `Tracer`.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from inspector.control.turns import refusal
from inspector.errors import Hint, NoSuchTarget, NotPermitted, TargetGone
from inspector.memory import procfs
from inspector.memory.lifetime import over
from inspector.memory.prstatus import user_regs
from inspector.memory.threads import Thread

PTRACE_CONT = 7
PTRACE_GETREGS = 12
PTRACE_DETACH = 17
PTRACE_GETSIGINFO = 0x4202
PTRACE_GETREGSET = 0x4204
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_EVENT_STOP = 128
WALL = 0x40000000

SIGINFO = 128
SI_USER, SI_KERNEL, SI_TKILL = 0, 0x80, -6
siginfo_head = struct.Struct("<i4xi4xi")
"""si_signo, si_code and si_pid of a siginfo_t."""
NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE = 1, 2, 0x202
"""Sets of registers for PTRACE_GETREGSET: the numbers of their notes in a core (elf.h)."""

LARGEST_SET = 1 << 14
"""Bytes; an XSAVE area with AMX takes 11 KiB."""

PATIENCE = 2.0
"""Seconds to wait for a thread to stand still."""

POLL = 0.0002

SEIZES = 3
"""How often a thread is asked for that is refused though nobody traces it."""

FOR_A_CHILD = {56, 58, 59, 322, 435}
"""Numbers of clone, vfork, execve, execveat and clone3: a thread that the kernel blocks in them writes no map."""
PTRACE_CALL = "101 "
"""How the kernel's description of a system call begins when it is ptrace."""
LATE = 0.001
"""Seconds between two looks at threads that are let go late."""
GRACE = 0.01
"""Seconds after which a thread that does not stop is looked at."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request: int, thread: int, data: int | ctypes.Array[ctypes.c_char] = 0) -> None:
    if _libc.ptrace(request, thread, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _seize(pid: int, thread: int) -> bool:
    """Trace one thread, which runs on; False when it has ended meanwhile."""
    for _ in range(SEIZES):
        try:
            _ptrace(PTRACE_SEIZE, thread)
            return True
        except OSError as error:
            # A thread that is about to end is refused like one of somebody else.
            if error.errno == errno.ESRCH or procfs.thread_state(pid, thread) in procfs.ENDED:
                return False
        try:
            tracer = procfs.status(thread).tracer
        except NoSuchTarget:
            return False
        # Where nobody traces it any more, somebody may have let go of it since it was refused.
        if tracer and not (tracer in procfs.threads_of_ours() and _is_free(thread)):
            raise refusal(pid, tracer)
    raise NotPermitted(f"no permission to stop process {pid}", procfs.PERMISSION_HINT)


def _is_free(thread: int) -> bool:
    """Wait until another thread of ours has let go of a thread, which it could not do at once; whether it has."""
    deadline = time.monotonic() + PATIENCE
    with suppress(NoSuchTarget):
        while procfs.status(thread).tracer:
            if time.monotonic() > deadline:
                return False
            time.sleep(LATE)
    return True


def _interrupt(thread: int) -> None:
    # ESRCH: it ended between the two calls, which the wait for its stop will notice.
    with suppress(OSError):
        _ptrace(PTRACE_INTERRUPT, thread)


class Stop(int):
    """How a thread stands still: what the kernel reports of it in si_status."""

    @property
    def signal(self) -> int:
        """A signal that it was about to receive; 0 for none."""
        return 0 if self >> 8 else self & 0x7F

    @property
    def by_signal(self) -> bool:
        """Whether its whole process was stopped by a signal, as by Ctrl-Z, whoever else asks it to stop."""
        return self >> 8 == PTRACE_EVENT_STOP and self & 0x7F != signal.SIGTRAP


ENDED = Stop(-1)
"""Stands for the stop of a thread that has ended."""
BLOCKED = Stop(-2)
"""Stands for the stop of a thread that the kernel does not let run before another process has done something."""
ENDING = Stop(-3)
"""Stands for the stop of a first thread that has ended before others: nobody can take note of its end before theirs."""


def _report(pid: int, thread: int) -> Stop | None:
    """How a thread has stopped, or that it ENDED or is ENDING; None when it runs."""
    try:
        news = _news(thread)
        if news is None:
            if procfs.thread_state(pid, thread) not in procfs.ENDED:
                return None
            # It may have ended since there was no news of it: then there is now.
            news = _news(thread)
            if news is None:
                return ENDING
        if news.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED):
            return Stop(news.si_status)
        # An exec of the target waits until its other threads are reaped.
        os.waitpid(thread, WALL | os.WNOHANG)
    except ChildProcessError:
        pass
    return ENDED


def _news(thread: int) -> os.waitid_result | None:
    """What the kernel has to report of a thread, left where it is; raises ChildProcessError."""
    return os.waitid(os.P_PID, thread, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT | WALL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the processor for a few system calls, and get it at once after waiting, where we may.

    Each thread that the calls wake would else take it from us: with 200 threads the first would stand still several
    milliseconds longer than the last. On a busy machine each word between two processes costs as much.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@dataclass(frozen=True)
class RegisterSets:
    """All registers of a thread, as the kernel's core dumps have them.

    `general` is a struct user_regs_struct. `floating` is a struct user_fpregs_struct, `extended` an XSAVE area; both
    are empty where the kernel does not give them.
    """

    id: int
    general: bytes
    floating: bytes
    extended: bytes


class _Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def _register_set(thread: int, kind: int) -> bytes:
    """One set of registers of a thread that stands still, by the number of its note; raises OSError."""
    registers = ctypes.create_string_buffer(LARGEST_SET)
    place = _Range(ctypes.addressof(registers), LARGEST_SET)
    if _libc.ptrace(PTRACE_GETREGSET, thread, kind, ctypes.addressof(place)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return registers.raw[: place.len]


class Threads:
    """The threads of a process that this process traces. `stops` says how each stands still.

    `handle` is a pidfd of the process.
    """

    def __init__(self, pid: int, handle: int) -> None:
        self.pid, self.handle = pid, handle
        self.stops: dict[int, Stop | None] = {}

    def stop(self) -> float:
        """Stop all of them; returns when the first was asked to, in seconds of time.perf_counter().

        Raises NoSuchTarget, NotPermitted, TargetGone; then some threads may be stopped, and `release` lets them go.
        """
        began = math.inf
        # Threads that could not be let go the last time are ours still.
        late = list(self.stops)
        # Threads may be born while we seize others: look again until nothing is new.
        while fresh := (self._listed() - set(self.stops)) | set(late):
            # Seizing stops nobody: the first thread shall not wait for the last one longer than it must.
            for thread in fresh:
                self.stops[thread] = None
                if thread not in late and not _seize(self.pid, thread):
                    self.stops[thread] = ENDED
            running = [thread for thread in fresh if self.stops[thread] is None]
            with undisturbed():
                began = min(began, time.perf_counter())
                for thread in running:
                    _interrupt(thread)
            self._await(running)
            late = []
        if not self.stops or over(self.handle) or procfs.has_ended(self.pid):
            raise TargetGone(f"process {self.pid} ended before it could be read")
        return began

    def _listed(self) -> set[int]:
        # The pid may have been given to another process.
        return set() if over(self.handle) else procfs.threads(self.pid)

    def _await(self, running: list[int]) -> None:
        """Wait until threads stand still."""
        now = time.monotonic()
        deadline, grace = now + PATIENCE, now + GRACE
        while True:
            for thread in running:
                self.stops[thread] = _report(self.pid, thread)
            running = [thread for thread in running if self.stops[thread] is None]
            if not running:
                return
            now = time.monotonic()
            if now > grace:
                grace = now + GRACE
                for thread in running:
                    if waits_for_a_child(self.pid, thread):
                        # It stops before it executes anything else.
                        self.stops[thread] = BLOCKED
                running = [thread for thread in running if self.stops[thread] is None]
            if now > deadline:
                raise NotPermitted(
                    f"thread {running[0]} of process {self.pid} is blocked in the kernel and does not stop",
                    Hint("try again, or read without stopping: {no_stop}"),
                )
            time.sleep(POLL)

    def release(self) -> bool:
        """Let all of them run, each with the signal that it was about to receive; returns whether all are free.

        Those that cannot be let go, because they do not stand still, are freed by `release_late`, or by the kernel
        when this thread ends. Likewise those that were killed since they stopped: another thread's exec does that, and
        then waits until somebody has taken note of their end.
        """
        with undisturbed():
            for thread, stop in self.stops.items():
                if stop is not None and stop >= 0:
                    try:
                        _ptrace(PTRACE_DETACH, thread, stop.signal)
                    except OSError:
                        self.stops[thread] = None
        # The kernel takes note of those that are ENDING when this thread ends: nobody has to wait for that.
        self.stops = {
            thread: ENDING if stop == ENDING else None
            for thread, stop in self.stops.items()
            if stop in (None, BLOCKED, ENDING)
        }
        return None not in self.stops.values()

    def release_late(self) -> bool:
        """Let those go that did not stand still, if they do now; returns whether all are free."""
        for thread in self.stops:
            _interrupt(thread)
            self.stops[thread] = _report(self.pid, thread)
        return self.release()

    def resume(self, thread: int, number: int) -> None:
        """Let one thread run and stop again at its next signal; it is given the signal `number`, unless that is 0."""
        self.stops[thread] = None
        with suppress(OSError):
            _ptrace(PTRACE_CONT, thread, number)

    def await_stop(self, thread: int, seconds: float) -> Stop | None:
        """How a thread stops within some seconds; None if it runs on."""
        deadline = time.monotonic() + seconds
        while (stop := _report(self.pid, thread)) is None and time.monotonic() < deadline:
            time.sleep(POLL)
        self.stops[thread] = stop
        return stop

    def sent_by_tracer(self, thread: int, tracer: int) -> bool:
        """Whether the signal that a thread is about to receive comes from an attach, or from the process `tracer`."""
        about = siginfo_head.unpack_from(self._siginfo(thread))
        number, code, sender = about
        by_attach = number == signal.SIGSTOP and code == SI_KERNEL
        return by_attach or bool(tracer and code in (SI_USER, SI_TKILL) and sender == tracer)

    def _siginfo(self, thread: int) -> bytes:
        buffer = ctypes.create_string_buffer(SIGINFO)
        with suppress(OSError):
            _ptrace(PTRACE_GETSIGINFO, thread, buffer)
        return buffer.raw

    def forget_signal(self, thread: int) -> None:
        """The signal that a thread is about to receive shall not reach it."""
        self.stops[thread] = Stop(0)

    def interrupt(self, thread: int) -> None:
        """Ask one thread to stop."""
        _interrupt(thread)

    def register_sets(self) -> Iterator[RegisterSets]:
        """All registers of all threads, the first thread first; without those that have none to show."""
        for thread in sorted(self.stops, key=lambda thread: (thread != self.pid, thread)):
            with suppress(OSError):
                general = _register_set(thread, NT_PRSTATUS)
                others = [b"", b""]
                for at, kind in enumerate((NT_FPREGSET, NT_X86_XSTATE)):
                    with suppress(OSError):
                        others[at] = _register_set(thread, kind)
                yield RegisterSets(thread, general, *others)

    def registers(self) -> Iterator[tuple[int, bytes]]:
        """The threads and their registers, each a struct user_regs_struct; without those that have none to show."""
        for thread in sorted(self.stops):
            registers = ctypes.create_string_buffer(user_regs.sizeof())
            with suppress(OSError):
                _ptrace(PTRACE_GETREGS, thread, registers)
                yield thread, registers.raw


def waits_for_a_child(pid: int, thread: int) -> bool:
    """Whether the kernel blocks a thread until a child of vfork has called exec, or until its own exec goes on."""
    if procfs.thread_state(pid, thread) != "D":
        return False
    number = procfs.system_call(pid, thread).partition(" ")[0]
    return number.isdecimal() and int(number) in FOR_A_CHILD


def parsed(registers: list[tuple[int, bytes]]) -> list[Thread]:
    """Threads out of what `Threads.registers` gives."""
    return [Thread.of(thread, user_regs.parse(raw)) for thread, raw in registers]
