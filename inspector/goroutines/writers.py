"""Rule W2: which goroutines are inside the runtime's map functions for a map, and which found another one writing."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.goroutines.running import Goroutine, running
from inspector.maps.findings import Finding, Place
from inspector.target.run import Run

ARGUMENTS = 32
"""Bytes in front of a function's frame that hold its arguments (type, map, key), or are kept free for them."""


@dataclass(frozen=True)
class Writer:
    """A goroutine inside map functions: innermost first, the last one is their caller; whether it ends the process.

    `words` are what its registers and the frames of these functions hold: the address of its map is among them.
    """

    goroutine: int
    thread: int
    functions: tuple[str, ...]
    ends_the_process: bool
    words: frozenset[int]

    def finding(self, where: Place) -> Finding:
        """The finding about a map that this goroutine is inside of."""
        doing = f"is in {', called by '.join(self.functions)}"
        if self.ends_the_process:
            doing = f"found another goroutine writing this map and ended the process: it {doing}"
        return Finding(
            rule="W2",
            message=f"goroutine {self.goroutine} {doing}",
            observed=f"thread {self.thread}",
            expected="one goroutine at a time where a map is written",
            source=self.functions[0],
            where=where,
            severity="info",
        )


def find_writers(run: Run) -> list[Writer]:
    """The running goroutines that are inside map functions; call it while the target is held."""
    found = (_at_work(run, goroutine) for goroutine in running(run))
    return [writer for writer in found if writer is not None]


def _at_work(run: Run, goroutine: Goroutine) -> Writer | None:
    frames = goroutine.frames
    inside = [at for at, frame in enumerate(frames) if run.family.works_on_maps(frame.function.name)]
    if not inside:
        return None
    first, last = inside[0], inside[-1]
    names = [frame.function.name for frame in frames]
    words = goroutine.words(run.memory, frames[0].sp, frames[last].end + ARGUMENTS)
    ends = run.release.ender_of_concurrent_writes in names[:first]
    return Writer(goroutine.id, goroutine.thread, tuple(names[first : last + 2]), ends, words)
