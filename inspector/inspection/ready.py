"""Memory that is ready when a map is copied into it, so that a process is not held until the machine has made some.

A virtual machine may get memory from its host only when it is first touched, and that takes longer than to copy a map.
"""

from __future__ import annotations

from contextlib import suppress

from inspector.copying.room import in_memory
from inspector.errors import InspectError
from inspector.inspection.identification import Guess, header_at
from inspector.naming.locate import Locator
from inspector.target.run import Run

WORTH = 1 << 22
"""Bytes of a copy from which on that is done."""

MOST = 1 << 27
"""Bytes that are made ready at most: less than the copy takes with all that is worked out of it."""

POINTED_TO = 1 << 26
"""Bytes at most that are made ready for what keys and elements point to, which nobody knows before."""


def make_ready(run: Run, locator: Locator, early: Guess | None, entries: int | None) -> None:
    """Take as much memory as a copy of the map will, and give it back: what is taken next is the same.

    `entries` is how many are shown. See room.in_memory for the limits of our own memory.
    """
    if run.still or not run.stops or run.target.read_by_gdb:
        return
    noted, size = list(run.notes), 0
    with suppress(InspectError):
        size = _wanted(run, locator, early, entries)
    run.notes[:] = noted
    if size >= WORTH:
        with in_memory(size):
            pass


def _wanted(run: Run, locator: Locator, early: Guess | None, entries: int | None) -> int:
    """About how many bytes the copy takes; 0 for a map that takes long to find: in a frame, or inside of another."""
    if early is None and (locator.type is None or locator.frame is not None or locator.start is not None):
        return 0
    found = early.ref if early else locator.find(run)
    if not found.address or found.type.layout is None:
        return 0
    size = min(header_at(run, found.address, found.type).extent(found.type, run.release), MOST)
    # What all keys point to is copied, and what elements that are shown do.
    much = found.type.layout.has_pointers if entries is None else run.types.key(found.type).has_pointers
    return size + (min(size, POINTED_TO) if much else 0)
