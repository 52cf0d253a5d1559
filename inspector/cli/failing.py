"""Every failure is one line on standard error and an exit code, never a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import rich_click as click

from inspector.cli.hints import OPTIONS
from inspector.cli.interrupting import INTERRUPTED, Interrupted, catch_interruptions, ignore_interruptions
from inspector.cli.redacting import asked_for, without_typed_keys
from inspector.cli.saying import PROGRAM, say, say_lines
from inspector.errors import EXIT_ERROR, InspectError, TooFewDescriptors

DEBUG_VARIABLE = "GO_MAP_INSPECT_DEBUG"


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Run the command line and return how the program ends."""
    try:
        # A signal may have come before its handler, which then is called at once.
        catch_interruptions()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show a character must not cost the answer.
                stream.reconfigure(errors="backslashreplace")
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
        return _fail(
            f"{without_typed_keys(error.format_message())} (see {context.command_path if context else PROGRAM} --help)"
        )
    except InspectError as error:
        _fail(without_typed_keys(error.spelled(OPTIONS)))
        return error.exit_code
    except BaseException as error:
        if isinstance(error.__cause__, Interrupted):
            # The signal came while a class was made: Python 3.11 raises an error of its own then.
            raise error.__cause__ from None
        # Looked at outside of this block: as long as the error is handled here, its frames keep all that they hold.
        message = _described(error)
    return _fail(message)


def _described(error: BaseException) -> str:
    if os.environ.get(DEBUG_VARIABLE):
        # The message of an error may have a value in it.
        import traceback

        lines = traceback.format_tb(error.__traceback__) if asked_for() else traceback.format_exception(error)
        say_lines("".join(lines))
    if isinstance(error, MemoryError):
        return (
            "the answer takes more memory than --max-memory allows, or than there is "
            "(raise the limit, or ask for less: one map, fewer --entries)"
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return str(TooFewDescriptors())
    what = type(error).__name__ if asked_for() else f"{type(error).__name__}: {error}"
    return f"internal error ({what}); please report it, with {DEBUG_VARIABLE}=1 for the details"


def _fail(message: str) -> int:
    # Even if the message itself cannot be written, for want of memory above all, the exit code says it.
    with suppress(Exception):
        say(message)
    return EXIT_ERROR
