"""Lines on standard error: notes, failures, and nothing that could command a terminal."""

from __future__ import annotations

import sys
from contextlib import suppress

PROGRAM = "go-map-inspect"
MESSAGE_LIMIT = 1000


def say(message: str) -> None:
    """Write one line to standard error, whatever is in the message."""
    # Without a standard error nobody listens; the exit code still reports.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {one_line(message)}", file=sys.stderr)


def say_lines(text: str) -> None:
    """Write a text of several lines to standard error as it is, with whatever is not printable escaped."""
    if sys.stderr is not None:
        with suppress(OSError):
            print("\n".join(map(_printable, text.split("\n"))), file=sys.stderr)


def one_line(message: str) -> str:
    """The message cut to a bearable length, with whatever is not printable escaped."""
    if len(message) > MESSAGE_LIMIT:
        message = f"{message[:MESSAGE_LIMIT]}..."
    return _printable(message)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
