"""What goes out: through gdb's own output, so that it is paged, logged and wrapped by gdb; and errors as one line."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import gdb

from inspector.errors import InspectError, Spelling
from inspector.gotypes.render import plain
from inspector.report.text.console import EscapingConsole

UNLIMITED_WIDTH = 1 << 16
"""Columns where gdb does not limit them, as the command line has it for pipes."""

DEBUG_VARIABLE = "GO_MAP_INSPECT_DEBUG"


class _GdbOutput(io.TextIOBase):
    """gdb's output as a file."""

    def write(self, text: str) -> int:
        """Hand a piece of text to gdb's pager."""
        gdb.write(text)
        return len(text)

    def writable(self) -> bool:
        """Always: gdb takes whatever comes."""
        return True


def output() -> IO[str]:
    """Where an answer goes."""
    return cast(IO[str], _GdbOutput())


def console() -> EscapingConsole:
    """A console as wide as gdb thinks the screen is."""
    width = gdb.parameter("width") or UNLIMITED_WIDTH
    return EscapingConsole(
        file=output(),
        width=width,
        color_system=None,
        force_terminal=False,
    )


def write_notes(notes: tuple[str, ...]) -> None:
    """Notes go where the command line puts them: beside the answer, not into it."""
    for note in notes:
        gdb.write(f"note: {plain(note)}\n", gdb.STDERR)


IN_GDB = Spelling(
    type="-type",
    exe="gdb's command `file`",
    gdb="another gdb",
    direct="the command line of go-map-inspect",
    gdb_mi="the command line of go-map-inspect",
    no_stop="gdb's non-stop mode",
    max_stop="the command line of go-map-inspect",
    key="-key",
    remote="gdb's command `target remote`",
    save="info gomap EXPR -json",
    force="the command line of go-map-inspect",
    zstd="the command line of go-map-inspect",
    max_memory="more memory",
    max_unpacked="the command line of go-map-inspect",
)
"""What hints are called inside of gdb."""


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn whatever goes wrong in the block into one line from gdb, which stays usable."""
    try:
        yield
    except InspectError as error:
        raise gdb.GdbError(plain(error.spelled(IN_GDB))) from None
    except gdb.error as error:
        raise gdb.GdbError(plain(str(error))) from None
    except gdb.GdbError:
        raise
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        what = plain(f"{type(error).__name__}: {error}")
        raise gdb.GdbError(
            f"internal error of go-map-inspect ({what}); please report it, with {DEBUG_VARIABLE}=1 for the details"
        ) from None
