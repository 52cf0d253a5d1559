"""Letting go of what was read of a mapped core, while it is worked on: else all of it counts as memory of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

AT_ONCE = 8
"""Pages are let go of every so many times: to read them again costs a little."""


class _Relief:
    """Calls a function every so many times."""

    def __init__(self, relieve: Callable[[], None]) -> None:
        self._relieve, self._asked = relieve, 0

    def ask(self, portions: int) -> None:
        self._asked += portions
        if self._asked >= AT_ONCE:
            self._asked = 0
            self._relieve()


_relief: ContextVar[_Relief | None] = ContextVar("relief", default=None)


@contextmanager
def relieving(relieve: Callable[[], None]) -> Iterator[None]:
    """In the block, whoever works on much memory in portions lets go of it now and then by calling `relieve`."""
    token = _relief.set(_Relief(relieve))
    try:
        yield
    finally:
        _relief.reset(token)
        relieve()


def portion_done(portions: int = 1) -> None:
    """Say that some megabytes were read, or several times as many, which may be let go of."""
    relief = _relief.get()
    if relief is not None:
        relief.ask(portions)
