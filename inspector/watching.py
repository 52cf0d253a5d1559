"""What a request is doing, and how far it is: said by whoever does the work, for a bar that the user may look at.

To say it costs next to nothing, and nothing at all where nobody watches. Whoever draws a bar looks at it now and then,
from another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Phase:
    """A part of the work: what is done, and to how much of it; `total` is 0 where nobody knows."""

    words: str
    total: int = 0
    in_bytes: bool = False


@dataclass
class Work:
    """A request at work: its present phase, how much of it is done, and clocks that say how long targets are held.

    A clock takes a moment of time.perf_counter(), and returns seconds. `over` is called when lines of others come,
    `again` when there is more to wait for behind them.
    """

    phase: Phase | None = None
    done: int = 0
    clocks: list[Callable[[float], float]] = field(default_factory=list)
    over: Callable[[], None] = lambda: None
    again: Callable[[], None] = lambda: None

    def begin(self, phase: Phase) -> None:
        """A part of the work begins."""
        self.done, self.phase = 0, phase

    def held(self, now: float) -> float:
        """Seconds that targets were held so far, a hold that is under way among them."""
        return sum(clock(now) for clock in self.clocks)


_work: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def watched(work: Work) -> Iterator[None]:
    """Let `work` say what is done in the block."""
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)


def current() -> Work | None:
    """Whom a thread that does a part of the work has to tell; None where nobody watches."""
    return _work.get()


def begin(words: str, total: int = 0, in_bytes: bool = False) -> None:
    """A part of the work begins: `total` things, or bytes, or nobody knows how much."""
    work = _work.get()
    if work is not None:
        work.begin(Phase(words, total, in_bytes))


def reach(done: int) -> None:
    """So much of the present part is done."""
    work = _work.get()
    if work is not None:
        work.done = done


def hold_by(clock: Callable[[float], float]) -> None:
    """A clock that knows for how long a target is held (see Work)."""
    work = _work.get()
    if work is not None:
        work.clocks.append(clock)


def over() -> None:
    """The answer comes, or a note: nothing may stand in its way."""
    work = _work.get()
    if work is not None:
        work.over()


def again(words: str) -> None:
    """Behind the notes there is more to wait for."""
    begin(words)
    work = _work.get()
    if work is not None:
        work.again()
