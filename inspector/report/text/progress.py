"""How far a census is, on standard error, for a person who waits."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """A bar for each part of a census (see Watcher); it is gone when the census is done."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} of {task.total:,}, {task.fields[found]:,} found"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=0, visible=False, found=0)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, what: str, total: int) -> None:
        """See Watcher."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total, found=0)

    def step(self, done: int, found: int) -> None:
        """See Watcher."""
        self._progress.update(self._task, completed=done, found=found)
