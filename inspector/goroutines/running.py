"""Goroutines that run on a thread while the target stands still, and what they are doing (runtime/proc.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from construct import Construct, ConstructError, Container

from inspector.errors import UnreadableMemory
from inspector.goruntime.goroutine import G_BEFORE_TLS, g, m
from inspector.goruntime.releases import Release
from inspector.image.unwind import Frame, unwind
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Memory
from inspector.memory.threads import Thread
from inspector.target.run import Run

WORD = 8
MOST_STACK = 1 << 20
"""Bytes of a stack that are looked through; a few frames of the runtime are far less."""


@dataclass(frozen=True)
class Goroutine:
    """A goroutine: its number, the id of the thread that runs it (None: none does), its calls, innermost first.

    `registers` are those of the thread if it was running the goroutine itself, none while it was on another
    stack for it.
    """

    id: int
    thread: int | None
    frames: tuple[Frame, ...]
    registers: frozenset[int]

    def words(self, memory: Memory | FrozenMemory, start: int, end: int) -> frozenset[int]:
        """What lies in [start, end) of the stack and in the registers; the stack is left out where it is unreadable."""
        if not 0 < end - start <= MOST_STACK:
            return self.registers
        try:
            words = np.frombuffer(memory.read(start, (end - start) // WORD * WORD), np.uint64)
        except UnreadableMemory:
            return self.registers
        return self.registers | frozenset(words.tolist())


def running(run: Run) -> Iterator[Goroutine]:
    """The goroutines that the target's threads run; call it while the target is held."""
    for thread in run.threads():
        found = _of_thread(run, thread)
        if found is not None:
            yield found


def _of_thread(run: Run, thread: Thread) -> Goroutine | None:
    for here in _places(run, thread):
        # What a thread in C code has where Go keeps its goroutine is anything.
        with suppress(UnreadableMemory, ConstructError):
            found = _at(run, thread, here) if here else None
            if found is not None:
                return found
    return None


def _places(run: Run, thread: Thread) -> Iterator[int]:
    """Where the g of a thread may be: in its local storage, at a place that the linker chooses in a library."""
    with suppress(UnreadableMemory):
        yield _word(run.memory, thread.fs_base - G_BEFORE_TLS)
    if run.target.program.in_library:
        # ABIInternal keeps it in this register while Go code runs (cmd/compile/abi-internal.md).
        yield thread.general["r14"]


def _at(run: Run, thread: Thread, here: int) -> Goroutine | None:
    memory, functions = run.memory, run.types.functions
    now = _read(run, g, here)
    owner = _read(run, m, now.m)
    # The thread must say of itself that it runs this goroutine, or its own stacks.
    if here not in (owner.g0, owner.gsignal, owner.curg) or not owner.curg:
        return None
    if here == owner.curg:
        frames = tuple(unwind(memory, functions, thread.pc, thread.sp))
        return Goroutine(now.goid, thread.id, frames, frozenset(thread.general.values()))
    left = _read(run, g, owner.curg)
    # Set by systemstack while the thread is on its own stack for the goroutine.
    frames = tuple(unwind(memory, functions, left.sched.pc, left.sched.sp)) if left.sched.sp else ()
    return Goroutine(left.goid, thread.id, frames, frozenset())


def _word(memory: Memory, address: int) -> int:
    return int.from_bytes(memory.read(address, WORD), "little")


def _read(run: Run, declaration: Callable[[Release], Construct], address: int) -> Container:
    of_release = declaration(run.release)
    return of_release.parse(run.memory.read(address, of_release.sizeof()))
