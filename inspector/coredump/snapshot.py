"""From a live process to a core: what is known before the hold, what is copied in it, what is written after it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspector import watching
from inspector.control.hold import PtraceHolder
from inspector.control.ptrace import RegisterSets
from inspector.copying.estimate import expected_seconds
from inspector.copying.pages import Pages
from inspector.copying.plan import Numbers, Plan, make_plan
from inspector.copying.room import Room, first_to_be_killed, in_file, in_memory
from inspector.copying.workers import Copying, copying, hurrying
from inspector.coredump.notes import Identity, identify, notes
from inspector.coredump.output import Output, output, unnamed_or_beside
from inspector.coredump.writing import Compressed, Sink, Sparse, head, head_size, write_memory
from inspector.errors import Hint, InspectError, UsageError
from inspector.memory.process import ProcessMemory
from inspector.target.run import Run
from inspector.target.target import Target, gone, noticing_the_end

logger = logging.getLogger(__name__)

NOTES_OF_THREAD = 1 << 14
"""Bytes that the notes of a thread take at most."""

SPARE_HEAD = 1 << 18
"""Bytes for program headers of what is mapped while we get ready."""

BLOCK = 512
"""Bytes of a block, as stat counts them."""

SPARE_THREADS = 64
"""Threads that may be born while we get ready."""


@dataclass(frozen=True)
class Written:
    """A core that was written. Sizes are in bytes.

    `size` is its length before it is compressed, `on_disk` what it takes there. `memory` is what was copied, and
    `unreadable` how much of that could not be read and is zeros in the core. `held` is in seconds. `straight` says that
    the copy was made into a file, because there was too little memory. `executable` is the program that a reader of
    the core needs, too.
    """

    path: Path
    executable: str
    size: int
    on_disk: int
    memory: int
    unreadable: int
    threads: int
    mappings: int
    held: float
    straight: bool


@dataclass(frozen=True)
class _Store:
    """Where the memory is copied to: a room, and the file that it lies in (None: in memory).

    In a file, memory begins at `begin`, and lies as it does in the core; in memory there are no holes.
    """

    room: Room
    file: int | None = None
    begin: int = 0

    def places(self, plan: Plan) -> Numbers:
        """Where in the room the copy of each range begins; raises InspectError where there is too little."""
        self.room.require(plan.size if self.file is None else plan.length)
        return plan.dense() if self.file is None else plan.sparse()

    def require_writable(self, address: int) -> None:
        """Raise OSError where one of our own addresses in the room cannot be written because the disk is full."""
        if self.file is not None:
            os.pwrite(self.file, b"\0", self.begin + address - self.room.base)


@dataclass(frozen=True)
class _Copied:
    """What was copied while the process was held, to `places` in a room."""

    plan: Plan
    places: Numbers
    threads: list[RegisterSets]
    unreadable: int
    held: float


def write_core(
    target: Target, path: str | os.PathLike[str], *, force: bool = False, zstd: bool = False,
    max_stop: float | None = None,
) -> Written:  # fmt: skip
    """Write a core of a live process, which is held while its memory is copied, and not longer.

    `force` replaces a file that exists, `zstd` compresses, `max_stop` is how long the process may be held, in seconds
    (None for as long as it takes). Raises UsageError before the process is held where that cannot be kept; InspectError
    where the file cannot be written; and what opening and holding a process raise. On every way out the process runs,
    and no part of a file is left.
    """
    if target.kind != "process" or target.pid is None:
        raise UsageError("only a live process can be written to a core", "give the pid of one")
    if not isinstance(target.memory, ProcessMemory) or not isinstance(target.holder, PtraceHolder):
        raise UsageError("a core needs a process that is held and read without gdb", Hint("open it with {direct}"))
    with (
        noticing_the_end(target.life),
        first_to_be_killed(),
        output(Path(path), force) as file,
        Pages(target.pid) as pages,
    ):
        return _Snapshot(target, target.pid, target.memory, pages, file, zstd, max_stop).write()


@dataclass(frozen=True)
class _Snapshot:
    """One core that is to be written."""

    target: Target
    pid: int
    memory: ProcessMemory
    pages: Pages
    output: Output
    zstd: bool
    max_stop: float | None

    def write(self) -> Written:
        """Copy, let go, write."""
        identity = identify(self.pid)
        plan = make_plan(self.pid, self.pages)
        logger.debug("%d mappings, %d bytes in %d ranges", len(plan.segments), plan.size, len(plan.ranges))
        with self._store(plan) as store:
            with copying(self.memory) as workers:
                if self.max_stop is not None:
                    self._require_time(self.max_stop, plan, workers, store)
                copied = self._hold(plan, workers, store)
            size = self._write(identity, copied, store)
            self.output.publish()
        status = os.fstat(self.output.file)
        return Written(
            path=self.output.path,
            executable=self.target.program.image.path,
            size=size,
            on_disk=status.st_blocks * BLOCK,
            memory=copied.plan.size,
            unreadable=copied.unreadable,
            threads=len(copied.threads),
            mappings=len(copied.plan.segments),
            held=copied.held,
            straight=store.file is not None,
        )

    # Before the hold

    @contextmanager
    def _store(self, plan: Plan) -> Iterator[_Store]:
        """Where to copy to: memory, or where there is too little, the file itself (another one, to be compressed)."""
        if not self.zstd:
            self._require_space(plan.size)
        with ExitStack() as opened:
            room = opened.enter_context(in_memory(plan.size))
            if room is not None:
                yield _Store(room)
                return
            self._require_space(plan.size)
            file = self.output.file
            if self.zstd:
                file, name = opened.enter_context(unnamed_or_beside(self.output.path))
                if name is not None:
                    name.unlink()
            threads = 2 * len(os.listdir(f"/proc/{self.pid}/task")) + SPARE_THREADS
            begin = head_size(plan, 2 * len(plan.text) + NOTES_OF_THREAD * threads) + SPARE_HEAD
            yield _Store(in_file(file, begin, plan.length), file, begin)

    def _require_space(self, size: int) -> None:
        disk = os.fstatvfs(self.output.file)
        free = disk.f_bavail * disk.f_frsize
        if free < size:
            raise InspectError(
                f"cannot write {self.output.path}: the process has {size:,} bytes of memory, and the disk has "
                f"{free:,} bytes left",
                Hint("write to a disk with more room, or compress with {zstd}"),
            )

    def _require_time(self, seconds: float, plan: Plan, workers: Copying, store: _Store) -> None:
        """Copy a part while the process runs, and refuse to hold it where all will take too long."""
        ours = store.places(plan) + np.uint64(store.room.base)
        expected = expected_seconds(self.pid, self.pages, plan, workers, ours, store.require_writable)
        logger.debug("expected to hold the process for %.1f ms", expected * 1000)
        if expected > seconds:
            raise UsageError(
                f"to copy {plan.size:,} bytes, process {self.pid} would have to be held for about "
                f"{expected * 1000:,.0f} ms, longer than the {seconds * 1000:,.0f} ms that a stop may take; "
                "it was not held",
                Hint("allow longer stops with {max_stop}"),
            )

    # In the hold

    def _hold(self, plan: Plan, workers: Copying, store: _Store) -> _Copied:
        run = Run(self.target, self.max_stop)
        watching.begin("Copying memory", plan.size, in_bytes=True)
        with hurrying(), run.held():
            plan = make_plan(self.pid, self.pages, plan)
            places = store.places(plan)
            ours = places + np.uint64(store.room.base)
            if not workers.copy(plan.starts, plan.sizes, ours, run.deadline.at, store.require_writable):
                raise InspectError(
                    f"{plan.size:,} bytes were not copied within the {run.deadline.allowed * 1000:,.0f} ms that a stop "
                    "may take, so no core was written",
                    Hint("try again, or allow longer stops with {max_stop}"),
                )
            assert isinstance(run.holder, PtraceHolder)
            threads = run.holder.register_sets()
        if not threads:
            raise gone(self.pid)
        return _Copied(plan, places, threads, workers.unreadable, run.clock.total)

    # After the hold

    def _write(self, identity: Identity, copied: _Copied, store: _Store) -> int:
        """Write all of the core but its name; returns its length, uncompressed."""
        noted = notes(identity, copied.threads, copied.plan.mappings)
        begin = store.begin or head_size(copied.plan, len(noted))
        first = head(copied.plan, noted, begin)
        if len(first) > begin:
            raise InspectError(f"process {self.pid} has many more threads than a moment before", "try again")
        file = self.output.file
        what = "Compressing" if self.zstd else "Writing"
        watching.begin(f"{what} the core dump", copied.plan.length, in_bytes=True)
        sink: Sink = Compressed(file) if self.zstd else Sparse(file)
        sink.put(0, memoryview(first))
        if store.file == file:
            sink.end(begin + copied.plan.length)  # the memory is there already
        else:
            write_memory(sink, copied.plan, store.room, copied.places, begin)
        return begin + copied.plan.length
