"""Many texts at once: each is made of pieces, some of which are the same in all of them."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

Piece = str | list[str]
"""A part of n texts: the same in all of them, or one for each."""


def joined(pieces: list[Piece], count: int) -> list[str]:
    """(count) texts of pieces."""
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        return pieces[0]
    return list(map("".join, zip(*(repeat(each, count) if isinstance(each, str) else each for each in pieces),
                                 strict=True)))  # fmt: skip


def interleaved(pieces: list[Piece], count: int) -> str:
    """All texts of pieces, one behind the other, without a text of its own for each."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    flat = [""] * (count * len(merged))
    for at, piece in enumerate(merged):
        flat[at :: len(merged)] = [piece] * count if isinstance(piece, str) else piece
    return "".join(flat)


def integer_texts(numbers: NDArray[Any]) -> list[str]:
    """Each integer in decimal."""
    if not len(numbers):
        return []
    lowest, highest = int(numbers.min()), int(numbers.max())
    if highest - lowest >= len(numbers):
        return list(map(str, numbers.tolist()))
    # Fewer different ones than there are: each is written once.
    different = np.array(list(map(str, range(lowest, highest + 1))), object)
    # Distances may be larger than the type of the numbers holds, and the numbers larger than int64.
    distances = numbers - numbers.dtype.type(lowest) if numbers.itemsize == 8 else numbers.astype(np.int64) - lowest
    texts: list[str] = different[distances.astype(np.int64)].tolist()
    return texts


def boolean_texts(numbers: NDArray[Any]) -> list[str]:
    """Each boolean as Go and JSON write it."""
    return ["true" if number else "false" for number in numbers.tolist()]


def harmless(data: NDArray[np.uint8]) -> bool:
    r"""Whether all bytes are printable ASCII, and neither " nor \: JSON and Go write such a text as it is."""
    return not bool(((data < 0x20) | (data > 0x7E) | (data == 0x22) | (data == 0x5C)).any())


def address_texts(addresses: NDArray[np.uint64]) -> list[str]:
    """Each in hexadecimal; consecutive equal ones, as those of a bucket's entries, are written once."""
    if not len(addresses):
        return []
    heads = np.flatnonzero(np.concatenate(([True], addresses[1:] != addresses[:-1])))
    texts = list(map(hex, addresses[heads].tolist()))
    if len(heads) == len(addresses):
        return texts
    return np.repeat(np.array(texts, object), np.diff(np.append(heads, len(addresses)))).tolist()
