"""Ranges of bytes in one piece of memory: what strings are hashed as, however long each of them is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.goruntime.dtypes import grouped
from inspector.memory.protocol import Rows

Numbers = NDArray[np.int64]


def check_ranges(data: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> None:
    """Raise ValueError unless all ranges, (k,) starts and lengths, lie in the data."""
    if len(starts) != len(lengths):
        raise ValueError(f"{len(starts)} starts and {len(lengths)} lengths do not fit each other")
    if ((starts < 0) | (lengths < 0) | (starts > len(data)) | (lengths > len(data) - starts)).any():
        raise ValueError(f"a range does not lie in the {len(data)} bytes that there are")


def windows(data: NDArray[np.uint8], starts: Numbers, width: int) -> Rows:
    """(k, width) the bytes from each start on; zeros stand behind the end of the data."""
    edge = max(len(data) - width, 0)
    inside = starts <= len(data) - width
    if inside.all():
        return np.asarray(sliding_window_view(data, width)[starts]) if len(starts) else np.empty((0, width), np.uint8)
    rows = np.empty((len(starts), width), np.uint8)
    rows[inside] = windows(data, starts[inside], width)
    end = np.concatenate((data[edge:], np.zeros(width, np.uint8)))
    rows[~inside] = sliding_window_view(end, width)[starts[~inside] - edge]
    return rows


def by_length(
    hash_rows: Callable[[Rows, NDArray[np.uint64]], NDArray[np.uint64]],
    data: NDArray[np.uint8],
    starts: Numbers,
    lengths: Numbers,
    seeds: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """Hash ranges of equal length together, by a function of rows."""
    check_ranges(data, starts, lengths)
    out = np.empty(len(starts), np.uint64)
    for length, group in grouped(lengths):
        rows = windows(data, starts[group], length) if length else np.empty((len(group), 0), np.uint8)
        out[group] = hash_rows(rows, seeds[group])
    return out
