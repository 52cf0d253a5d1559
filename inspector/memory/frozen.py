"""Copies of parts of a target's memory that outlive the stop, and can be pickled."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import MissedMemory, UnreadableMemory
from inspector.memory.protocol import Addresses, Region, Rows

READS_WORTH_AN_INDEX = 512
"""After this many single reads plain lists to search pay off: someone lists every entry."""

NOT_COPIED = "it was not copied while the target was stopped"
TOO_LATE = "the stop had to end before"


@dataclass(frozen=True)
class Block:
    """Ranges copied together: range i is `sizes[i]` bytes from `addresses[i]`, at `offsets[i]` of `data`."""

    addresses: Addresses
    sizes: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    @staticmethod
    def of_rows(addresses: Addresses, rows: Rows) -> Block:
        """Build a block of equally long ranges, one for each row."""
        order = np.argsort(addresses, kind="stable")
        size = rows.shape[1]
        offsets = np.arange(len(addresses), dtype=np.int64) * size
        sizes = np.full(len(addresses), size, dtype=np.uint64)
        return Block(addresses[order], sizes, offsets, np.ascontiguousarray(rows[order]).reshape(-1))

    def find(self, addresses: Addresses, size: int) -> NDArray[np.int64]:
        """Offsets into `data` of each [address, address + size), -1 where this block does not hold it."""
        at = np.searchsorted(self.addresses, addresses, side="right").astype(np.int64) - 1
        index = np.maximum(at, 0)
        skipped = addresses - self.addresses[index]
        held = (at >= 0) & (skipped <= self.sizes[index])
        held &= self.sizes[index] - np.where(held, skipped, np.uint64(0)) >= np.uint64(size)
        return np.where(held, self.offsets[index] + skipped.astype(np.int64), -1)


@dataclass
class FrozenMemory:
    """A Memory made of copied blocks. Later blocks hide earlier ones where they overlap.

    `late` says that copying had to end before all was copied: what is not there then raises MissedMemory.
    """

    name: str = "frozen"
    blocks: list[Block] = field(default_factory=list)
    late: bool = False
    _index: list[tuple[list[int], Block]] | None = field(default=None, repr=False)
    _reads: int = 0

    def add(self, address: int, data: bytes | memoryview) -> None:
        """Keep one range."""
        rows = np.frombuffer(data, dtype=np.uint8).reshape(1, -1)
        self.add_rows(np.array([address], dtype=np.uint64), rows)

    def add_rows(self, addresses: Addresses, rows: Rows) -> None:
        """Keep equally long ranges, one for each row."""
        if len(addresses) and rows.shape[1]:
            self.add_block(Block.of_rows(addresses, rows))

    def add_block(self, block: Block) -> None:
        """Keep ranges that were copied together."""
        self.blocks.append(block)
        self._index, self._reads = None, 0

    def read(self, address: int, size: int) -> memoryview:
        """Return the copied bytes; raises UnreadableMemory for anything that was not copied."""
        if not 0 <= address < 1 << 64:
            raise UnreadableMemory(address, size, "no such address")
        if self._index is None and self._reads < READS_WORTH_AN_INDEX:
            self._reads += 1
            return memoryview(self.read_many(np.array([address], dtype=np.uint64), size)[0].tobytes())
        if self._index is None:
            self._index = [(block.addresses.tolist(), block) for block in reversed(self.blocks)]
        for starts, block in self._index:
            at = bisect_right(starts, address) - 1
            if at >= 0 and address + size <= starts[at] + int(block.sizes[at]):
                offset = int(block.offsets[at]) + address - starts[at]
                return memoryview(block.data[offset : offset + size].tobytes())
        raise self._missing(address, size)

    def _missing(self, address: int, size: int) -> UnreadableMemory:
        return MissedMemory(address, size, TOO_LATE) if self.late else UnreadableMemory(address, size, NOT_COPIED)

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory for the first missing one."""
        rows, held = self.held(addresses, size)
        if not held.all():
            raise self._missing(int(addresses[np.argmin(held)]), size)
        return rows

    def held(self, addresses: Addresses, size: int) -> tuple[Rows, NDArray[np.bool_]]:
        """Return (rows, held): `size` bytes of each address whose bytes were copied, and which those are."""
        if size == 0:
            return np.zeros((len(addresses), 0), dtype=np.uint8), np.ones(len(addresses), dtype=bool)
        rows = np.empty((len(addresses), size), dtype=np.uint8)
        missing = np.ones(len(addresses), dtype=bool)
        for block in reversed(self.blocks):
            if len(block.data) < size or not missing.any():
                continue
            offsets = block.find(addresses, size)
            if len(offsets) == 1 and offsets[0] >= 0:
                # One value is what looking up a key asks for, and a window over the data costs more than it.
                return block.data[offsets[0] : offsets[0] + size].reshape(1, size), np.ones(1, dtype=bool)
            found = missing & (offsets >= 0)
            if found.any():
                rows[found] = sliding_window_view(block.data, size)[offsets[found]]
                missing &= ~found
        held = ~missing
        return rows if held.all() else rows[held], held

    def regions(self) -> list[Region]:
        """Return the copied ranges."""
        return [
            Region(int(address), int(address + size))
            for block in self.blocks
            for address, size in zip(block.addresses, block.sizes, strict=True)
        ]
