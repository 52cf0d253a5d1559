"""Sets of words, as arrays: what np.unique and np.isin do, and without numpy.ma.

Those load it when they are first called. That takes longer than all that a small map is asked, and a process may be
held then. Of a million words that all differ np.unique makes a table of hashes, which takes ten times as long as to
sort them.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def distinct(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """The values of an array of whatever shape, each once, in ascending order: (k,) of the same dtype."""
    ordered = np.sort(values, axis=None)
    first = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def is_among(values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) which of n values are among others of the same dtype."""
    if not len(others):
        return np.zeros(len(values), dtype=bool)
    ordered = np.sort(others)
    at = np.searchsorted(ordered, values)
    return np.asarray(ordered[np.minimum(at, len(ordered) - 1)] == values)
