"""A target's memory searched for words that are shaped like the header of a map.

What is found here is a candidate and no more: what it leads to has to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from inspector.errors import UnreadableMemory
from inspector.maps.family import WORD, Arena, Headers
from inspector.memory.protocol import Region
from inspector.target.run import Run

PIECE = 1 << 22
"""Bytes that are copied at a time: a few milliseconds of a process that is held for it."""

Copied = Callable[[Callable[[], memoryview]], memoryview]
"""Calls a reader while the target is held (Run.copied)."""


@dataclass(frozen=True)
class Piece:
    """A part of the memory that was looked through: its size in bytes, and what was found in it."""

    size: int
    headers: Headers


def scan(run: Run, ranges: list[Region], arena: Arena) -> Iterator[Piece]:
    """Candidates in each piece of `ranges`, one yield for each piece whatever was found there.

    A piece is copied in a stop of its own, and looked at afterwards. What cannot be read is left out.
    """
    family, release = run.family, run.release
    overlap = family.header_dtype(release).itemsize - WORD
    for region in ranges:
        for start in range(region.start, region.end, PIECE):
            end = min(start + PIECE + overlap, region.end)
            try:
                data = run.copied(partial(run.memory.read, start, end - start))
            except UnreadableMemory:
                data = memoryview(b"")
            words = np.frombuffer(data, "<u8", len(data) // WORD)
            yield Piece(min(PIECE, region.end - start), family.candidates(words, start, arena, release))
