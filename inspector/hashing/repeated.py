"""Which of many hashes occur more than once: equal keys have equal hashes, so only those need to be compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inspector.hashing.aes import Hashes
from inspector.hashing.kernel import marked_repeated

FEW = 1 << 12
"""So many hashes are sorted rather than spread."""

SPREAD = 3
"""Bits of a hash that tell those of one place apart."""

FROM_BIT = 32
"""The lowest of those bits: no place in a map that fits into memory is chosen by it and those above."""

AGAIN = (FROM_BIT + SPREAD, 7, 20)
"""The lowest of the bits that choose a cell for hashes that lost theirs, each time anew."""

MOST = 1 << 27
"""Cells at most that hashes are spread over."""

Numbers = NDArray[np.int64]


Places = Callable[[Hashes], Numbers]
"""Gives numbers (n,) from 0 on that follow from n hashes."""


def repeated(hashes: Hashes, places: Places | None = None) -> NDArray[np.bool_]:
    """(n,) whether each of n hashes occurs at least twice among them.

    The compiled kernel finds that out. Without it, hashes are spread over a table by their `places`, which rise by and
    large in the order of the array, as buckets do, and are about as many: so the table is filled from its beginning to
    its end, several times as fast as sorting. Hashes without places are sorted.
    """
    marked = marked_repeated(hashes)
    if marked is not None:
        return marked
    values = _sorted(hashes) if places is None or len(hashes) <= FEW else _spread(hashes, places(hashes))
    return np.isin(hashes, values) if len(values) else np.zeros(len(hashes), dtype=bool)


def _sorted(hashes: Hashes) -> Hashes:
    ordered = np.sort(hashes)
    return np.asarray(ordered[1:][ordered[1:] == ordered[:-1]])


def _spread(hashes: Hashes, places: Numbers) -> Hashes:
    """The hashes that occur more than once; 2^SPREAD cells are for one place."""
    if (int(places.max()) + 1) << SPREAD > min(MOST, len(hashes) << (SPREAD + 3)):
        return _sorted(hashes)  # the table would be far larger than what is in it
    cell = (places << SPREAD) | (hashes >> np.uint64(FROM_BIT) & np.uint64((1 << SPREAD) - 1)).view(np.int64)
    cells = int(cell.max()) + 1
    found = []
    for shift in AGAIN:
        equal, hashes = _contested(hashes, cell, cells)
        found.append(equal)
        if len(hashes) <= FEW:
            break
        cells = 1 << (2 * len(hashes)).bit_length()
        cell = (hashes >> np.uint64(shift) & np.uint64(cells - 1)).view(np.int64)
    return np.concatenate((*found, _sorted(hashes)))


def _contested(hashes: Hashes, cell: NDArray[np.int64], cells: int) -> tuple[Hashes, Hashes]:
    """Let hashes take cells: those that lost theirs to an equal one, and those that lost it to another.

    Of equal hashes all but one lose: to an equal one, or all of them to another.
    """
    numbers = np.arange(len(hashes), dtype=np.uint32)
    table = np.empty(cells, np.uint32)
    table[cell] = numbers
    winners = table[cell]
    lost = np.flatnonzero(winners != numbers)
    losers, winning = hashes[lost], hashes[winners[lost]]
    equal = losers == winning
    return losers[equal], losers[~equal]
