"""Rule W2: which goroutines are inside the runtime's map functions for a map, and which saw another at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inspector.classic.checks.finding import Finding, Where
from inspector.goroutines import Goroutine, running
from inspector.target import Target

MAP_FUNCTIONS = frozenset(
    {"mapassign", "mapdelete", "mapclear", "mapaccess1", "mapaccess2", "mapaccessK", "growWork", "hashGrow", "evacuate"}
    | {"advanceEvacuationMark", "newoverflow"}
)
"""Functions of package runtime that work on a map, without the suffixes of their fast variants."""

ENDERS = ("runtime.fatal", "runtime.throw")
"""Who ends a process in which two goroutines use a map at once: throw until 1.18, fatal since."""

ARGUMENTS = 32
"""Bytes in front of a function's frame that hold its arguments (type, map, key), or are kept free for them."""


@dataclass(frozen=True)
class Writer:
    """A goroutine inside map functions: innermost first, the last one is their caller; whether it ends the process."""

    goroutine: int
    thread: int
    functions: tuple[str, ...]
    ends_the_process: bool

    def finding(self, address: int) -> Finding:
        """What the person is told."""
        name, *callers = self.functions
        doing = f"is in {name}" + "".join(f", called by {caller}" for caller in callers)
        if self.ends_the_process:
            doing = f"found another goroutine writing this map and ended the process: it {doing}"
        return Finding(
            rule="W2",
            message=f"goroutine {self.goroutine} {doing}",
            observed=f"thread {self.thread}",
            expected="one goroutine at a time where a map is written",
            source=name,
            where=Where(address=address),
            severity="info",
        )


def find_writers(target: Target, address: int, among: Iterable[Goroutine] | None = None) -> list[Writer]:
    """The running goroutines that are inside map functions for the map at an address; call it while it is held.

    `among` are those that may be, if they are known (goroutines_at_maps).
    """
    goroutines = running(target) if among is None else among
    return [writer for goroutine in goroutines for writer in _at_work(target, goroutine, address)]


def goroutines_at_maps(target: Target) -> list[Goroutine]:
    """The running goroutines that are inside map functions for any map; call it while the target is held."""
    return [goroutine for goroutine in running(target) if _inside(goroutine)]


def _inside(goroutine: Goroutine) -> list[int]:
    """The frames of a goroutine that are map functions."""
    frames = goroutine.frames
    return [at for at, frame in enumerate(frames) if _plain(frame.function.name) in MAP_FUNCTIONS]


def _at_work(target: Target, goroutine: Goroutine, address: int) -> Iterator[Writer]:
    frames = goroutine.frames
    inside = _inside(goroutine)
    if not inside:
        return
    first, last = inside[0], inside[-1]
    if not goroutine.mentions(target.memory, address, frames[0].sp, frames[last].end + ARGUMENTS):
        return
    names = [frame.function.name for frame in frames]
    ends = any(name in ENDERS for name in names[:first])
    yield Writer(goroutine.id, goroutine.thread, tuple(names[first : last + 2]), ends)


def _plain(function: str) -> str:
    package, _, name = function.rpartition(".")
    return name.partition("_")[0] if package.partition(".")[0] == "runtime" else ""
