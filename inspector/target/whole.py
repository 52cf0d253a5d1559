"""A process that stands still because all its memory was copied, while the process itself runs on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np

from inspector import watching
from inspector.control.hold import PtraceHolder, Still
from inspector.copying.estimate import expected_seconds
from inspector.copying.pages import Pages
from inspector.copying.plan import Numbers, Plan, make_plan
from inspector.copying.room import Room, with_holes
from inspector.copying.workers import PIECE, Copying, copying, hurrying
from inspector.errors import NotReadInTime, UnreadableMemory
from inspector.image.elf import ElfImage
from inspector.memory.chunks import Chunk, Chunks
from inspector.memory.files import map_opened
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Memory, Region, RegionMap
from inspector.memory.threads import Thread
from inspector.target.program import lay_over
from inspector.target.run import Run
from inspector.target.target import Target, noticing_the_end

logger = logging.getLogger(__name__)


class CopiedMemory(Chunks):
    """The memory of a process as it was when it was copied.

    Mapped files that the process cannot write to, which never change, are read from `image`, and those of libraries
    from the process itself, through `live`.
    """

    def __init__(self, plan: Plan, room: Room, live: Memory, image: ElfImage) -> None:
        super().__init__()
        self.name = live.name
        self._live = live
        self._chunks = [
            Chunk(
                one.mapping.start, one.mapping.start + one.size, room.bytes, room.begin + one.at, one.mapping.writable
            )
            for one in plan.segments
            if one.size == one.mapping.size
        ]
        self._index()
        # A mapping of its own, which goes when the last view of it does: the image may be closed before.
        lay_over(self, image, map_opened(image.file))
        self._regions = [
            Region(one.mapping.start, one.mapping.end, one.mapping.path, one.mapping.writable) for one in plan.segments
        ]
        self._constant = RegionMap(
            Region(one.mapping.start, one.mapping.end)
            for one in plan.segments
            if one.size != one.mapping.size and not one.mapping.writable
        )

    def regions(self) -> list[Region]:
        """Return what was readable in the stop."""
        return self._regions

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`; raises UnreadableMemory, and TargetGone for a library's."""
        with suppress(UnreadableMemory):
            return super().read(address, size)
        if self._constant.covers(address, size):
            return self._live.read(address, size)
        raise UnreadableMemory(address, size, self._why_missing(address))

    def _why_missing(self, address: int) -> str:
        return "it was not mapped in the process"


@dataclass(frozen=True)
class Whole:
    """A target that stands still, because all its memory was copied.

    `at_once` says that one stop was enough. Else what was copied in different stops is of different moments.
    """

    target: Target
    at_once: bool


@contextmanager
def copied_whole(run: Run) -> Iterator[Whole | None]:
    """Copy all memory of a process: in one stop, if one is sure to be long enough, else in as few as it takes.

    Yields the copy, with what `run` knows of the process; None where there is no process to hold, or no room for a
    copy. The copy is gone when the block is left. Raises what holding and reading a process raise.
    """
    with noticing_the_end(run.target.life):
        copied = _copy(run)
    try:
        yield copied
    finally:
        if copied:
            assert isinstance(copied.target.memory, CopiedMemory)
            copied.target.memory.close()


def _copy(run: Run) -> Whole | None:
    target, pid = run.target, run.target.pid
    memory, holder = target.memory, target.holder
    if pid is None or not isinstance(memory, ProcessMemory) or not isinstance(holder, PtraceHolder):
        return None
    # What never changes is read while the process runs.
    _ = run.types, run.hash_keys
    with Pages(pid) as pages:
        plan = make_plan(pid, pages)
        with with_holes(plan.length, plan.sparse(), plan.sizes) as room, copying(memory) as workers:
            if room is None:
                return None
            held = _Holding(run, pid, pages, workers, room).copy(plan)
    copy = CopiedMemory(held.plan, room, memory, target.program.image)
    still = Still(lambda: held.threads, words="copied whole")
    return Whole(replace(target, memory=copy, holder=still, life=None, resources=ExitStack()), held.at_once)


@dataclass(frozen=True)
class _Held:
    """What was copied, the threads as they were then, and whether all that was in one stop."""

    plan: Plan
    threads: list[Thread]
    at_once: bool


