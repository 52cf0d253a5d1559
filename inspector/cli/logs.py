"""What was tried, on standard error, with --verbose: never a key or a value of a map."""

from __future__ import annotations

import logging
import sys

from inspector.cli.saying import one_line

ROOM = "inspector"


class _Formatter(logging.Formatter):
    """Milliseconds since the start, the room, the message; names out of the target are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(
            f"{record.relativeCreated:7.0f} ms {record.name.removeprefix(f'{ROOM}.')}: {record.getMessage()}"
        )


def log_to_standard_error() -> None:
    """Show the debug messages of every room."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    rooms = logging.getLogger(ROOM)
    rooms.handlers[:] = [handler]
    rooms.setLevel(logging.DEBUG)
