"""Where a core file keeps memory, read by its program headers: by other means than the project's own."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Segment:
    """A piece of memory in a core file."""

    address: int
    size: int
    offset: int


def segments(core: Path) -> list[Segment]:
    """The memory that a core holds, by its program headers."""
    with core.open("rb") as file:
        head = file.read(64)
        start, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
    found = []
    for i in range(count):
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", table, i * size)
        if kind == 1:  # PT_LOAD
            found.append(Segment(address, in_file, offset))
    return found


def read_core(core: Path, held: list[Segment], address: int, size: int) -> bytes:
    """Bytes of the process's memory out of its core; StopIteration where the core has no such memory."""
    segment = next(s for s in held if 0 <= address - s.address <= s.size - size)
    with core.open("rb") as file:
        return os.pread(file.fileno(), size, segment.offset + address - segment.address)
