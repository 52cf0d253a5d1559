"""A bucket array with its overflow chains, as numpy arrays over copied bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.memory.protocol import Addresses

NO_NEXT = -1
"""The chain ends here."""
UNREADABLE_NEXT = -2
"""The overflow pointer leads where no bucket can be read."""
SHARED_NEXT = -3
"""The overflow pointer leads to a bucket that another chain, or this one, already holds."""


@dataclass(frozen=True)
class BucketArray:
    """All buckets that belong to one array: the array, its preallocated tail, and overflow buckets apart.

    Rows are buckets: the first `size` are the array's own, then `tail` preallocated overflow buckets, then
    overflow buckets allocated on their own. For each row: `addresses`; `home`, the number of the bucket
    whose chain it is in (-1 for a preallocated one not in use); `depth`, its place in that chain (0 is the
    array's own bucket); `next`, the row its overflow pointer leads to, or NO_NEXT, UNREADABLE_NEXT,
    SHARED_NEXT. `cells` is the structured array derived from the bmap schema.
    """

    address: int
    size: int
    tail: int
    cells: NDArray[np.void]
    addresses: Addresses
    home: NDArray[np.int64]
    depth: NDArray[np.int64]
    next: NDArray[np.int64]

    @property
    def tophash(self) -> NDArray[np.uint8]:
        """Tophash bytes, shape (rows, 8)."""
        return np.asarray(self.cells["tophash"])

    @property
    def overflow(self) -> Addresses:
        """Overflow pointers, one a row."""
        return np.asarray(self.cells["overflow"])

    @cached_property
    def in_use(self) -> NDArray[np.bool_]:
        """Rows that are in a chain."""
        return self.home >= 0

    @cached_property
    def broken(self) -> NDArray[np.int64]:
        """Rows whose overflow pointer could not be followed."""
        return np.flatnonzero(self.next <= UNREADABLE_NEXT)

    @cached_property
    def doubtful(self) -> NDArray[np.bool_]:
        """For each bucket whether its chain is cut, or holds a bucket that another chain claims too."""
        claimed = np.isin(self.addresses, self.overflow[self.next == SHARED_NEXT])
        doubtful = np.zeros(self.size, dtype=bool)
        doubtful[self.home[self.broken]] = True
        doubtful[self.home[claimed & self.in_use]] = True
        return doubtful

    @cached_property
    def tail_in_use(self) -> bool:
        """Whether chains lead to every preallocated overflow bucket, in the order that newoverflow gives them out."""
        tail = np.arange(self.size, self.size + self.tail)
        if not self.tail or (self.home[tail] < 0).any():
            return False
        # What a chain took later lies behind what it took before.
        inside = tail[(self.next[tail] >= 0) & (self.next[tail] < self.size + self.tail)]
        return bool((self.next[inside] > inside).all())

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Rows in use, in the order of their bucket and then of their place in the chain."""
        used = np.flatnonzero(self.in_use)
        return used[np.lexsort((self.depth[used], self.home[used]))]

    @cached_property
    def overflow_rows(self) -> NDArray[np.int64]:
        """Rows that are overflow buckets in use, in chain order."""
        return self.order[self.depth[self.order] > 0]

    @cached_property
    def chain_lengths(self) -> NDArray[np.int64]:
        """Buckets in the chain of each of the array's buckets, itself included; shape (size,)."""
        return np.bincount(self.home[self.in_use], minlength=self.size)

    def live(self, min_tophash: int) -> NDArray[np.bool_]:
        """Cells that hold an entry by their tophash, shape (rows, 8); false in rows out of use."""
        live: NDArray[np.bool_] = (self.tophash >= min_tophash) & self.in_use[:, None]
        return live

    def slots(self, part: str) -> NDArray[np.uint8]:
        """The bytes of "keys" or "elems", shape (rows, 8, slot size)."""
        return np.asarray(self.cells[part])

    def where(self, row: int) -> dict[str, Any]:
        """Bucket number, place in the chain and address of a row."""
        return {
            "bucket": int(self.home[row]) if self.home[row] >= 0 else None,
            "overflow": int(self.depth[row]),
            "address": int(self.addresses[row]),
        }
