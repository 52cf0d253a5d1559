"""The entries of a map as arrays of numpy: the flat table of --export, for which nothing has to be installed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.api.natural import natural
from inspector.gotypes.columns import Mask
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import (
    Addresses,
    Flat,
    Nested,
    Plain,
    Times,
    Words,
    flat_table,
    windows_of,
)

Array: TypeAlias = NDArray[Any]


def numpy_columns(inspection: Inspection) -> dict[str, Array]:
    """Each column of the flat table by its name, with a value for each shown entry.

    Booleans, integers, floats and addresses have a dtype of the same size, times are datetime64[ns] in UTC; all other
    columns are objects, values as in a GoMapping. A column in which some rows have no value is a masked array: nil, not
    read, a time that nanoseconds do not reach.
    """
    found: dict[str, list[Array]] = {}
    for window in windows_of(inspection):
        for flat in flat_table(window):
            found.setdefault(flat.name, []).append(_whole(flat))
    return {name: _joined(arrays) for name, arrays in found.items()}


def _joined(arrays: list[Array]) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    masked = any(isinstance(array, np.ma.MaskedArray) for array in arrays)
    return np.ma.concatenate(arrays) if masked else np.concatenate(arrays)  # type: ignore[no-untyped-call]


def _whole(flat: Flat) -> Array:
    """(n,) the cells of a column in their rows; masked where some rows have none."""
    cells, void = _cells(flat)
    if flat.known.all() and not void.any():
        return cells
    whole = np.zeros(len(flat.known), cells.dtype)
    mask = np.ones(len(flat.known), bool)
    whole[flat.known] = cells
    mask[flat.known] = void
    return np.ma.MaskedArray(whole, mask)


def _cells(flat: Flat) -> tuple[Array, Mask]:
    """(k,) the cells of a column, and which of them have no value."""
    cells = flat.cells
    if isinstance(cells, (Plain, Addresses)):
        return cells.numbers, flat.void
    if isinstance(cells, Times):
        moments, outside = cells.in_nanoseconds()
        return moments.astype("M8[ns]"), flat.void | outside
    if isinstance(cells, Words):
        return np.array(cells.texts, object), flat.void
    column = cells.column if isinstance(cells, Nested) else cells
    values = [natural(value) for value in column.values()]
    return np.fromiter(values, object, len(values)), flat.void
