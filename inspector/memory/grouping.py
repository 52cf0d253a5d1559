"""Many ranges through a source that has only single reads, each of which is dear: near ones are read as one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inspector.errors import UnreadableMemory
from inspector.memory.protocol import Addresses, Rows

NEAR = 1 << 12
"""Ranges closer than this many bytes are read as one."""


def read_grouped(read: Callable[[int, int], memoryview], addresses: Addresses, size: int) -> Rows:
    """Return rows of shape (len(addresses), size); raises what `read` raises, UnreadableMemory above all."""
    rows = np.empty((len(addresses), size), dtype=np.uint8)
    order = np.argsort(addresses, kind="stable")
    starts = addresses[order]
    breaks = np.flatnonzero(np.diff(starts) > np.uint64(size + NEAR)) + 1
    for group in np.split(order, breaks):
        if not len(group) or not size:
            continue
        low, high = int(addresses[group[0]]), int(addresses[group[-1]]) + size
        try:
            block = read(low, high - low)
        except UnreadableMemory:
            # A gap between two ranges may be unmapped: only each range itself counts.
            for index in group:
                rows[index] = np.frombuffer(read(int(addresses[index]), size), np.uint8)
            continue
        data = np.frombuffer(block, np.uint8)
        offsets = (addresses[group] - np.uint64(low)).astype(np.int64)
        rows[group] = data[offsets[:, None] + np.arange(size)]
    return rows
