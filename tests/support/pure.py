"""What keeps `pytest -m pure` pure: such a test starts no program but Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

STARTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}
"""Audit events of starting a program. The first argument of all but os.system is the executable."""

_watching = False


class NotPure(AssertionError):
    """A test that is marked as pure started a program."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in STARTS:
        program = os.fsdecode(arguments[0])
        if program != sys.executable:
            raise NotPure(f"a test marked as pure started {program}: remove the mark, or use the demo core")


@cache
def _install() -> None:
    """Audit hooks stay for the life of the interpreter, so there is one, which can be switched."""
    sys.addaudithook(_watch)


@contextmanager
def no_programs() -> Iterator[None]:
    """Let no program but Python be started in a with block: no Go program, no compiler, no gdb."""
    global _watching
    _install()
    _watching = True
    try:
        yield
    finally:
        _watching = False