@dataclass(frozen=True)
class _Holding:
    """Copies a process to a room, where everything lies as it does in a core."""

    run: Run
    pid: int
    pages: Pages
    workers: Copying
    room: Room

    def copy(self, plan: Plan) -> _Held:
        """Copy what a plan says, or a newer one."""
        ours, most = plan.sparse() + np.uint64(self.room.base), self.run.longest_stop
        expected = expected_seconds(self.pid, self.pages, plan, self.workers, ours, _anywhere)
        watching.begin("Copying memory", plan.size, in_bytes=True)
        logger.debug("to copy all %d bytes takes about %.1f ms", plan.size, expected * 1000)
        if most is None or expected <= most:
            held = self._at_once(plan)
            if held is not None:
                return held
        return self._in_slices(plan, plan.size / max(expected, 1e-9))

    def _at_once(self, plan: Plan) -> _Held | None:
        """None if it was not all copied in time, or not everything could be read."""
        try:
            with hurrying(), self.run.held(only=True):
                plan = make_plan(self.pid, self.pages, plan)
                if plan.length > self.room.size:
                    return None
                ours = plan.sparse() + np.uint64(self.room.base)
                in_time = self.workers.copy(plan.starts, plan.sizes, ours, self.run.deadline.at, _anywhere)
                threads = self.run.threads()
        except NotReadInTime:
            return None
        logger.debug("%d bytes copied, %d unreadable, in time: %s", plan.size, self.workers.unreadable, in_time)
        return _Held(plan, threads, True) if in_time and not self.workers.unreadable else None

    def _in_slices(self, plan: Plan, speed: float) -> _Held:
        """Copy in several stops. What is left when no more stops may be made is copied while the process runs.

        `speed` is in bytes a second.
        """
        slices, threads = _Slices.of(plan, self.room.base), list[Thread]()
        patience = self.run.patience
        step = plan.size if patience is None else int(patience * speed)
        while slices.left:
            piece = slices.next(step)
            try:
                with hurrying(), self.run.held():
                    threads = threads or self.run.threads()
                    if not self.workers.copy(*piece.ranges, self.run.deadline.at, _anywhere):
                        raise NotReadInTime(piece.size, self.run.deadline.allowed)
            except NotReadInTime:
                if step > PIECE and not self.run.spent:
                    step //= 2
                    continue
                self.workers.copy(*piece.ranges, None, _anywhere)
            slices = slices.behind(piece)
        return _Held(plan, threads, False)


@dataclass(frozen=True)
class _Slices:
    """Ranges of a process that are still to be copied: `starts`, `sizes`, and `places`, our own addresses."""

    starts: Numbers
    sizes: Numbers
    places: Numbers

    @staticmethod
    def of(plan: Plan, base: int) -> _Slices:
        """All ranges of a plan, those of small mappings first: the runtime's own data, which says what the rest is."""
        firsts = np.array([one.mapping.start for one in plan.segments], np.uint64)
        sizes = np.array([one.mapping.size for one in plan.segments], np.uint64)
        own = sizes[np.searchsorted(firsts, plan.starts, side="right") - 1]
        counts = (plan.sizes.astype(np.int64) + PIECE - 1) // PIECE
        which = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        skipped = nth.astype(np.uint64) * np.uint64(PIECE)
        order = np.lexsort((plan.starts[which] + skipped, own[which]))
        which, skipped = which[order], skipped[order]
        places = plan.sparse()[which] + np.uint64(base) + skipped
        return _Slices(plan.starts[which] + skipped, np.minimum(plan.sizes[which] - skipped, np.uint64(PIECE)), places)

    @property
    def left(self) -> int:
        """How many ranges there are."""
        return len(self.starts)

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return int(self.sizes.sum())

    @property
    def ranges(self) -> tuple[Numbers, Numbers, Numbers]:
        """All of them."""
        return self.starts, self.sizes, self.places

    def next(self, size: int) -> _Slices:
        """The first ones, of no more bytes than `size` in all; one at least."""
        count = max(1, int(np.searchsorted(np.cumsum(self.sizes), size, side="right")))
        return _Slices(self.starts[:count], self.sizes[:count], self.places[:count])

    def behind(self, piece: _Slices) -> _Slices:
        """Those that follow."""
        return _Slices(self.starts[piece.left :], self.sizes[piece.left :], self.places[piece.left :])


def _anywhere(_: int) -> None:
    """All of our own memory can be written."""
