"""A target's memory searched for words that are shaped like the header of a map.

What is found here is a candidate and no more: what it leads to has to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from inspector.errors import UnreadableMemory
from inspector.maps.family import WORD, Arena, Headers
from inspector.memory.protocol import Memory, Region
from inspector.target.run import Run

PIECE = 1 << 23
"""Bytes that are copied at a time: a few milliseconds of a process that is held for it."""

RANGES_AT_ONCE = 1 << 8
"""Ranges that are copied in one stop at most: each takes some microseconds, however short it is."""

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
    for some, size in _pieces(ranges, family.header_dtype(release).itemsize - WORD):
        found = [
            family.candidates(np.frombuffer(data, "<u8", len(data) // WORD), start, arena, release)
            for start, data in run.copied(partial(_read, run.memory, some))
        ]
        yield Piece(size, Headers.joined(found, family.header_dtype(release)))


def _pieces(ranges: list[Region], overlap: int) -> Iterator[tuple[list[Region], int]]:
    """The ranges in portions for one stop each: no more than PIECE bytes, of one range or of many small ones.

    Parts of one range overlap, so that what lies across their border is found. The size counts every byte once.
    """
    portion: list[Region] = []
    size = 0
    for region in ranges:
        for start in range(region.start, region.end, PIECE):
            length = min(PIECE, region.end - start)
            if portion and (size + length > PIECE or len(portion) == RANGES_AT_ONCE):
                yield portion, size
                portion, size = [], 0
            portion.append(Region(start, min(start + length + overlap, region.end)))
            size += length
    if portion:
        yield portion, size


def _read(memory: Memory, regions: list[Region]) -> list[tuple[int, memoryview]]:
    """The bytes of each region with its address; without those that cannot be read."""
    found = []
    for region in regions:
        with suppress(UnreadableMemory):
            found.append((region.start, memory.read(region.start, region.end - region.start)))
    return found
