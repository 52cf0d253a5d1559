"""Writing a core: headers, notes and memory, as a sparse file or compressed in a stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from inspector import watching
from inspector.copying.mappings import Mapping
from inspector.copying.pages import PAGE
from inspector.copying.plan import Numbers, Plan
from inspector.copying.room import Room
from inspector.coredump import structures as schema
from inspector.memory.packed import without_zeros

AT_ONCE = 1 << 23
"""Bytes that are looked at, or compressed, at a time."""

LEVEL = 3
"""How hard zstd tries: its own default."""


class Sink(Protocol):
    """Where a core is written to, from its beginning to its end. Raises OSError."""

    def put(self, at: int, data: memoryview) -> None:
        """Write data at an offset; all that is skipped are zeros."""
        ...

    def end(self, at: int) -> None:
        """The core is so many bytes long."""
        ...


class Sparse:
    """A file with holes where there are whole pages of zeros."""

    def __init__(self, file: int) -> None:
        self._file = file

    def put(self, at: int, data: memoryview) -> None:
        """See Sink."""
        for start, end in without_zeros(data):
            done = start
            while done < end:
                done += os.pwrite(self._file, data[done:end], at + done)

    def end(self, at: int) -> None:
        """See Sink."""
        os.ftruncate(self._file, at)


class Compressed:
    """A zstd stream, which writes out the zeros in between. `file` has nothing in it yet."""

    def __init__(self, file: int) -> None:
        self._file, self._at = file, 0
        zstd = _zstd()
        parameter = zstd.CompressionParameter
        workers = len(os.sched_getaffinity(0))
        low, high = parameter.nb_workers.bounds()
        options = {
            parameter.compression_level: LEVEL,
            parameter.checksum_flag: 1,
            parameter.nb_workers: max(low, min(high, workers)),
        }
        self._compressor = zstd.ZstdCompressor(options=options)
        self._zeros = memoryview(bytes(AT_ONCE))

    def put(self, at: int, data: memoryview) -> None:
        """See Sink."""
        self._skip(at)
        self._write(self._compressor.compress(data))
        self._at += len(data)

    def end(self, at: int) -> None:
        """See Sink."""
        self._skip(at)
        self._write(self._compressor.flush())

    def _skip(self, to: int) -> None:
        while self._at < to:
            size = min(len(self._zeros), to - self._at)
            self._write(self._compressor.compress(self._zeros[:size]))
            self._at += size

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def head_size(plan: Plan, notes: int) -> int:
    """How many bytes there are before the memory, with so many bytes of notes."""
    headers = schema.header.sizeof() + schema.segment_header.sizeof() * (len(plan.segments) + 1)
    pages = -(-(int(headers) + int(schema.section_header.sizeof()) + notes) // PAGE)
    return pages * PAGE


def head(plan: Plan, notes: bytes, begin: int) -> bytes:
    """What is before the memory, which begins at `begin`: headers and notes."""
    count = len(plan.segments) + 1
    extended = count >= schema.PN_XNUM
    at = schema.header.sizeof()
    sections = at + count * schema.segment_header.sizeof()
    notes_at = sections + (schema.section_header.sizeof() if extended else 0)
    parts = [
        schema.header.build(
            {
                "e_ident": {}, "e_phoff": at, "e_phnum": min(count, schema.PN_XNUM),
                "e_shoff": sections if extended else 0, "e_shnum": int(extended),
                "e_shentsize": schema.section_header.sizeof() if extended else 0,
            }
        ),
        _segment(schema.PT_NOTE, 0, notes_at, 0, len(notes), 0, 4),
    ]  # fmt: skip
    for segment in plan.segments:
        mapping = segment.mapping
        parts.append(
            _segment(
                schema.PT_LOAD, _flags(mapping), begin + segment.at, mapping.start, segment.size, mapping.size, PAGE
            )
        )
    if extended:
        parts.append(schema.section_header.build({"sh_size": 1, "sh_link": 0, "sh_info": count}))
    return b"".join((*parts, notes))


def _segment(kind: int, flags: int, offset: int, address: int, size: int, memory: int, align: int) -> bytes:
    built: bytes = schema.segment_header.build(
        {
            "p_type": kind, "p_flags": flags, "p_offset": offset, "p_vaddr": address,
            "p_filesz": size, "p_memsz": memory, "p_align": align,
        }
    )  # fmt: skip
    return built


def _flags(mapping: Mapping) -> int:
    bits = zip("rwx", (schema.PF_R, schema.PF_W, schema.PF_X), strict=True)
    return sum(bit for letter, bit in bits if letter in mapping.permissions)


def write_memory(sink: Sink, plan: Plan, room: Room, places: Numbers, begin: int) -> None:
    """Write what was copied to `places` of a room; in the core it begins at `begin`. Raises OSError."""
    for at, data in _pieces(plan, room, places):
        sink.put(begin + at, data)
        watching.reach(at)
    sink.end(begin + plan.length)


def _pieces(plan: Plan, room: Room, places: Numbers) -> Iterator[tuple[int, memoryview]]:
    """Copied bytes, and their offset behind the headers, in the order of the core."""
    copied = room.bytes[room.begin :]
    for at, place, size in zip(plan.sparse().tolist(), places.tolist(), plan.sizes.tolist(), strict=True):
        for first in range(0, size, AT_ONCE):
            piece: np.ndarray[Any, np.dtype[np.uint8]] = copied[place + first : place + min(size, first + AT_ONCE)]
            yield at + first, piece.data
