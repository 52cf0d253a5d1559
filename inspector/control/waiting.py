"""What signals ask of this process, put off while another process stands still because of it.

Handlers of the command line hand what they want to do to `when_free` or `when_let_go`, which do it at once where
nothing is at stake. The kernel's own mask would not do: signals reach the threads of numpy, too, and Python handles
them in its first.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Signals by which the user or a terminal ends this process; they wait while a target is being let go."""

Action = Callable[[], object]


class _Gate:
    """Closed while anybody is inside; what arrives meanwhile happens when the last one leaves."""

    def __init__(self) -> None:
        self._inside = 0
        self._arrived: list[Action] = []

    def enter(self) -> None:
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1
        while not self._inside and self._arrived:
            self._arrived.pop(0)()

    def arrive(self, action: Action) -> None:
        if self._inside:
            self._arrived.append(action)
        else:
            action()


_held, _letting_go = _Gate(), _Gate()


@contextmanager
def held() -> Iterator[None]:
    """A process stands still because of us in this block: we must not be stopped ourselves (Ctrl-Z)."""
    _held.enter()
    try:
        yield
    finally:
        _held.leave()


@contextmanager
def letting_go() -> Iterator[None]:
    """A process is being let go in this block: nothing may come between (Ctrl-C)."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    _letting_go.enter()
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _letting_go.leave()


def when_free(action: Action) -> None:
    """Do something when no process stands still because of us."""
    _held.arrive(action)


def when_let_go(action: Action) -> None:
    """Do something when no process is just being let go."""
    _letting_go.arrive(action)
