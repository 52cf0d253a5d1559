"""Reading many places at once from memory that may be hostile: what cannot be read is masked."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.memory.frozen import Block
from inspector.memory.lending import Lending
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Filling, Memory, RegionMap, Rows
from inspector.memory.sets import distinct, is_among

RETRIES = 16

PAGE = 4096
PAGE_BITS = np.uint64(12)
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


def gather_near(memory: Memory, regions: RegionMap, addresses: Addresses, size: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Read like `gather`, up to a page at each address; whole pages are copied where that is faster."""
    pages = Pages()
    pages.add(addresses, np.full(len(addresses), size, np.uint64))
    block = pages.copy(memory, regions)
    if block is None:
        return gather(memory, regions, addresses, size)
    at = np.searchsorted(block.addresses, addresses, side="right") - 1
    skipped = addresses - block.addresses[at]
    # No range is shorter than a page. A hostile address plus a size could wrap around.
    ok = (at >= 0) & (skipped <= block.sizes[at] - np.uint64(size))
    held = sliding_window_view(block.data, size)
    places = block.offsets[at] + skipped.view(np.int64)
    if ok.all():
        return held[places], ok
    rows, left = np.zeros((len(addresses), size), np.uint8), np.flatnonzero(~ok)
    rows[ok] = held[places[ok]]
    rows[left], ok[left] = gather(memory, regions, addresses[left], size)
    return rows, ok


class Pages:
    """The pages that many short ranges lie in, collected some ranges at a time.

    `ranges` counts those, and `longest` is the size of the longest range of all that were asked for. `left_out` are the
    numbers of pages that `copy` or `lent` left out, as they are not readable as a whole.
    """

    def __init__(self) -> None:
        self.ranges = self.longest = 0
        self.left_out: Addresses = np.empty(0, np.uint64)
        self._lowest = 0
        self._marked = np.zeros(0, dtype=bool)
        self._apart: list[Addresses] = []

    def add(self, addresses: Addresses, sizes: NDArray[np.uint64]) -> None:
        """Add ranges of a byte or more; those longer than a page, or of no process, are left out of account."""
        self.longest = max(self.longest, int(sizes.max(initial=0)))
        if self.longest > PAGE or addresses.max(initial=0) >= END_OF_USER_SPACE:
            fits = (sizes <= PAGE) & (addresses < END_OF_USER_SPACE)
            addresses, sizes = addresses[fits], sizes[fits]
        if not len(addresses):
            return
        self.ranges += len(addresses)
        first, last = addresses >> PAGE_BITS, addresses + (sizes - np.uint64(1)) >> PAGE_BITS
        if self._reaches(int(addresses.min() >> PAGE_BITS), int(addresses.max() >> PAGE_BITS) + 1):
            lowest = np.uint64(self._lowest)
            for numbers in (first, last):
                self._marked[(numbers - lowest).view(np.int64)] = True
        else:
            self._apart.append(distinct(np.concatenate((first, last))))

    def _reaches(self, low: int, high: int) -> bool:
        """Make the table reach from one page to another; False where it would become too large."""
        lowest, end = (min(low, self._lowest), self._lowest + len(self._marked)) if len(self._marked) else (low, low)
        if max(high + 1, end) - lowest > MOST_MARKED:
            return False
        if lowest != self._lowest or high >= end:
            wider = np.zeros(max(high + 1, end) - lowest, dtype=bool)
            wider[self._lowest - lowest :][: len(self._marked)] = self._marked
            self._lowest, self._marked = lowest, wider
        return True

    def copy(self, memory: Memory, regions: RegionMap, most: int = MOST_PAGES) -> Block | None:
        """Copy those that lie in known regions, up to `most`; None where that would not pay or not work."""
        pages = self._numbers()
        whole = regions.contains(pages * np.uint64(PAGE), PAGE)
        pages, self.left_out = pages[whole], pages[~whole]
        if not 0 < len(pages) <= min(most, MOST_PAGES, self._worth):
            return None
        # Neighbouring pages become one range, so that what lies across their border is found.
        heads = np.flatnonzero(np.concatenate(([True], np.diff(pages) != 1)))
        sizes = np.diff(np.append(heads, len(pages))).astype(np.uint64) * np.uint64(PAGE)
        starts = pages * np.uint64(PAGE)
        try:
            if isinstance(memory, Filling):
                data = np.empty(len(pages) * PAGE, np.uint8)
                memory.read_into(starts[heads], sizes, data)
            else:
                data = memory.read_many(starts, PAGE).reshape(-1)
        except UnreadableMemory:
            return None  # the caller reads range by range
        return Block(starts[heads], sizes, heads * PAGE, data)

    def lent(self, memory: Lending, regions: RegionMap) -> list[Block]:
        """Where those lie that are in known regions, without a copy of them; nothing where they are few ranges each."""
        pages = self._numbers()
        whole = regions.contains(pages * np.uint64(PAGE), PAGE)
        if np.count_nonzero(whole) > self._worth:
            return []
        blocks, held = memory.lend(pages[whole] * np.uint64(PAGE), PAGE)
        whole[whole] = held
        self.left_out = pages[~whole]
        return blocks

    @property
    def _worth(self) -> int:
        """So many pages are less work than their ranges."""
        return self.ranges // RANGES_PER_PAGE

    def lack(self, addresses: Addresses, sizes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of the ranges are not in the pages that were copied, or lent."""
        lacked = sizes > PAGE
        if len(self.left_out):
            last = addresses + (sizes - np.uint64(1)) >> PAGE_BITS
            lacked |= is_among(addresses >> PAGE_BITS, self.left_out) | is_among(last, self.left_out)
        return lacked

    def _numbers(self) -> Addresses:
        """Numbers of the pages, ascending."""
        marked = np.flatnonzero(self._marked).astype(np.uint64) + np.uint64(self._lowest)
        return distinct(np.concatenate((marked, *self._apart))) if self._apart else marked
