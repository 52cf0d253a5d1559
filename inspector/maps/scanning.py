"""Words that are shaped like a header, found at the speed of memory: what all families have in common of that.

What is found is a candidate and no more: what it leads to has to prove it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.maps.family import WORD, Arena, Headers, Mask

BLOCK = 1 << 16
"""Words that are tested at a time, so that the results of each step stay in the processor's cache."""


def headers_among(
    words: NDArray[np.uint64],
    start: int,
    arena: Arena,
    dtype: np.dtype[Any],
    likely: Callable[[NDArray[np.uint64], int, Arena], NDArray[np.int64]],
    plausible: Callable[[NDArray[np.void], Arena], Mask],
) -> Headers:
    """What is shaped like a header of a family among the consecutive words that lie at `start`.

    `likely` makes a cheap test of every place: it gets the words, how many places there are to begin at, and the arena,
    and returns those where a header may begin. `plausible` (Family.plausible) looks at whole headers where that holds.
    """
    length = dtype.itemsize // WORD
    parts = [np.empty(0, np.int64)]
    for at in range(0, len(words) - length + 1, BLOCK):
        block = words[at : at + BLOCK + length - 1]
        parts.append(at + likely(block, len(block) - length + 1, arena))
    places = np.concatenate(parts)
    rows = words[places[:, None] + np.arange(length)].view(dtype)[:, 0]
    headers = Headers(np.uint64(start) + places.astype(np.uint64) * np.uint64(WORD), rows)
    return headers.where(plausible(rows, arena))
