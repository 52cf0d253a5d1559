"""The console that text is printed on."""

from __future__ import annotations

import os
import sys
from typing import Literal

from inspector.report.text.console import EscapingConsole
from inspector.report.text.lines import WithoutTrailingBlanks

PIPE_WIDTH = 1 << 16
"""Columns where the output is not a terminal: what reads it wants one line for each map, and no names cut."""


class _Console(EscapingConsole):
    def on_broken_pipe(self) -> None:
        # rich would exit with 1, which says "inconsistent" here.
        raise BrokenPipeError


def console_of_output() -> EscapingConsole:
    """A console as wide as the terminal, or as a pipe's reader wants it, where no line ends in blanks."""
    # NO_COLOR would still let bold and italic through.
    color: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    terminal = _Console(color_system=color)
    if terminal.is_terminal:
        return terminal
    return _Console(file=WithoutTrailingBlanks(sys.stdout), width=PIPE_WIDTH)
