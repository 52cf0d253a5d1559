"""The answer on its way out: notes first, then the answer, however far the reader of the output reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from inspector import watching
from inspector.cli.saying import say
from inspector.errors import InspectError

if TYPE_CHECKING:
    from inspector.report.text.console import EscapingConsole
    from inspector.target.target import Target


def console() -> EscapingConsole:
    """The console for text; JSON does without, and does not wait for it."""
    from inspector.cli.consoles import console_of_output

    return console_of_output()


def deliver(target: Target, notes: tuple[str, ...], show: Callable[[], None]) -> None:
    """Let the target go, then print notes and answer; raises InspectError when the output cannot be written."""
    target.close()
    write_answer(notes, show)


def write_answer(notes: tuple[str, ...], show: Callable[[], None]) -> None:
    """Print notes and answer; raises InspectError when the output cannot be written."""
    watching.over()
    for note in notes:
        say(f"note: {note}")
    if not sys.stdout.isatty():
        watching.again("Writing the answer")
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
