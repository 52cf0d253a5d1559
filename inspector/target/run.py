"""One request of a target: its notes, its clock and its deadline. Two requests know nothing of each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from inspector import watching
from inspector.control.gdbmemory import GdbMemory
from inspector.control.hold import WINDOW, Clock, GdbHolder, Holder, timed
from inspector.errors import GdbDied, GdbError, Hint, NotReadInTime
from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable
from inspector.gotypes.variables import Declarations
from inspector.hashing.keys import HashKeys
from inspector.image.elf import ElfImage
from inspector.maps.family import Family, HeapMetadata, Reader, Source
from inspector.maps.readers import reader_of
from inspector.memory.chunks import Chunks
from inspector.memory.deadline import Deadline
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Memory, Region, RegionMap
from inspector.memory.threads import Thread
from inspector.settings import USUAL_STOP, USUAL_STOP_BY_GDB, MaxStop
from inspector.target.target import Target, gone

T = TypeVar("T")

STARVED_TRIES = 4
"""How often a stop is made in all in which this process did not get the processor."""

LEAST_STOP = 0.005
"""Seconds: less than that of a budget is not worth a stop."""


class Run:
    """A request. `notes` are sentences for the user; `clock` has the stops that it made; `heap` is the heap's metadata,
    None unless somebody looked for it and found it.

    `max_stop` is how long one stop may take (MaxStop). `max_share` is the share of any
    second that the process may be held, and `budget` how many seconds in all; None for no limit.
    """

    def __init__(
        self,
        target: Target,
        max_stop: MaxStop = "usual",
        max_share: float | None = None,
        budget: float | None = None,
    ) -> None:
        self.target, self.max_share, self.budget = target, max_share, budget
        self._max_stop: MaxStop = max_stop
        self.notes = [*target.notes, *target.program.build.notes]
        self.clock = Clock()
        watching.hold_by(self.clock.so_far)
        self.holder: Holder = target.holder
        self.deadline = Deadline()
        self.memory: Memory = target.memory
        memory = target.memory
        if isinstance(memory, Chunks) or (isinstance(memory, (ProcessMemory, GdbMemory)) and not target.holder.still):
            self.memory = memory.within(self.deadline)
        self.heap_searched = False
        # Reading it is a matter of a higher floor, so others set it.
        self.heap: HeapMetadata | None = None
        self._held = self._noted_waiting = False
        self._regions: RegionMap | None = None
        # A gdbserver holds its process from the connection on; what went before a later request is not its own.
        self._since, target.held_since = _earlier(target.held_since, time.perf_counter())
        self.clock.began = self._since

    def of(self, still: Target) -> Run:
        """The same request, of a copy of its target: notes and stops are shared."""
        run = Run(still, self._max_stop, self.max_share, self.budget)
        run.clock, run.notes = self.clock, self.notes
        return run

    # What never changes

    @property
    def image(self) -> ElfImage:
        """The executable."""
        return self.target.program.image

    @property
    def release(self) -> Release:
        """The Go release that the target was built with."""
        return self.target.program.release

    @property
    def types(self) -> TypeTable:
        """The type descriptors; raises UnsupportedTarget, UnreadableMemory."""
        with self._readable("types"):
            return self.target.program.types

    @property
    def declarations(self) -> Declarations:
        """What the executable's DWARF declares."""
        with self._readable("types"):
            return self.target.program.declarations

    @property
    def hash_keys(self) -> HashKeys | None:
        """The random keys of the hash functions; None where they are not found."""
        with self._readable("hash_keys"):
            return self.target.program.hash_keys

    @property
    def family(self) -> Family:
        """The family of all maps of the program."""
        return self.target.program.family

    def reader_of(self, go_type: GoType) -> Reader:
        """Who reads values of a type: the family, or what knows sync.Map."""
        return reader_of(self.release, go_type)

    def search_heap_for_types(self, heap: Callable[[Run], list[Region]]) -> bool:
        """Look for map types that were made at run time, in what `heap` finds; returns whether any is new."""
        self.heap_searched = True
        types = self.types
        with self._readable():
            return types.search_heap(self.memory, heap(self))

    @contextmanager
    def _readable(self, what: str = "") -> Iterator[None]:
        """Gdb reads only what it holds; anyone else needs no stop for what does not change, or is read already."""
        if not self.target.read_by_gdb or self.still or what in vars(self.target.program):
            yield
            return
        with self.held():
            yield

    # What is true at this moment

    def note(self, sentence: str) -> None:
        """Keep a sentence for the user, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def still(self) -> bool:
        """Whether the target stands still without being held: a core, or a process that others hold."""
        return self.holder.still

    @property
    def stops(self) -> bool:
        """Whether the target stands still while it is held; else copies may be torn."""
        return self.holder.stops

    @property
    def held_now(self) -> bool:
        """Whether a process is standing still for this request alone at this moment."""
        return self._held and not self.still

    @property
    def missing(self) -> int:
        """Bytes that a core lacks of what its headers promise."""
        return self.target.missing

    @property
    def max_stop(self) -> float | None:
        """Seconds that one stop may take; None for as long as it likes."""
        if self._max_stop != "usual":
            return self._max_stop
        by_gdb = self.target.read_by_gdb or isinstance(self.holder, GdbHolder)
        return USUAL_STOP_BY_GDB if by_gdb else USUAL_STOP

    @property
    def stopped_ms(self) -> float:
        """Milliseconds that this request has held the target so far."""
        return self.clock.total * 1000

    def regions(self) -> RegionMap:
        """What can be read right now; while the target stands still that is found out only once."""
        if not self.still and not (self._held and self.stops):
            return RegionMap(self.memory.regions())
        if self._regions is None:
            self._regions = RegionMap(self.memory.regions(), complete=self.target.kind != "core")
        return self._regions

    def source(self) -> Source:
        """Where a family reads maps from, with what is mapped at this moment."""
        return Source(self.memory, self.regions(), self.types, self.hash_keys, self.heap)

    def threads(self) -> list[Thread]:
        """The threads with their registers, none where they cannot be had, or where the target is not held."""
        if not self._held and not self.still:
            return []
        try:
            return self.holder.threads()
        except GdbDied:
            raise
        except GdbError as error:
            self.note(f"the threads cannot be inspected: {error.message}")
            return []

    def hold_with_gdb(self) -> None:
        """From now on gdb holds the target, because it has to evaluate something in it; raises GdbMissing."""
        self.holder = self.target.gdb_holder()

    @contextmanager
    def held(self, only: bool = False) -> Iterator[None]:
        """Hold the target still for the length of the block, where it is not already. May be nested.

        `only` says that this is meant to be the only stop: then no share of the time limits it. Reads in the block
        raise NotReadInTime when the stop has lasted for as long as it may.
        """
        if self._held or self.still:
            yield
            if self._since is not None:
                self.clock.stops, self.clock.began = [(self._since, time.perf_counter())], None
            return
        room = self.longest_stop if only and self.stops else self._room()
        try:
            with timed(self.holder, self.clock) as began:
                self._held = True
                if self.holder.waited and not self._noted_waiting:
                    self._noted_waiting = True
                    self.note(self.holder.waited)
                # gdb takes its time to attach, which nobody can shorten.
                self.deadline.start(time.perf_counter() if isinstance(self.holder, GdbHolder) else began, room)
                with self._advising():
                    yield
                life = self.target.life
                # What was read of a process that was killed meanwhile is nothing.
                if life is not None and life.ended:
                    raise gone(life.pid)
            if self.target.life is not None:
                self.target.life.require()
        finally:
            self._held, self._regions = False, None
            self.deadline.lift()

    @contextmanager
    def _advising(self) -> Iterator[None]:
        """Advise nobody to read without a stop what only gdb can read."""
        try:
            yield
        except NotReadInTime as error:
            if isinstance(self.holder, GdbHolder):
                error.hint = Hint("allow longer stops with {max_stop}")
            raise

    def in_time(self, work: Callable[[], T], late: Callable[[T], bool]) -> T:
        """What `work` returns; it is done again a few times where a stop was too short because the machine was busy.

        `late` says whether something is missing in what it returned. Raises what `work` raises.
        """
        for _ in range(STARVED_TRIES - 1):
            try:
                done = work()
            except NotReadInTime:
                if not self._starved:
                    raise
            else:
                if not (late(done) and self._starved):
                    return done
                # There may be no room for two copies.
                del done
        return work()

    @property
    def _starved(self) -> bool:
        """Whether the last stop was too short because others had the processor; what gdb does in it is not seen."""
        return self.clock.starved and not isinstance(self.holder, GdbHolder)

    def copied(self, read: Callable[[], T]) -> T:
        """What `read` returns in a stop, or while the target runs where the stop was too short for it.

        A copy that may be torn is better than none where everything in it is looked at once more.
        """
        try:
            with self.held():
                return read()
        except NotReadInTime:
            return read()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Read for at most so many seconds while the target runs; reads in the block raise NotReadInTime after that."""
        self.deadline.start(time.perf_counter(), seconds)
        try:
            yield
        finally:
            self.deadline.lift()

    @property
    def patience(self) -> float | None:
        """Seconds that any stop is sure to have, however many went before it; None for as long as it likes."""
        if self.max_share is None or not self.stops:
            return self.max_stop
        least = self.max_share * WINDOW / 2
        return least if self.max_stop is None else min(self.max_stop, least)

    @property
    def longest_stop(self) -> float | None:
        """Seconds that a stop may take if it is the only one; None for as long as it likes."""
        return min((most for most in (self.max_stop, self.budget) if most is not None), default=None)

    @property
    def spent(self) -> bool:
        """Whether too little is left of the budget for another stop."""
        if self.budget is None or self.still or not self.stops:
            return False
        return self.budget - self.clock.total < min(LEAST_STOP, self.budget)

    @property
    def allowed_ms(self) -> float:
        """Milliseconds of the budget, 0 without one."""
        return (self.budget or 0.0) * 1000

    def _room(self) -> float | None:
        """Wait until the process has run for long enough, and return how long the next stop may take, in seconds.

        Raises NotReadInTime where the budget is spent.
        """
        if not self.stops:
            return None
        if self.spent:
            raise NotReadInTime(0, 0.0)
        left = None if self.budget is None else self.budget - self.clock.total
        if self.max_share is not None:
            share = self._free_share(self.max_share)
            left = share if left is None else min(left, share)
        return min((most for most in (self.max_stop, left) if most is not None), default=None)

    def _free_share(self, most: float) -> float:
        """Wait until half of the share is free, and return how much is, in seconds."""
        while True:
            left = most * WINDOW - self.clock.recent(time.perf_counter())
            least = self.patience
            assert least is not None
            if left >= least:
                return left
            time.sleep(least - left)


def _earlier(since: float | None, now: float) -> tuple[float | None, float | None]:
    """When this request's hold began, and what is left for the next one to take."""
    return (None, None) if since is None else (min(since, now), float("inf"))
