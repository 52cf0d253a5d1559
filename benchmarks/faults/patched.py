"""Real memory with single bytes changed, for everything that reads it."""

from collections.abc import Mapping

import numpy as np

from inspector.memory.protocol import Addresses, Memory, Region, Rows


class PatchedMemory:
    """The memory of a target with some bytes overwritten in every copy that is read from it.

    `patches` leads from addresses to bytes. The target itself is not written to.
    """

    name = "patched"

    def __init__(self, memory: Memory, patches: Mapping[int, int]) -> None:
        self._memory, self._patches = memory, patches

    def read(self, address: int, size: int) -> memoryview:
        """See Memory.read."""
        data = bytearray(self._memory.read(address, size))
        for at, byte in self._patches.items():
            if address <= at < address + size:
                data[at - address] = byte
        return memoryview(bytes(data))

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """See Memory.read_many."""
        rows = self._memory.read_many(addresses, size)
        for at, byte in self._patches.items():
            for row in np.flatnonzero((addresses <= at) & (at < addresses + np.uint64(size))):
                rows[row, at - int(addresses[row])] = byte
        return rows

    def regions(self) -> list[Region]:
        """See Memory.regions."""
        return self._memory.regions()
