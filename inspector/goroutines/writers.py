"""Rule W2: which goroutines are inside the runtime's map functions for a map, and which found another one writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from inspector.errors import InspectError, UnreadableMemory
from inspector.goroutines.everyone import find_allgs
from inspector.goroutines.parked import Parked, copy_parked
from inspector.goroutines.running import Goroutine, running
from inspector.maps.findings import Finding, Place
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Memory
from inspector.target.run import Run

WORD = 8
ARGUMENTS = 32
"""Bytes in front of a function's frame that hold its arguments (type, map, key), or are kept free for them."""

WRITES = ("mapassign", "mapdelete", "mapclear")
"""Functions of package runtime that all writes go through, without the suffixes of their fast variants."""

ITERATES = ("apIterStart", "apIterNext", ".(*Iter).Init", ".(*Iter).Next", ".mapiterinit", ".mapiternext")
"""What functions end with that get an iterator; reflect's are called reflect_mapIterNext."""

MAP_OF_ITERATOR = 24
"""Where maps.Iter has its map, as hiter has: behind a key, an element and a type."""

REFLECT = "reflect."

NO_THREAD = "on no thread: it waits"


@dataclass(frozen=True)
class Writer:
    """A goroutine inside map functions: innermost first, behind them their caller; whether it ends the process.

    `thread` is None where no thread runs it. `words` are what its registers and the frames of these functions hold: the
    address of its map is among them.
    """

    goroutine: int
    thread: int | None
    functions: tuple[str, ...]
    ends_the_process: bool
    words: frozenset[int]

    @property
    def writes(self) -> bool:
        """Whether it is inside a write of its own."""
        return any(function.rpartition(".")[2].partition("_")[0] in WRITES for function in self.functions)

    def finding(self, where: Place) -> Finding:
        """The finding about a map that this goroutine is inside of."""
        doing = f"is in {', called by '.join(self.functions)}"
        if self.ends_the_process:
            doing = f"found another goroutine writing this map and ended the process: it {doing}"
        return Finding(
            rule="W2",
            message=f"goroutine {self.goroutine} {doing}",
            observed=f"thread {self.thread}" if self.thread is not None else NO_THREAD,
            expected="one goroutine at a time where a map is written",
            source=self.functions[0],
            where=where,
            severity="info",
        )


@dataclass(frozen=True)
class Seen:
    """What one stop showed: goroutines on threads that are inside map functions, and stacks of parked ones."""

    on_threads: tuple[Writer, ...] = ()
    parked: Parked | None = None

    def of_map(self, run: Run, address: int) -> tuple[Writer, ...]:
        """Those that are inside map functions for one map; the target may run meanwhile."""
        waiting = tuple(_waiting(run, self.parked)) if self.parked is not None else ()
        return tuple(writer for writer in (*self.on_threads, *waiting) if address in writer.words)


NOBODY = Seen()


def look_for_goroutines(run: Run) -> None:
    """Find the list of all goroutines while the target runs: it never moves."""
    target = run.target
    # Without a symbol all data is looked through, which takes long through gdb.
    quick = not target.read_by_gdb or not run.image.stripped
    if quick and not target.sought_allgs and (run.stops or run.still):
        target.sought_allgs = True
        with suppress(InspectError):
            target.allgs = find_allgs(run)


def find_writers(run: Run) -> list[Writer]:
    """The running goroutines that are inside map functions; call it while the target is held."""
    found = (_at_work(run, goroutine, run.memory) for goroutine in running(run))
    return [writer for writer in found if writer is not None]


def see_writers(run: Run, address: int) -> Seen:
    """Who may be inside map functions for one map; call it while the target is held. Raises NotReadInTime."""
    on_threads = tuple(find_writers(run))
    allgs = run.target.allgs
    return Seen(on_threads, copy_parked(run, allgs, address) if allgs is not None else None)


def _waiting(run: Run, parked: Parked) -> Iterator[Writer]:
    for goroutine in parked.goroutines(run):
        writer = _at_work(run, goroutine, parked.stacks)
        if writer is not None:
            yield writer


def _at_work(run: Run, goroutine: Goroutine, stack: Memory | FrozenMemory) -> Writer | None:
    frames = goroutine.frames
    inside = [at for at, frame in enumerate(frames) if run.family.works_on_maps(frame.function.name)]
    if not inside:
        return None
    first, last = inside[0], inside[-1]
    names = [frame.function.name for frame in frames]
    words = goroutine.words(stack, frames[0].sp, frames[last].end + ARGUMENTS)
    if any(name.endswith(ITERATES) for name in names[first : last + 1]):
        words |= _of_iterators(stack, words)
    ends = run.release.ender_of_concurrent_writes in names[:first]
    return Writer(goroutine.id, goroutine.thread, tuple(names[first : _caller(names, last) + 1]), ends, words)


def _caller(names: list[str], last: int) -> int:
    """Which frame called the function of frame `last`; what reflect does, it does for somebody else."""
    behind = range(last + 1, len(names))
    return next((at for at in behind if not names[at].startswith(REFLECT)), behind.stop - 1)


def _of_iterators(memory: Memory | FrozenMemory, words: frozenset[int]) -> set[int]:
    """What lies where an iterator has its map, if one of these words leads to an iterator."""
    found = set()
    for word in words:
        if word and not word % WORD:
            with suppress(UnreadableMemory):
                found.add(int.from_bytes(memory.read(word + MAP_OF_ITERATOR, WORD), "little"))
    return found
