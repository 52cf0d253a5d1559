"""From a construct declaration to the numpy dtype that reads arrays of the same structure.

The Struct stays the only place where offsets are written: the dtype is derived, never typed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from construct import Array, Bytes, Construct, FormatField, Renamed, Struct
from numpy.typing import NDArray


@cache
def dtype_of(declaration: Construct) -> np.dtype[Any]:
    """The packed numpy dtype of a construct declaration made of fixed-size parts.

    Struct becomes a structured dtype with the same field names, Array a subarray, Bytes(n) a subarray of
    n uint8 and scalar fields their little-endian counterpart. Raises TypeError for anything else.
    """
    if isinstance(declaration, Renamed):
        return dtype_of(declaration.subcon)
    if isinstance(declaration, Struct):
        return np.dtype([(part.name, dtype_of(part)) for part in declaration.subcons])
    if isinstance(declaration, Array):
        element = dtype_of(declaration.subcon)
        # numpy cannot nest a subarray of no bytes (struct{} elements), so shapes are joined instead.
        base, shape = element.subdtype or (element, ())
        return np.dtype((base, (declaration.count, *shape)))
    if isinstance(declaration, Bytes):
        return np.dtype((np.uint8, (declaration.length,)))
    if isinstance(declaration, FormatField):
        # The letters of the struct module and of numpy differ (L is 4 bytes in one, 8 in the other).
        order, letter = str(declaration.fmtstr[0]), str(declaration.fmtstr[1])
        kind = "f" if letter in "efd" else "u" if letter.isupper() else "i"
        return np.dtype(f"{order}{kind}{declaration.length}")
    raise TypeError(f"no numpy dtype for {declaration!r}")


def grouped(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each different value with the positions it stands at, in one pass for any number of values."""
    if not len(values):
        return
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    different = ordered[np.concatenate(([0], starts))]
    yield from zip(different.tolist(), np.split(order, starts), strict=True)
