"""The answer on its way out: notes first, then the answer, however far the reader of the output reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console

from inspector.cli.saying import say
from inspector.errors import InspectError
from inspector.report.text.lines import WithoutTrailingBlanks
from inspector.target.target import Target

PIPE_WIDTH = 160
"""Columns where the output is not a terminal."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would exit with 1, which says "inconsistent" here.
        raise BrokenPipeError


def console() -> Console:
    """The console for text: as wide as the terminal, or a pipe's, where no line ends in blanks."""
    terminal = _Console(markup=False, highlight=False, emoji=False)
    if terminal.is_terminal:
        return terminal
    return _Console(
        file=WithoutTrailingBlanks(sys.stdout), markup=False, highlight=False, emoji=False, width=PIPE_WIDTH
    )


def deliver(target: Target, notes: tuple[str, ...], show: Callable[[], None]) -> None:
    """Let the target go, then print notes and answer; raises InspectError when the output cannot be written."""
    target.close()
    for note in notes:
        say(f"note: {note}")
    try:
        show()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; the verdict stays what it is.
        drop_output()
    except OSError as error:
        drop_output()
        raise InspectError(f"cannot write the answer: {error.strerror}", "is the disk full?") from None


def drop_output() -> None:
    """Write what is still to come nowhere: its reader has gone."""
    # Else the interpreter would try once more at its end, and complain.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
