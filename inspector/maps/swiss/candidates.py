"""Words that are shaped like a Map, found at the speed of memory.

What is found here is a candidate and no more: its groups have to prove it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.maps.family import Arena, Headers, Mask
from inspector.maps.scanning import headers_among
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS, header_dtype
from inspector.maps.swiss.layout import LARGEST_DEPTH

DIR_PTR, DIR_LEN, DEPTHS = 2, 3, 4
"""Words of the header that a first test looks at: dirPtr, dirLen, the one of globalDepth, globalShift and the rest."""

DEPTHS_AT_MOST = 1 << 25
"""That word as a number is less: depth, shift, writing (0 or 1), tombstonePossible (0 or 1), zeros."""


def candidates(words: NDArray[np.uint64], start: int, arena: Arena, release: Release) -> Headers:
    """See Family.candidates: a cheap test is made of every word, the others only where it holds."""
    return headers_among(words, start, arena, header_dtype(release), _likely, plausible)


def _likely(words: NDArray[np.uint64], most: int, arena: Arena) -> NDArray[np.int64]:
    """Places where dirPtr leads into the arena, depths and flags are small enough, and dirLen is a length."""
    # Subtraction wraps around below the arena, so one comparison tests both ends.
    likely = (words[DIR_PTR : DIR_PTR + most] - np.uint64(arena.start)) < np.uint64(arena.size)
    likely &= words[DEPTHS : DEPTHS + most] < np.uint64(DEPTHS_AT_MOST)
    places = np.flatnonzero(likely)
    # Many structs have a pointer there and a small number behind it: dirLen is 0, or a power of two.
    length = words[places + DIR_LEN]
    return np.asarray(places[length & (length - np.uint64(1)) == 0])


def plausible(rows: NDArray[np.void], arena: Arena) -> Mask:
    """See Family.plausible: used, dirPtr, dirLen, depth, shift, flags and padding; the seed is not 0."""
    names = rows.dtype.names
    assert names is not None
    depth, length = rows["globalDepth"].astype(np.int64), rows["dirLen"]
    good = (rows["writing"] <= 1) & ~rows["padding"].any(axis=1) & (rows["seed"] != 0)
    if "tombstonePossible" in names:
        good &= rows["tombstonePossible"] <= 1
    good &= arena.holds(rows["dirPtr"]) & (rows["used"] <= np.uint64(arena.size))
    small = (length == 0) & (depth == 0) & (rows["globalShift"] == 0) & (rows["used"] <= GROUP_SLOTS)
    most = min(LARGEST_DEPTH, (arena.size // POINTER_SIZE).bit_length())
    tables = (depth <= most) & (length == np.left_shift(1, np.minimum(depth, LARGEST_DEPTH)))
    tables &= rows["globalShift"] == WORD_BITS - depth
    return np.asarray(good & (small | tables))


def provable(rows: NDArray[np.void]) -> Mask:
    """See Family.provable: the control words of an empty map's groups prove it; without memory it has none."""
    return np.asarray(rows["dirPtr"] != 0)
