"""The read interface that everything above works with, and the map of what is readable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.uint64]
Rows = NDArray[np.uint8]

END_OF_USER_SPACE = 1 << 47
"""Where the addresses of a process end on linux/amd64."""


MANY = 64
"""From so many addresses on it is worth a look whether one range holds them all."""


@dataclass(frozen=True)
class Region:
    """A readable range [start, end) of the target, and what it maps: a file, or what the kernel calls it.

    `writable` is only False where it is known that the target cannot write there.
    """

    start: int
    end: int
    name: str = ""
    writable: bool = True


class RegionMap:
    """Readable ranges as sorted arrays, so that a million pointers are judged in one step.

    `complete` says that nothing else is mapped; what a core holds is only what was dumped.
    """

    def __init__(self, regions: Iterable[Region], complete: bool = True) -> None:
        self.complete = complete
        starts: list[int] = []
        ends: list[int] = []
        for region in sorted(regions, key=lambda r: r.start):
            # Adjacent ranges are joined: a bucket array may well lie across two of them.
            if ends and region.start <= ends[-1]:
                ends[-1] = max(ends[-1], region.end)
            else:
                starts.append(region.start)
                ends.append(region.end)
        self.starts = np.array(starts, dtype=np.uint64)
        self.ends = np.array(ends, dtype=np.uint64)

    @property
    def size(self) -> int:
        """Bytes of all ranges."""
        return int((self.ends - self.starts).sum())

    def contains(self, addresses: Addresses, sizes: int | Addresses) -> NDArray[np.bool_]:
        """For each address whether [address, address + size) lies in readable memory."""
        if not len(self.starts):
            return np.zeros(len(addresses), dtype=bool)
        if len(addresses) > MANY and self._one_contains(addresses, sizes):
            return np.ones(len(addresses), dtype=bool)
        at = np.searchsorted(self.starts, addresses, side="right").astype(np.int64) - 1
        ends = self.ends[np.maximum(at, 0)]
        known = (at >= 0) & (addresses <= ends)
        # Subtract rather than add: a hostile address plus its size could wrap around.
        room: NDArray[np.bool_] = known & (ends - addresses >= np.asarray(sizes, dtype=np.uint64))
        return room

    def _one_contains(self, addresses: Addresses, sizes: int | Addresses) -> bool:
        """Whether all addresses lie in one range, as most that are asked for do: that takes no search for each."""
        low, high = addresses.min(), addresses.max()
        at = int(np.searchsorted(self.starts, low, side="right")) - 1
        return bool(at >= 0 and high <= self.ends[at] and self.ends[at] - high >= np.uint64(np.max(sizes)))

    def covers(self, address: int, size: int) -> bool:
        """Whether one range [address, address + size) lies in readable memory."""
        if not 0 <= address < 1 << 64 or not 0 <= size < 1 << 63:
            return False
        return bool(self.contains(np.array([address], dtype=np.uint64), size)[0])


class Memory(Protocol):
    """Random access to a target's bytes. Reads never write.

    `name` is what the machine output calls this source.
    """

    name: str

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`; raises UnreadableMemory."""
        ...

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory for the first bad one."""
        ...

    def regions(self) -> list[Region]:
        """Return the readable ranges, as far as this source knows them."""
        ...


@runtime_checkable
class Filling(Protocol):
    """Memory that copies to where it is told to; others copy to a place of their own, or do not copy at all."""

    def read_into(self, addresses: Addresses, sizes: Addresses, into: NDArray[np.uint8]) -> None:
        """Fill `into` with ranges, one after the other; raises UnreadableMemory for the first bad one."""
        ...
