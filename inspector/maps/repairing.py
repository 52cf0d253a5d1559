"""Headers with one field put right: what all families have in common of that.

A damaged map is found by the question which single change makes its keys lie where they hash to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.maps.family import Mask, Repaired
from inspector.memory.protocol import Addresses

BYTE = 256
BITS = 8

Starts = Callable[[Addresses], Mask]
"""Says at which addresses an object in use begins that a pointer may lead to."""


def as_they_are(rows: NDArray[np.void]) -> Repaired:
    """The headers without a change."""
    return with_fields(rows, np.arange(len(rows)), "")


def with_fields(
    rows: NDArray[np.void], owner: NDArray[np.int64], name: str, inside: bool = False, **fields: Any
) -> Repaired:
    """Headers in which some fields have other values: (k,) `owner` are their numbers, (k,) or one value a field."""
    changed = rows[owner].copy()
    for field, values in fields.items():
        changed[field] = values
    counts = np.bincount(owner, minlength=len(rows))
    bits = np.log2(np.maximum(counts, 1))[owner] if name else np.zeros(len(owner))
    return Repaired(owner, changed, bits, np.full(len(owner), inside), np.full(len(owner), name))


def joined(parts: list[Repaired]) -> Repaired:
    """Several of them as one."""
    return Repaired(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def one_byte_off(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """All numbers of the same width that differ from each value in one byte: (k,) which value each is of, and it."""
    width = values.dtype.itemsize
    masks = np.arange(1, BYTE, dtype=np.uint64)[None, :] << np.arange(0, width * BITS, BITS, dtype=np.uint64)[:, None]
    flat = masks.reshape(-1).astype(values.dtype)
    owner = np.repeat(np.arange(len(values)), len(flat))
    return owner, (values[:, None] ^ flat[None, :]).reshape(-1)


def pointers_off(values: Addresses, starts: Starts) -> tuple[NDArray[np.int64], Addresses]:
    """The pointers that differ from each in one byte and lead to where an object in use begins."""
    owner, others = one_byte_off(values)
    good = starts(others)
    return owner[good], others[good]
