"""The command line on a real terminal: a pty of 80 columns, and what is then on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import closing
from dataclasses import dataclass

from tests.support.commandline import COMMAND, ROOT, environment

COLUMNS, ROWS = 80, 24
STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""An escape that changes how characters look, and nothing else."""

OF_THE_USER = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "TERM")


@dataclass(frozen=True)
class Screen:
    """How a run on a terminal ended: its exit code, and what it wrote to the terminal, byte for byte."""

    code: int
    written: str

    @property
    def text(self) -> str:
        """What is on the screen, without styles and without blanks at the ends of lines."""
        lines = STYLE.sub("", self.written).replace("\r\n", "\n").split("\n")
        return "\n".join(line.rstrip() for line in lines)


def on_terminal(*args: object, columns: int = COLUMNS, term: str = "xterm-256color", **variables: str) -> Screen:
    """Run the command line with its output on a pty; its standard error, where progress is shown, goes nowhere."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    kept = {name: value for name, value in environment().items() if name not in OF_THE_USER}
    process = subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=kept | {"TERM": term, "PYTHONIOENCODING": "utf-8"} | variables,
    )
    os.close(child)
    with closing(os.fdopen(parent, "rb", buffering=0)) as terminal:
        written = b""
        while piece := _read(terminal.fileno()):
            written += piece
    return Screen(process.wait(), written.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        # So a pty ends on Linux, when nobody has its other side open.
        return b""
