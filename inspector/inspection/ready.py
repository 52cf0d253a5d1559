"""Memory that is ready when a map is copied into it, so that a process is not held until the machine has made some.

A virtual machine may get memory from its host only when it is first touched. That took ten times as long as the copy
itself: 2 ms for each MiB.
"""

from __future__ import annotations

from contextlib import suppress

from inspector.copying.room import in_memory
from inspector.errors import InspectError
from inspector.inspection.identification import Guess, header_at
from inspector.naming.locate import Locator
from inspector.target.run import Run

WORTH = 1 << 22
"""Bytes of a map from which on that is done."""

MOST = 1 << 27
"""Bytes that are made ready at most: less than the copy takes with all that is worked out of it."""

POINTED_TO = 1 << 26
"""Bytes at most that are made ready for what keys and elements point to, which nobody knows before."""


def make_ready(run: Run, locator: Locator, early: Guess | None, entries: int | None) -> None:
    """Take as much memory as a copy of the map will, and give it back: what is taken next is the same.

    `entries` is how many are shown. Nothing happens for a map that takes longer to find than to read a word. See
    room.in_memory for the limits of our own memory.
    """
    if run.still or not run.stops or run.target.read_by_gdb or locator.frame is not None or locator.start is not None:
        return
    noted = list(run.notes)
    with suppress(InspectError):
        found = early.ref if early else locator.find(run) if locator.type else None
        if found is None or not found.address or found.type.layout is None:
            return
        size = min(header_at(run, found.address, found.type).extent(found.type, run.release), MOST)
        if size >= WORTH:
            # What all keys point to is copied, and what elements that are shown do.
            much = found.type.layout.has_pointers if entries is None else run.types.key(found.type).has_pointers
            with in_memory(size + (min(size, POINTED_TO) if much else 0)):
                pass
    run.notes[:] = noted
