"""Reading many places at once from memory that may be hostile: what cannot be read is masked."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.memory.frozen import Block
from inspector.memory.protocol import Addresses, Memory, RegionMap, Rows
from inspector.memory.sets import distinct

RETRIES = 16

PAGE = 4096
RANGES_PER_PAGE = 2
"""From so many ranges a page on it is faster to copy whole pages than ranges."""

MOST_PAGES = 1 << 16
"""Pages that are copied whole at most: 256 MiB."""

MOST_MARKED = 1 << 24
"""Pages between the first and the last one, 64 GiB, that are marked in a table rather than sorted."""


def gather(memory: Memory, regions: RegionMap, addresses: Addresses, size: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Read `size` bytes at each address; returns (rows, ok), rows that are not ok hold zeros.

    Addresses outside the known regions are never tried. A region that faults all the same (unmapped
    since, or poisoned) costs a retry; after a few of them each address is tried on its own.
    """
    ok = regions.contains(addresses, size)
    if ok.all():
        with suppress(UnreadableMemory):
            return memory.read_many(addresses, size), ok
    rows = np.zeros((len(addresses), size), dtype=np.uint8)
    for _ in range(RETRIES):
        wanted = np.flatnonzero(ok)
        if not len(wanted):
            return rows, ok
        try:
            rows[wanted] = memory.read_many(addresses[wanted], size)
        except UnreadableMemory as error:
            ok &= addresses != np.uint64(error.address)
        else:
            return rows, ok
    for index in np.flatnonzero(ok):
        try:
            rows[index] = np.frombuffer(memory.read(int(addresses[index]), size), dtype=np.uint8)
        except UnreadableMemory:
            ok[index] = False
    return rows, ok


def gather_pages(
    memory: Memory, regions: RegionMap, addresses: Addresses, sizes: NDArray[np.uint64], most: int = MOST_PAGES
) -> Block | None:
    """Copy the pages that many short ranges lie in, up to `most`; None where that would not pay or not work.

    Ranges longer than a page, or outside the known regions, are left out of account.
    """
    if len(addresses) < RANGES_PER_PAGE:
        return None
    fits = (sizes > 0) & (sizes <= PAGE) & regions.contains(addresses, sizes)
    if not fits.all():
        addresses, sizes = addresses[fits], sizes[fits]
    pages = _pages_of(addresses, sizes)
    if not 0 < len(pages) <= min(most, MOST_PAGES, len(addresses) // RANGES_PER_PAGE):
        return None
    starts = pages * np.uint64(PAGE)
    try:
        data = memory.read_many(starts, PAGE)
    except UnreadableMemory:
        return None  # a region that ends inside a page: the caller reads range by range
    # Neighbouring pages become one range, so that what lies across their border is found.
    heads = np.flatnonzero(np.concatenate(([True], np.diff(pages) != 1)))
    lengths = np.diff(np.append(heads, len(pages)))
    return Block(starts[heads], lengths.astype(np.uint64) * np.uint64(PAGE), heads * PAGE, data.reshape(-1))


def _pages_of(addresses: Addresses, sizes: NDArray[np.uint64]) -> Addresses:
    """Numbers of the pages, in order, that the first and the last byte of each range lie in."""
    if not len(addresses):
        return np.empty(0, np.uint64)
    first = addresses // np.uint64(PAGE)
    last = (addresses + sizes - np.uint64(1)) // np.uint64(PAGE)
    lowest = first.min()
    if last.max() - lowest >= MOST_MARKED:
        return distinct(np.concatenate((first, last)))
    # All lie so near to each other that to mark each is faster than to sort them.
    marked = np.zeros(int(last.max() - lowest) + 1, dtype=bool)
    marked[(first - lowest).view(np.int64)] = True
    marked[(last - lowest).view(np.int64)] = True
    return np.asarray(np.flatnonzero(marked).astype(np.uint64) + lowest)
