"""Memory that lies in pieces in buffers of ours: a core that is mapped, or what was copied of a process."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.memory.deadline import Deadline
from inspector.memory.protocol import Addresses, Rows
from inspector.memory.sets import distinct


@dataclass(frozen=True)
class Chunk:
    """[start, end) of the address space lies in `buffer` at `offset`; whether the process could write there."""

    start: int
    end: int
    buffer: NDArray[np.uint8]
    offset: int
    writable: bool = False


class Chunks:
    """Reads what lies in chunks, which do not overlap. The half of a Memory that is the same for all of its kind."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._deadline = Deadline()
        self._index()

    def within(self, deadline: Deadline) -> Self:
        """The same memory, read only as long as a deadline allows: everything then raises NotReadInTime."""
        bound = copy.copy(self)
        bound._deadline = deadline
        return bound

    def _index(self) -> None:
        self._chunks.sort(key=lambda chunk: chunk.start)
        self._starts = np.array([chunk.start for chunk in self._chunks], dtype=np.uint64)

    def overlay(self, start: int, buffer: NDArray[np.uint8], offset: int, size: int) -> None:
        """Lay a file's bytes over [start, start + size) wherever there is nothing yet."""
        added, at, end = [], start, start + size
        for chunk in self._chunks:
            if chunk.end <= at or chunk.start >= end:
                continue
            if chunk.start > at:
                added.append(Chunk(at, chunk.start, buffer, offset + at - start))
            at = max(at, chunk.end)
        if at < end:
            added.append(Chunk(at, end, buffer, offset + at - start))
        self._chunks += added
        self._index()

    def close(self) -> None:
        """Forget the chunks: their buffers can go."""
        self._chunks = []
        self._index()

    def _chunk_at(self, address: int) -> Chunk | None:
        at = int(np.searchsorted(self._starts, np.uint64(address), side="right")) - 1
        if at < 0 or address >= self._chunks[at].end:
            return None
        return self._chunks[at]

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`, from several chunks if need be; raises UnreadableMemory, NotReadInTime."""
        self._deadline.ask(size)
        if not 0 <= address < 1 << 64 or size < 0:
            raise UnreadableMemory(address, size, "no such address")
        parts, at, end = [], address, address + size
        while at < end:
            chunk = self._chunk_at(at)
            if chunk is None:
                raise UnreadableMemory(address, size, self._why_missing(at))
            take = min(end, chunk.end) - at
            start = chunk.offset + at - chunk.start
            parts.append(chunk.buffer[start : start + take])
            at += take
        return memoryview(parts[0].data if len(parts) == 1 else b"".join(part.tobytes() for part in parts))

    def _why_missing(self, address: int) -> str:
        """Why nothing is known of an address, for the error."""
        raise NotImplementedError

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory, NotReadInTime."""
        self._deadline.ask(size * len(addresses))
        rows = np.empty((len(addresses), size), dtype=np.uint8)
        if not size or not len(addresses):
            return rows
        at = np.searchsorted(self._starts, addresses, side="right").astype(np.int64) - 1
        left = np.ones(len(addresses), dtype=bool)
        for index in distinct(at[at >= 0]):
            chunk = self._chunks[index]
            inside = (at == index) & (addresses < np.uint64(chunk.end))
            inside &= np.uint64(chunk.end) - addresses >= np.uint64(size)
            if inside.any():
                held = chunk.buffer[chunk.offset : chunk.offset + chunk.end - chunk.start]
                places = (addresses[inside] - np.uint64(chunk.start)).astype(np.int64)
                rows[inside] = sliding_window_view(held, size)[places]
                left &= ~inside
        for index in np.flatnonzero(left):
            rows[index] = np.frombuffer(self.read(int(addresses[index]), size), dtype=np.uint8)
        return rows
