"""Whether there is anything to open: apart from what opens it, which takes long to load."""

from __future__ import annotations

import os

from inspector.errors import NoSuchTarget
from inspector.memory import procfs
from inspector.memory.descriptors import neither

MOST_DIGITS = 10
"""Digits of a pid at most: what has more is left to what opens it."""


def require_something(target: str) -> None:
    """Raise NoSuchTarget where a text of digits is no process, or any other text nothing in the file system."""
    if target.isdecimal():
        if len(target) <= MOST_DIGITS:
            require_process(int(target))
    elif not os.path.lexists(target):
        raise neither(target)


def require_process(pid: int) -> None:
    """Raise NoSuchTarget unless a pid is that of a process that runs."""
    status = procfs.status(pid)
    if status.ended and procfs.has_ended(pid):
        raise NoSuchTarget(
            f"process {pid} has ended and waits to be reaped (a zombie)", "inspect its core dump, if it left one"
        )
    if status.process != pid:
        raise NoSuchTarget(f"{pid} is a thread of process {status.process}", "give the pid of the process")
