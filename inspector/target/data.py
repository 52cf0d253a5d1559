"""Where in its data a program keeps a variable of the runtime: at its symbol, or anywhere where symbols are missing."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.target.run import Run

WORD = 8
PIECE = 1 << 24
"""Bytes of data looked through at once."""


def places_of(run: Run, symbol_name: str, size: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, bytes) that may hold a variable: that of its symbol, or all readable writable data in pieces.

    `size` is what is looked for, in bytes: pieces overlap by so much. All ranges begin and end at a word.
    """
    symbol = run.image.symbol(symbol_name)
    if symbol is not None and symbol.size:
        yield symbol.address, symbol.size // WORD * WORD
        return
    regions = run.regions()
    for segment in run.image.segments:
        if not segment.writable:
            continue
        first = segment.address + run.image.bias
        for start, end in zip(regions.starts.tolist(), regions.ends.tolist(), strict=True):
            low, high = max(first + -first % WORD, start), min(first + segment.memory_size, end)
            for at in range(low, high, PIECE):
                yield at, min(PIECE + size, high - at) // WORD * WORD
