"""Slots of buckets and groups as numpy arrays: where a mask is true, and the bytes that lie there.

numpy's own ways take several times as long for arrays whose last axis is as short as a bucket: np.nonzero goes through
each bucket, a mask of cells copies each slot byte by byte, and any(axis=1) begins anew for each row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.memory.protocol import Rows

Numbers = NDArray[np.int64]

WORDS = (8, 4, 2, 1)

ALL_TRUE = np.uint64(0x0101010101010101)
"""Eight truth values, as one word."""


def places(mask: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Rows and columns (k,) of what is true in a mask of shape (n, width), in the order of rows: np.nonzero."""
    at = np.flatnonzero(mask)
    rows, columns = np.divmod(at, mask.shape[1]) if mask.shape[1] & (mask.shape[1] - 1) else _divided(at, mask.shape[1])
    return rows, columns


def pairs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """What is true in a mask of shape (n, width), as (row, column), in the order of rows: np.argwhere."""
    rows, columns = places(mask)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _divided(at: Numbers, width: int) -> tuple[Numbers, Numbers]:
    """Quotients and remainders by a power of two."""
    return at >> (width.bit_length() - 1), at & (width - 1)


def pick(slots: Rows, rows: Numbers, columns: Numbers) -> Rows:
    """The bytes (k, size) of slots of shape (n, width, size), whose last axis lies in one piece."""
    size = slots.shape[2]
    if not size or not len(rows):
        return np.empty((len(rows), size), np.uint8)
    # As values of one piece: each is copied at once.
    chosen = slots.view(np.dtype((np.void, size)))[..., 0][rows, columns]
    return chosen.view(np.uint8).reshape(-1, size)


def any_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) in which rows of a mask of shape (n, width) anything is true."""
    return _words(mask) != 0 if _is_words(mask) else np.asarray(mask.any(axis=1))


def all_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) in which rows of a mask of shape (n, width) everything is true."""
    return _words(mask) == ALL_TRUE if _is_words(mask) else np.asarray(mask.all(axis=1))


def count_of(mask: NDArray[np.bool_]) -> Numbers:
    """(n,) how much is true in each row of a mask of shape (n, width)."""
    if not _is_words(mask):
        return np.asarray(mask.sum(axis=1))
    # Each byte is 0 or 1: the product's highest byte is their sum.
    return (_words(mask) * ALL_TRUE >> np.uint64(56)).view(np.int64)


def _is_words(mask: NDArray[np.bool_]) -> bool:
    return mask.shape[1] == np.dtype(np.uint64).itemsize and mask.flags.c_contiguous


def _words(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Rows of eight truth values, each as one word."""
    return np.asarray(mask.view(np.uint64)[:, 0])


def nonzero(slots: Rows) -> NDArray[np.bool_]:
    """(n, width) which slots, of shape (n, width, size), have a byte that is not zero."""
    size = slots.shape[2]
    if not size or not len(slots):
        return np.zeros(slots.shape[:2], dtype=bool)
    width = next(word for word in WORDS if size % word == 0)
    words = slots.view(f"<u{width}")
    found = words[..., 0] != 0
    for at in range(1, size // width):
        found |= words[..., at] != 0
    return np.asarray(found)
