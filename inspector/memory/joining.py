"""Bytes of many ranges, put where they belong: compiled (join.c), where that was built, or with numpy."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.memory.compiled import load

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

INTERFACE = 1
"""The version of join.c that is called here."""

LONG = 1 << 8
"""Bytes from which on numpy copies a range by itself: an index of single bytes would take more than it."""

_pointer = ctypes.c_void_p


def join(data: Bytes, starts: Numbers, sizes: Numbers, out: Bytes, at: Numbers) -> None:
    """Copy k ranges, of `sizes` (k,) bytes from `starts` (k,) of `data` on, to the places `at` (k,) of `out`.

    Raises ValueError for a range that does not lie in both.
    """
    if not len(starts):
        return
    for places, room in ((starts, len(data)), (at, len(out))):
        # Each alone first: their sum could wrap around.
        most = max(int(places.max()), int(sizes.max()))
        if min(int(places.min()), int(sizes.min())) < 0 or most > room or int((places + sizes).max()) > room:
            raise ValueError(f"a range does not lie in {room} bytes")
    library = _library()
    if library is None:
        join_with_numpy(data, starts, sizes, out, at)
        return
    assert out.flags.c_contiguous
    data = np.ascontiguousarray(data, np.uint8)
    given = [np.ascontiguousarray(each, np.int64) for each in (starts, sizes, at)]
    library.gmi_join(data.ctypes.data, *(each.ctypes.data for each in given), len(starts), out.ctypes.data)


def join_with_numpy(data: Bytes, starts: Numbers, sizes: Numbers, out: Bytes, at: Numbers) -> None:
    """The same without the compiled library; that all ranges lie in both arrays was checked."""
    long = sizes > LONG
    for start, place, size in zip(starts[long].tolist(), at[long].tolist(), sizes[long].tolist(), strict=True):
        out[place : place + size] = data[start : start + size]
    short, places = sizes[~long], at[~long]
    # Each byte of the short ones: where it comes, and how much further on it lies.
    ends = np.cumsum(short)
    to = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(places - (ends - short), short)
    out[to] = data[to + np.repeat(starts[~long] - places, short)]


@cache
def _library() -> ctypes.CDLL | None:
    given = [_pointer, _pointer, _pointer, _pointer, ctypes.c_size_t, _pointer]
    return load(Path(__file__).with_name("join.c"), INTERFACE, {"gmi_join": (given, None)})[0]
