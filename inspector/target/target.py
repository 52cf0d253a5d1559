"""A target: what was opened, and what is closed in the end. Each request of it is a Run (run.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from inspector.control.gdbmemory import GdbMemory
from inspector.control.hold import GdbHolder, Holder
from inspector.errors import GdbMissing, Hint, NoSuchTarget, TargetGone
from inspector.gotypes.gotype import GoType
from inspector.memory.lifetime import Lifetime
from inspector.memory.protocol import Memory
from inspector.target.program import Program

if TYPE_CHECKING:
    from inspector.control.gdbmi import GdbBridge
    from inspector.memory.corefile import CoreFile


class Frames(Protocol):
    """Finds variables in frames: gdb does, behind the bridge or around us."""

    def prepare_frames(self, functions: list[tuple[str, int]]) -> list[str]:
        """Read what is needed to find the frames of functions; the names of those that exist. Raises GdbError."""
        ...

    def search_frames(self, request: dict[str, Any]) -> dict[str, Any]:
        """Find variables in frames, see gdbframes.search, while the target is held. Raises GdbError."""
        ...


@dataclass
class Target:
    """An opened process or core. Use as a context manager; closing it always leaves a process running.

    `memory` is where its bytes come from, `holder` how it is held still, `notes` are sentences for the user about the
    opening, `missing` how many bytes a core lacks of what its headers promise. `gdb` names the gdb to start where one
    is needed; None forbids it. `held_since` is set where others hold the process from the opening to the end, in
    seconds of time.perf_counter(). `life` is that of a process of this machine: what its pid stands for. A target of
    kind "gdb" is opened by the plugin inside gdb; `inner` finds frames there. `allgs` is the address of runtime.allgs,
    None where it was not found, or not sought yet. `led_to` says which types the references to a map have, by its
    address: that takes long, and it is a matter of a higher floor, so others set it.
    """

    kind: Literal["process", "core", "gdb"]
    path: str
    pid: int | None
    program: Program
    memory: Memory
    holder: Holder
    gdb: str | None = None
    notes: tuple[str, ...] = ()
    missing: int = 0
    held_since: float | None = None
    inner: Frames | None = None
    life: Lifetime | None = None
    allgs: int | None = None
    sought_allgs: bool = False
    led_to: Callable[[Target, int], Sequence[GoType]] | None = None
    resources: ExitStack = field(default_factory=ExitStack)
    _bridge: GdbBridge | None = None
    _no_bridge: GdbMissing | None = None

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process, end gdb, close the files."""
        self.resources.close()

    def relieve(self) -> None:
        """Give back memory that a core's file holds anyway."""
        core = self._core(self.program.memory)
        if core is not None:
            core.relieve()

    def _core(self, memory: Memory) -> CoreFile | None:
        """The core that a memory of this target is; None where it is something else."""
        if self.kind != "core":
            return None
        # A process needs none of what reads cores, which takes 4 ms to load.
        from inspector.memory.corefile import CoreFile

        return memory if isinstance(memory, CoreFile) else None

    @property
    def local_pid(self) -> int | None:
        """The process whose end /proc shows, None without a process."""
        return self.pid if self.kind == "process" and not self.holder.still else None

    @property
    def read_by_gdb(self) -> bool:
        """Whether gdb alone reads the bytes, which it can only while it holds the process."""
        return isinstance(self.memory, GdbMemory)

    def bridge(self) -> GdbBridge:
        """The gdb that knows this target's symbols, started when it is first needed; raises GdbMissing."""
        if self._no_bridge is not None:
            raise self._no_bridge
        if self._bridge is None:
            if self.gdb is None:
                raise GdbMissing("only gdb can answer this, and it must not be used", Hint("leave {direct} out"))
            files = [self.program.image.file.fileno()]
            core = self._core(self.memory)
            if core is not None:
                files.append(core.file.fileno())
            # Loaded here, as starting and understanding gdb takes 5 ms to load, and few requests ask gdb.
            from inspector.control.gdbmi import GdbBridge

            try:
                started = GdbBridge(self.gdb, tuple(files))
            except GdbMissing as error:
                # Finding out that a program is not a gdb may take long: once is enough.
                self._no_bridge = error
                raise
            bridge = self.resources.enter_context(started)
            program = self.program
            # Of an executable gdb finds out itself where it lies.
            bridge.open_executable(files[0], program.image.bias if program.in_library else 0)
            for file in files[1:]:
                bridge.open_core(file)
            self._bridge = bridge
        return self._bridge

    def frames(self) -> Frames:
        """Who finds variables in frames; raises GdbMissing."""
        return self.inner or self.bridge()

    def gdb_holder(self) -> Holder:
        """How gdb holds the target, for what gdb has to evaluate in it; raises GdbMissing."""
        if self.holder.still or self.pid is None:
            return self.holder
        return GdbHolder(self.bridge(), self.pid)

    def connect(self, bridge: GdbBridge, resources: ExitStack) -> None:
        """Take over a gdb that knows this target already, and what is to be closed after it."""
        self._bridge = bridge
        resources.push(self.resources)
        self.resources = resources


def gone(pid: int) -> TargetGone:
    """The error for a process that ended under our hands."""
    return TargetGone(f"process {pid} ended while it was being inspected", "inspect its core dump, if it left one")


IN_EXEC = 2.0
LOOK = 0.01
"""Seconds that a process which seems to be gone may still be inside execve, and between two looks at it."""


@contextmanager
def noticing_the_end(life: Lifetime | None) -> Iterator[None]:
    """Turn whatever goes wrong in the block because the process ended, or called exec, into the one reason for it.

    After an exec nothing is an answer: it may be of one program in part, and of another in part. Raises TargetGone,
    ProgramReplaced.
    """
    try:
        yield
    except Exception as error:
        if life is not None:
            unclear = isinstance(error, (TargetGone, NoSuchTarget)) or life.headless
            deadline = time.monotonic() + (IN_EXEC if unclear else 0)
            while True:
                if life.ended:
                    raise gone(life.pid) from None
                life.require()
                if time.monotonic() >= deadline:
                    break
                time.sleep(LOOK)
        raise
    if life is not None:
        life.require()
