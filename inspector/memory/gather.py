"""Reading many places at once from memory that may be hostile: what cannot be read is told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.memory.protocol import Addresses, Memory, RegionMap, Rows

RETRIES = 16


def gather(memory: Memory, regions: RegionMap, addresses: Addresses, size: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Read `size` bytes at each address; returns (rows, ok), rows that are not ok hold zeros.

    Addresses outside the known regions are never tried. A region that faults all the same (unmapped
    since, or poisoned) costs a retry; after a few of them each address is tried on its own.
    """
    rows = np.zeros((len(addresses), size), dtype=np.uint8)
    ok = regions.contains(addresses, size)
    for _ in range(RETRIES):
        wanted = np.flatnonzero(ok)
        if not len(wanted):
            return rows, ok
        try:
            rows[wanted] = memory.read_many(addresses[wanted], size)
        except UnreadableMemory as error:
            ok &= addresses != np.uint64(error.address)
        else:
            return rows, ok
    for index in np.flatnonzero(ok):
        try:
            rows[index] = np.frombuffer(memory.read(int(addresses[index]), size), dtype=np.uint8)
        except UnreadableMemory:
            ok[index] = False
    return rows, ok
