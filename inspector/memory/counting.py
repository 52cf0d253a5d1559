"""A memory that counts what it hands out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.memory.frozen import Block
from inspector.memory.lending import Lending
from inspector.memory.protocol import Addresses, Filling, Memory, Rows


class CountingMemory:
    """A Memory that counts the bytes it hands out."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.name = memory.name
        self.regions = memory.regions
        self.count = 0

    def read(self, address: int, size: int) -> memoryview:
        """See Memory.read."""
        data = self._memory.read(address, size)
        self.count += size
        return data

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """See Memory.read_many."""
        rows = self._memory.read_many(addresses, size)
        self.count += size * len(addresses)
        return rows


class CountingFillingMemory(CountingMemory):
    """The same over a memory that copies to where it is told to."""

    _memory: FillingMemory

    def read_into(self, addresses: Addresses, sizes: Addresses, into: NDArray[np.uint8]) -> None:
        """See Filling.read_into."""
        self._memory.read_into(addresses, sizes, into)
        self.count += into.size


class CountingLendingMemory(CountingMemory):
    """The same over a memory that lends; what it lends counts as if it were copied."""

    _memory: LendingMemory

    def lend(self, addresses: Addresses, size: int) -> tuple[list[Block], NDArray[np.bool_]]:
        """See Lending.lend."""
        blocks, held = self._memory.lend(addresses, size)
        self.count += size * int(np.count_nonzero(held))
        return blocks, held


class FillingMemory(Memory, Filling, Protocol):
    """A Memory that is Filling."""


class LendingMemory(Memory, Lending, Protocol):
    """A Memory that is Lending."""


def counting(memory: Memory) -> CountingMemory:
    """Count what a memory hands out; the result is Filling or Lending if the memory is."""
    if isinstance(memory, Filling):
        return CountingFillingMemory(memory)
    return CountingLendingMemory(memory) if isinstance(memory, Lending) else CountingMemory(memory)
