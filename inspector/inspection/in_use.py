"""What the heap's metadata says of a map: whether the address given is one of an object in use, of a header's size."""

from __future__ import annotations

import logging

import numpy as np

from inspector.errors import InspectError, NotAMap
from inspector.goruntime.sizes import block_size
from inspector.heap.objects import heap_parts, sizes_are_exact
from inspector.target.run import Run

logger = logging.getLogger(__name__)

WORD = 8

MOST_SECONDS = 1.0
"""How long the heap's spans are looked for before a map is copied; without them rules A1 and A2 are silent."""


def look_for_heap(run: Run) -> None:
    """Find the heap's metadata while the target runs, so that the stop has to read little of it.

    Reading it through gdb takes too long, and what a running process shows of it is as torn as the map itself.
    """
    if run.heap is not None or run.target.read_by_gdb or not (run.stops or run.still) or not sizes_are_exact(run):
        return
    try:
        with run.within(MOST_SECONDS):
            run.heap = heap_parts(run)
    except InspectError as error:
        logger.debug("the heap's metadata is not used: %s", error.message)


FREED = "its memory is not in use, because the garbage collector freed it"


def doubt_of_heap(run: Run, address: int) -> tuple[str, str] | None:
    """Why no map in use begins at an address, and what to try; None where nothing speaks against it.

    A map may lie on a stack, of which the heap's metadata says nothing; that it is not aligned is for others to say.
    Raises NotReadInTime.
    """
    if run.heap is None or address % WORD:
        return None
    addresses = np.array([address], np.uint64)
    found = run.heap.about(addresses).objects(addresses)
    size, behind = int(found.size[0]), address - int(found.base[0])
    if not size:
        return None
    if not found.alive[0]:
        return FREED, "list the maps in use, and name one"
    if behind:
        return f"it lies {behind} bytes behind the start of an object in a block of {size} bytes", "is a digit wrong?"
    right = block_size(run.release, run.family.header_dtype(run.release).itemsize, False)
    if size != right or found.noscan[0]:
        kind = " without pointers" if found.noscan[0] else ""
        return f"an object{kind} in a block of {size} bytes begins there", "is it an address of this process or core?"
    return None


def refuse_what_is_not_in_use(run: Run, address: int) -> None:
    """Refuse a bare address that the heap's metadata says is no map in use; raises NotAMap, NotReadInTime."""
    doubt = doubt_of_heap(run, address)
    if doubt is not None:
        raise NotAMap(f"{address:#x} is not a map header: {doubt[0]}", doubt[1])


def say_what_is_not_in_use(run: Run, address: int) -> None:
    """Add a note where the heap's metadata says so of an address whose type the user gave.

    What the collector freed is not judged, whatever its type was: by now it may be anything. Raises NotAMap,
    NotReadInTime.
    """
    doubt = doubt_of_heap(run, address)
    if doubt is not None and doubt[0] == FREED:
        raise NotAMap(f"{address:#x} is not judged: {doubt[0]}", doubt[1])
    if doubt is not None:
        run.note(f"{address:#x} may not be a map: {doubt[0]}")
