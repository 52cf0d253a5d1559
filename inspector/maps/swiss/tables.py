"""The directory of a map and the tables it leads to, read so that hostile memory cannot lead us astray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.copying.room import require_memory
from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, swisstable
from inspector.gotypes.layouts import SwissLayout
from inspector.maps.family import Mask
from inspector.maps.swiss.layout import LARGEST_DEPTH
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Memory, RegionMap

POINTER_SIZE = 8
WORK_ON_DIRECTORY = 6
"""How many times its bytes a directory takes while its entries are sorted, about."""

MOST_GROUPS = MAX_TABLE_CAPACITY // GROUP_SLOTS


@dataclass(frozen=True)
class Tables:
    """The tables of a map, each once, in the order of the directory entries that lead to them.

    For each of t tables: `addresses`; `rows`, of the dtype of swisstable, zeros where `readable` is false; `first`, the
    first directory entry that leads to it, and `entries`, how many do. `of_entry` (dirLen,) says which table each
    directory entry leads to.
    """

    directory: Addresses
    addresses: Addresses
    rows: NDArray[np.void]
    readable: Mask
    first: NDArray[np.int64]
    entries: NDArray[np.int64]
    of_entry: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.addresses)

    @staticmethod
    def none() -> Tables:
        """No table at all."""
        numbers, addresses = np.empty(0, np.int64), np.empty(0, np.uint64)
        rows = np.empty(0, dtype_of(swisstable))
        return Tables(addresses, addresses, rows, np.empty(0, bool), numbers, numbers, numbers)

    def same(self, other: Tables) -> bool:
        """Whether another directory leads to the same tables, and their words are the same."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("directory", "addresses", "rows", "readable"))
        return all(np.array_equal(one, another) for one, another in pairs)

    def groups_wanted(self, regions: RegionMap, layout: SwissLayout) -> NDArray[np.int64]:
        """(t,) how many groups of each table can be read; 0 where its numbers or its pointer make that impossible.

        lengthMask and capacity say the same. Where they differ the smaller one that is possible counts (rule T1
        reports the other).
        """
        by_mask = self.rows["lengthMask"] + np.uint64(1)
        by_capacity = self.rows["capacity"].astype(np.uint64) // np.uint64(GROUP_SLOTS)
        wanted = np.minimum(_possible(by_mask), _possible(by_capacity))
        wanted = np.where(wanted == NONE, 0, wanted)
        starts = self.rows["groups"]
        sound = self.readable & (starts % np.uint64(POINTER_SIZE) == 0)
        sound &= regions.contains(starts, wanted * np.uint64(layout.group_size))
        return np.where(sound, wanted, 0).astype(np.int64)


NONE = np.uint64(1 << 63)


def _possible(groups: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers of groups that a table can have, NONE in place of others."""
    sound = (groups > 0) & (groups <= MOST_GROUPS) & (groups & (groups - np.uint64(1)) == 0)
    return np.where(sound, groups, NONE)


def read_tables(memory: Memory, regions: RegionMap, start: int, length: int) -> Tables:
    """Read the directory of `length` entries at `start`, and each table that it leads to once.

    Raises UnreadableMemory where the directory is not mapped as a whole, or cannot be one.
    """
    size = length * POINTER_SIZE
    if not 0 < length <= 1 << LARGEST_DEPTH:
        raise UnreadableMemory(start, 0, f"a directory of {length} entries is impossible")
    if start % POINTER_SIZE:
        raise UnreadableMemory(start, size, f"it is not aligned to {POINTER_SIZE} bytes")
    if not regions.covers(start, size):
        raise UnreadableMemory(start, size, "it is not mapped as a whole")
    require_memory(WORK_ON_DIRECTORY * size, "work on a directory")
    directory = np.frombuffer(memory.read(start, size), np.uint64).copy()
    different, first, inverse, counts = np.unique(directory, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    addresses = different[order]
    aligned = addresses % np.uint64(POINTER_SIZE) == 0
    raw, ok = gather(memory, regions, np.where(aligned, addresses, 0), swisstable.sizeof())
    rows = raw.view(dtype_of(swisstable))[:, 0]
    return Tables(directory, addresses, rows, ok, first[order], counts[order], rank[inverse.reshape(-1)])
