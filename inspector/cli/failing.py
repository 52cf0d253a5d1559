"""Every failure is one line on standard error and an exit code, never a traceback."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import rich_click as click

from inspector.cli.hints import OPTIONS
from inspector.cli.interrupting import INTERRUPTED, Interrupted, catch_interruptions, ignore_interruptions
from inspector.cli.saying import PROGRAM, say
from inspector.errors import EXIT_ERROR, InspectError

DEBUG_VARIABLE = "GO_MAP_INSPECT_DEBUG"


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Run the command line and return how the program ends."""
    catch_interruptions()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character must not cost the answer.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _guarded(command)
        ignore_interruptions()
    except Interrupted as interruption:
        say(str(interruption))
        code = INTERRUPTED
    return code


def _guarded(command: Callable[[], int | None]) -> int:
    """Run the command. Whatever is raised becomes a line and an exit code, never the one of an inconsistent map."""
    try:
        if sys.stdout is None:
            return _fail("standard output is closed, so the answer cannot be written")
        return command() or 0
    except Interrupted:
        raise
    except click.ClickException as error:
        # The help of the verb, where there is one.
        context = getattr(error, "ctx", None)
        return _fail(f"{error.format_message()} (see {context.command_path if context else PROGRAM} --help)")
    except InspectError as error:
        _fail(error.spelled(OPTIONS))
        return error.exit_code
    except BaseException as error:
        # Looked at outside of this block: as long as the error is handled here, its frames keep all that they hold.
        message = _described(error)
    return _fail(message)


def _described(error: BaseException) -> str:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for the answer (raise the limit, or ask for less: one map, fewer --entries)"
    what = f"{type(error).__name__}: {error}"
    return f"internal error ({what}); please report it, with {DEBUG_VARIABLE}=1 for the details"


def _fail(message: str) -> int:
    # Even if the message itself cannot be written, for want of memory above all, the exit code says it.
    with suppress(Exception):
        say(message)
    return EXIT_ERROR
