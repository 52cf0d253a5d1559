"""One request of a target: its notes, its clock and its deadline. Two requests know nothing of each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

from inspector.control.gdbmi import GdbMemory
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
from inspector.memory.deadline import Deadline
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Memory, Region, RegionMap
from inspector.memory.threads import Thread
from inspector.target.target import Target, gone

T = TypeVar("T")

MaxStop = float | None | Literal["usual"]
"""Seconds that one stop may take; None for as long as it likes."""

USUAL_STOP = 0.2
USUAL_STOP_BY_GDB = 2.0
"""Seconds that a stop may take unless the caller says otherwise: where gdb holds or reads, everything takes longer."""

STARVED_TRIES = 4
"""How often a stop is made in all in which this process did not get the processor."""

MAX_SHARE = 0.1
"""The share of any second that a process is held by a request that stops it often."""


class Run:
    """A request. `notes` are sentences for the user; `clock` has the stops that it made; `heap` is the heap's metadata,
    None unless somebody looked for it and found it.

    `max_stop` is how long one stop may take (MaxStop). `max_share` is the share of any
    second that the process may be held; None for all of it.
    """

    def __init__(self, target: Target, max_stop: MaxStop = "usual", max_share: float | None = None) -> None:
        self.target, self.max_share = target, max_share
        self._max_stop: MaxStop = max_stop
        self.notes = [*target.notes, *target.program.build.notes]
        self.clock = Clock()
        self.holder: Holder = target.holder
        self.deadline = Deadline()
        self.memory: Memory = target.memory
        if isinstance(target.memory, (ProcessMemory, GdbMemory)) and not target.holder.still:
            self.memory = target.memory.within(self.deadline)
        self.heap_searched = False
        # Reading it is a matter of a higher floor, so others set it.
        self.heap: HeapMetadata | None = None
        self._held = False
        self._regions: RegionMap | None = None
        # A gdbserver holds its process from the connection on; what went before a later request is not its own.
        self._since, target.held_since = _earlier(target.held_since, time.perf_counter())

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
        """The threads with their registers, none where they cannot be had; call it while the target is held."""
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
    def held(self) -> Iterator[None]:
        """Hold the target still for the length of the block, where it is not already. May be nested.

        Reads in the block raise NotReadInTime when the stop has lasted for as long as it may.
        """
        if self._held or self.still:
            yield
            if self._since is not None:
                self.clock.stops = [(self._since, time.perf_counter())]
            return
        room = self._room()
        try:
            with timed(self.holder, self.clock) as began:
                self._held = True
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

    def _room(self) -> float | None:
        """Wait until the process has run for long enough, and return how long the next stop may take, in seconds."""
        if not self.stops:
            return None
        if self.max_share is None:
            return self.max_stop
        while True:
            left = self.max_share * WINDOW - self.clock.recent(time.perf_counter())
            least = self.patience
            assert least is not None
            if left >= least:
                return left if self.max_stop is None else min(left, self.max_stop)
            time.sleep(least - left)


def _earlier(since: float | None, now: float) -> tuple[float | None, float | None]:
    """When this request's hold began, and what is left for the next one to take."""
    return (None, None) if since is None else (min(since, now), float("inf"))
