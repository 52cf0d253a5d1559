"""A memory that counts what it hands out."""

from __future__ import annotations

from inspector.memory.protocol import Addresses, Memory, Rows


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
