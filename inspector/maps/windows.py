"""Windows of the buckets or groups of one map: what is worked out of a window never takes more memory than a window.

Rules look at one window after the other and keep what they find, which is nothing in a map that is sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.maps.slots import Numbers
from inspector.memory.relief import portion_done

WINDOW = 1 << 15
"""Buckets or groups that are looked at together: some megabytes of keys and what is worked out of them."""

SMALL_WINDOW = 1 << 13
"""The same where each window takes little work: what is made on the way stays in the nearest caches."""

Array = TypeVar("Array", bound=NDArray[Any])


Spots = Numbers
"""What is true in a mask (n, width): its flat numbers, ascending. Few are, as a rule, of what rules look for."""


def windows(count: int, ends: Numbers | None = None, length: int | None = None) -> Iterator[slice]:
    """Cut `count` rows into windows, of about `length` rows each, WINDOW if that is not given.

    `ends` (t,) are ascending row numbers at which a window may end, the last of them `count`; anywhere if not given.
    """
    start = 0
    while start < count:
        end = min(start + (length or WINDOW), count)
        if ends is not None:
            at = int(np.searchsorted(ends, end, side="right")) - 1
            # What does not fit into a window is a window of its own.
            end = int(ends[at]) if at >= 0 and ends[at] > start else int(ends[np.searchsorted(ends, start, "right")])
        yield slice(start, end)
        portion_done()
        start = end


def in_windows(count: int, of: Callable[[slice], Array], like: Array) -> Array:
    """Work an array (count, ...) out window by window; `like` is an empty one of its kind."""
    parts = [of(part) for part in windows(count)]
    return np.concatenate(parts) if parts else like  # type: ignore[return-value]


def spots(count: int, of: Callable[[slice], NDArray[np.bool_]]) -> Spots:
    """Flat numbers, ascending, of what is true in a mask (count, width) that is worked out window by window."""

    def found(part: slice) -> Numbers:
        mask = of(part)
        return np.asarray(np.flatnonzero(mask) + part.start * mask.shape[1])

    return in_windows(count, found, np.empty(0, np.int64))


def mask_of(flat: Spots, part: slice, width: int) -> NDArray[np.bool_]:
    """(n, width) the mask of a window, out of flat numbers of what is true in all windows."""
    mask = np.zeros((part.stop - part.start, width), dtype=bool)
    first, last = np.searchsorted(flat, (part.start * width, part.stop * width))
    mask.reshape(-1)[flat[first:last] - part.start * width] = True
    return mask


def index_type(most: int) -> type[np.int32 | np.int64]:
    """The smallest kind of number for rows, of which there are `most`; negative ones mean something else."""
    return np.int32 if most <= np.iinfo(np.int32).max else np.int64


def joined(parts: Iterable[NDArray[Any]], dtype: Any = np.int64) -> NDArray[Any]:
    """Join what windows gave; an empty array where none gave anything."""
    return np.concatenate([np.empty(0, dtype), *parts])
