"""Signals that ask the program to end: they become an exception, so that every process is let go on the way out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from inspector.control.waiting import INTERRUPTIONS, when_free, when_let_go

if TYPE_CHECKING:
    from inspector.target.target import Target

INTERRUPTED = 130
"""The exit code."""

SOON = 0.001
"""Seconds until an interruption is tried again that came at a moment when nobody would be told of it."""
IMPORTING = "<frozen importlib._bootstrap>"
"""The file that Python names for its own functions that import modules."""


class Interrupted(BaseException):
    """A signal asked the program to end. Not a KeyboardInterrupt: click would print a line of its own for that one.

    `outcome` says what became of the target.
    """

    outcome = ""

    def __str__(self) -> str:
        return f"Interrupted. {self.outcome}".strip()


def catch_interruptions() -> None:
    """Turn signals into Interrupted from now on."""
    for number in INTERRUPTIONS:
        # What was ignored from the start (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, _on_stop)
    sys.unraisablehook = _on_unraisable


def ignore_interruptions() -> None:
    """Let nothing disturb the rest of the work."""
    for number in (*INTERRUPTIONS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    # Only once, so that nothing disturbs the way out.
    ignore_interruptions()
    if _imports(frame):
        _interrupt_soon()
    else:
        when_let_go(_give_up)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported. It may make another error of an interruption: parts of numpy do."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _interrupt_soon() -> None:
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, SOON)


def _give_up() -> NoReturn:
    raise Interrupted


def _on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Python calls this for an exception that nobody can catch, as one in a callback of a weak reference."""
    if isinstance(unraisable.exc_value, Interrupted):
        _interrupt_soon()
    else:
        sys.__unraisablehook__(unraisable)


def _on_stop(*_: object) -> None:
    """Ctrl-Z waits until nothing stands still because of us: it would else do so for as long as we do."""
    when_free(_stop)


def _stop() -> None:
    # As if there was no handler: the shell is told the same.
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, _on_stop)


@contextmanager
def reporting_its_outcome(target: Target) -> Iterator[None]:
    """Note on an interruption in the block what becomes of the target, which is closed on the way out."""
    try:
        yield
    except Interrupted as interruption:
        if target.kind == "process":
            interruption.outcome = (
                "The process was resumed." if target.holder.stops else "The process was never stopped."
            )
        raise
