"""How far a census is, on standard error, for the user who waits."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from inspector.census.census import Phase
from inspector.gotypes.words import size

WORDS: dict[Phase, tuple[str, Callable[[int], str]]] = {
    "scan": ("Scanning heap", size),
    "check": ("Checking maps", "{:,}".format),
}
"""What a phase does, and how its steps are written."""


class ProgressBar:
    """One bar for a whole census (see Watcher); it is gone when the census is done."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=0, visible=False, state="")
        self._total = 0
        self._written: Callable[[int], str] = size

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, what: Phase, total: int) -> None:
        """See Watcher. The bar begins anew; a phase with nothing to do leaves it as it is."""
        if not total:
            return
        words, self._written = WORDS[what]
        self._total = total
        self._progress.reset(self._task, description=words, total=total, visible=True, state=self._state(0, 0.0))

    def step(self, done: int, found: int, paused: float) -> None:
        """See Watcher."""
        self._progress.update(self._task, completed=done, state=self._state(done, paused))

    def _state(self, done: int, paused: float) -> str:
        target = f", target paused {paused / 1000:.1f} s so far" if paused else ""
        return f"{self._written(done)} of {self._written(self._total)}{target}"
