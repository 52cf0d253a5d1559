"""From a construct declaration to what reads one such structure: what construct works out each time is done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from struct import Struct as Packed
from types import SimpleNamespace
from typing import Any

from construct import Bytes, Construct, FormatField, Renamed, Struct

Make = Callable[[list[Any]], Any]
"""Takes the values of a part from the end of a list, where its first value is the last."""


@dataclass(frozen=True)
class Record:
    """Reads structures of `size` bytes; what it reads has the fields as attributes, structures in it likewise."""

    size: int
    _packed: Packed
    _make: Make

    def read(self, data: bytes | memoryview) -> SimpleNamespace:
        """The structure in `size` bytes; raises struct.error for another number of them."""
        made: SimpleNamespace = self._make(list(self._packed.unpack(data))[::-1])
        return made


@cache
def record_of(declaration: Struct) -> Record:
    """The reader of a declaration made of numbers, bytes and other structures; raises TypeError for anything else."""
    letters, make = _part(declaration)
    packed = Packed(f"<{letters}")
    return Record(packed.size, packed, make)


def _part(declaration: Construct) -> tuple[str, Make]:
    """The letters of the struct module for a part, and what makes it of their values."""
    if isinstance(declaration, Renamed):
        return _part(declaration.subcon)
    if isinstance(declaration, Struct):
        parts = [(part.name, *_part(part)) for part in declaration.subcons]
        makers = [(name, make) for name, _, make in parts]
        return (
            "".join(letters for _, letters, _ in parts),
            lambda values: SimpleNamespace(**{name: make(values) for name, make in makers}),
        )
    if isinstance(declaration, Bytes):
        return f"{declaration.length}s", list.pop
    if isinstance(declaration, FormatField) and str(declaration.fmtstr[0]) == "<":
        return str(declaration.fmtstr[1]), list.pop
    raise TypeError(f"no record for {declaration!r}")
