"""Stopping a process without gdb: PTRACE_SEIZE and PTRACE_INTERRUPT on every thread.

SEIZE sends no SIGSTOP, and the kernel lets every seized thread run on when the tracer ends, however it
ends: this process cannot leave the target stopped.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import Hint, NotPermitted, TargetGone
from inspector.memory import procfs
from inspector.memory.prstatus import user_regs
from inspector.memory.threads import Thread

PTRACE_GETREGS = 12
PTRACE_DETACH = 17
PTRACE_GETREGSET = 0x4204
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_EVENT_STOP = 128
WALL = 0x40000000

NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE = 1, 2, 0x202
"""Sets of registers for PTRACE_GETREGSET: the numbers of their notes in a core (elf.h)."""

LARGEST_SET = 1 << 14
"""Bytes; an XSAVE area with AMX takes 11 KiB."""

PATIENCE = 2.0
"""Seconds to wait for a thread to stand still."""

POLL = 0.0002

INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Signals by which the user or a terminal ends this process; they wait while a target is being let go."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request: int, thread: int, data: int | ctypes.Array[ctypes.c_char] = 0) -> None:
    if _libc.ptrace(request, thread, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _threads(pid: int) -> set[int]:
    try:
        return {int(task) for task in os.listdir(Path(f"/proc/{pid}/task"))}
    except OSError:
        return set()


def _seize(pid: int, thread: int) -> bool:
    """Trace one thread, which runs on; False when it has ended meanwhile."""
    try:
        _ptrace(PTRACE_SEIZE, thread)
    except OSError as error:
        # A thread that is about to end is refused like one of somebody else.
        if error.errno == errno.ESRCH or _has_ended(pid, thread):
            return False
        tracer = procfs.status(pid).tracer
        if tracer and tracer != os.getpid():
            raise NotPermitted(
                f"process {pid} is already traced by process {tracer}",
                Hint("detach the other debugger, or read without stopping: {no_stop}"),
            ) from None
        raise NotPermitted(f"no permission to stop process {pid}", procfs.PERMISSION_HINT) from None
    return True


def _interrupt(thread: int) -> None:
    # ESRCH: it ended between the two calls, which the wait for its stop will notice.
    with suppress(OSError):
        _ptrace(PTRACE_INTERRUPT, thread)


def _has_ended(pid: int, thread: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/task/{thread}/stat").read_text(errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


def _await_stop(pid: int, thread: int) -> int | None:
    """Wait until a seized thread stands still; returns a signal to hand back to it, None if it ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            waited, state = os.waitpid(thread, WALL | os.WNOHANG)
        except ChildProcessError:
            return None
        if waited:
            break
        if time.monotonic() > deadline:
            raise NotPermitted(
                f"thread {thread} of process {pid} is blocked in the kernel and does not stop",
                Hint("try again, or read without stopping: {no_stop}"),
            )
        time.sleep(POLL)
    if not os.WIFSTOPPED(state):
        return None
    # A signal may arrive before our interrupt: it is the target's own and is delivered on release.
    return 0 if state >> 16 == PTRACE_EVENT_STOP else os.WSTOPSIG(state)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the processor for a few system calls, where we may: each thread that they wake would take it from us.

    With 200 threads the first would else stand still several milliseconds longer than the last.
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


def _release(pid: int, seized: dict[int, int | None]) -> None:
    # Ctrl-C must not leave half the threads for later: it waits until all are free.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        with _undisturbed():
            for thread, pending in seized.items():
                if pending is not None:
                    with suppress(OSError):
                        _ptrace(PTRACE_DETACH, thread, pending)
        for thread, pending in seized.items():
            # A thread can only be let go while it stands still. One that never stops is freed by the
            # kernel when this process ends.
            if pending is None:
                _interrupt(thread)
                with suppress(OSError, NotPermitted):
                    _ptrace(PTRACE_DETACH, thread, _await_stop(pid, thread) or 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def threads(pid: int) -> list[Thread]:
    """The registers of all threads of a process that `stopped` holds; those that have ended are left out."""
    found = []
    for thread in sorted(_threads(pid)):
        registers = ctypes.create_string_buffer(user_regs.sizeof())
        with suppress(OSError):
            _ptrace(PTRACE_GETREGS, thread, registers)
            found.append(Thread.of(thread, user_regs.parse(registers.raw)))
    return found


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


def register_sets(pid: int) -> list[RegisterSets]:
    """All registers of all threads of a process that `stopped` holds, the first thread first.

    Threads that have ended are left out.
    """
    found = []
    for thread in sorted(_threads(pid), key=lambda thread: (thread != pid, thread)):
        with suppress(OSError):
            general = _register_set(thread, NT_PRSTATUS)
            others = [b"", b""]
            for at, kind in enumerate((NT_FPREGSET, NT_X86_XSTATE)):
                with suppress(OSError):
                    others[at] = _register_set(thread, kind)
            found.append(RegisterSets(thread, general, *others))
    return found


@contextmanager
def stopped(pid: int) -> Iterator[float]:
    """Hold every thread of a process still for the length of the block.

    Yields when the first of them was asked to stop, in seconds of time.perf_counter(). Must be left by the thread that
    entered it. Raises NoSuchTarget, NotPermitted, TargetGone; in each case, as on any exception inside the block, all
    threads run again.
    """
    procfs.status(pid)
    seized: dict[int, int | None] = {}
    began = math.inf
    try:
        # Threads may be born while we seize others: look again until nothing is new.
        while fresh := _threads(pid) - set(seized):
            # Seizing stops nobody: the first thread shall not wait for the last one longer than it must.
            for thread in fresh:
                seized[thread] = None
                if not _seize(pid, thread):
                    seized[thread] = 0
            running = [thread for thread in fresh if seized[thread] is None]
            with _undisturbed():
                began = min(began, time.perf_counter())
                for thread in running:
                    _interrupt(thread)
            for thread in running:
                seized[thread] = _await_stop(pid, thread) or 0
        if not seized or procfs.has_ended(pid):
            raise TargetGone(f"process {pid} ended before it could be read")
        yield began
        if procfs.has_ended(pid):
            raise TargetGone(f"process {pid} ended while it was being read")
    finally:
        _release(pid, seized)
