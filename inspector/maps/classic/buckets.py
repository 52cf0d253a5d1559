"""A bucket array with its overflow chains, as numpy arrays over copied bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.slots import Numbers, count_of
from inspector.maps.windows import WINDOW, joined, windows
from inspector.memory.protocol import Addresses
from inspector.memory.sets import is_among

Rows = NDArray[np.int32 | np.int64]
"""Numbers of rows, as small as there are few of them."""
Depths = NDArray[np.uint8 | np.int32 | np.int64]
"""Places in chains, as small as there are only short ones."""

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
    overflow buckets allocated on their own, whose addresses are `apart`. For each row: `home`, the number of the bucket
    whose chain it is in (-1 for a preallocated one not in use); `depth`, its place in that chain (0 is the
    array's own bucket); `next`, the row its overflow pointer leads to, or NO_NEXT, UNREADABLE_NEXT,
    SHARED_NEXT. `cells` is the structured array derived from the bmap schema.
    """

    address: int
    size: int
    tail: int
    cells: NDArray[np.void]
    apart: Addresses
    home: Rows
    depth: Depths
    next: Rows

    def addresses_of(self, rows: NDArray[np.integer[Any]]) -> Addresses:
        """(k,) where some rows lie."""
        numbers, together = rows.astype(np.int64), self.size + self.tail
        addresses = np.uint64(self.address) + numbers.view(np.uint64) * np.uint64(self.cells.dtype.itemsize)
        alone = numbers >= together
        if alone.any():
            addresses[alone] = self.apart[numbers[alone] - together]
        return np.asarray(addresses)

    @property
    def addresses(self) -> Addresses:
        """Where all rows lie."""
        return self.addresses_of(np.arange(len(self.cells)))

    @cached_property
    def tophash(self) -> NDArray[np.uint8]:
        """Tophash bytes, shape (rows, 8): side by side, as every rule looks at them and they lie far apart."""
        # Copied as words: numpy copies eight bytes one by one. In windows, as the cells may be a file's.
        words = self.cells.view(np.uint64).reshape(len(self.cells), -1)
        copied = np.empty(len(words), np.uint64)
        for part in windows(len(words)):
            copied[part] = words[part, 0]
        return copied.view(np.uint8).reshape(-1, BUCKET_CELLS)

    def tophash_of(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Tophash bytes of k rows, shape (k, 8)."""
        return np.asarray(self.tophash.view(np.uint64)[:, 0][rows].view(np.uint8).reshape(-1, BUCKET_CELLS))

    @property
    def overflow(self) -> Addresses:
        """Overflow pointers, one a row."""
        return np.asarray(self.cells["overflow"])

    def same_keys(self, other: BucketArray) -> bool:
        """Whether another array has the same buckets in the same places, with the same tophashes and keys."""
        parts = ("tophash", "keys", "overflow")
        return (
            (self.address, self.size, self.tail) == (other.address, other.size, other.tail)
            and np.array_equal(self.addresses, other.addresses)
            and all(np.array_equal(self.cells[part], other.cells[part]) for part in parts)
        )

    def in_use(self, part: slice | Numbers = slice(None)) -> NDArray[np.bool_]:
        """Which of some rows are in a chain. It is not kept."""
        return np.asarray(self.home[part] >= 0)

    @cached_property
    def broken(self) -> NDArray[np.int64]:
        """Rows whose overflow pointer could not be followed."""
        return np.flatnonzero(self.next <= UNREADABLE_NEXT)

    @cached_property
    def doubtful(self) -> NDArray[np.bool_]:
        """For each bucket whether its chain is cut, or holds a bucket that another chain claims too."""
        if not len(self.broken):
            # One value for all of them takes no memory.
            return np.broadcast_to(np.bool_(False), self.size)
        doubtful = np.zeros(self.size, dtype=bool)
        claimed = is_among(self.addresses, self.overflow[self.next == SHARED_NEXT])
        doubtful[self.home[self.broken]] = True
        doubtful[self.home[claimed & self.in_use()]] = True
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
    def overflow_rows(self) -> Numbers:
        """Rows that are overflow buckets in use, in chain order."""
        rows = self.size + np.flatnonzero(self.in_use(slice(self.size, None)))
        return rows[np.lexsort((self.depth[rows], self.home[rows]))]

    @cached_property
    def _overflow_homes(self) -> Rows:
        return self.home[self.overflow_rows]

    def chains(self, buckets: slice) -> Numbers:
        """Rows of some of the array's buckets with their overflow buckets, in the order of bucket and of chain."""
        first, last = np.searchsorted(self._overflow_homes, (buckets.start, buckets.stop)).tolist()
        # Each lies behind the bucket that it is in the chain of, and those before it.
        at = self._overflow_homes[first:last].astype(np.int64) - buckets.start + 1 + np.arange(last - first)
        rows = np.arange(buckets.start, buckets.stop + last - first)
        ends = np.concatenate(([0], at, [len(rows)]))
        rows -= np.repeat(np.arange(last - first + 1), np.diff(ends))
        rows[at] = self.overflow_rows[first:last]
        return rows

    def windows(self, length: int = WINDOW) -> Iterator[Numbers]:
        """All rows in use, in the order of `chains`, window by window: no chain is in two of them.

        `length` is how many buckets a window has.
        """
        return (self.chains(window) for window in windows(self.size, length=length))

    @property
    def order(self) -> Numbers:
        """All rows in use, in that order."""
        return joined(self.windows())

    def long_chains(self) -> tuple[Numbers, Numbers]:
        """The buckets that have overflow buckets, and how many buckets are in the chain of each, itself included."""
        buckets, counts = np.unique(self._overflow_homes.astype(np.int64), return_counts=True)
        return buckets, counts + 1

    def live(self, min_tophash: int, part: slice = slice(None)) -> NDArray[np.bool_]:
        """Cells that hold an entry by their tophash, shape (rows, 8); false in rows out of use. It is not kept.

        `part` are the rows that are asked for.
        """
        live = self.tophash[part] >= min_tophash
        live[~self.in_use(part)] = False
        return live

    def count_live(self, min_tophash: int) -> int:
        """How many cells hold an entry."""
        rows = windows(len(self.cells))
        return sum(int(count_of(self.tophash[part] >= min_tophash)[self.in_use(part)].sum()) for part in rows)

    def slots(self, part: str) -> NDArray[np.uint8]:
        """The bytes of "keys" or "elems", shape (rows, 8, slot size)."""
        return np.asarray(self.cells[part])

    def where(self, row: int) -> dict[str, Any]:
        """Bucket number, place in the chain and address of a row."""
        return {
            "bucket": int(self.home[row]) if self.home[row] >= 0 else None,
            "overflow": int(self.depth[row]),
            "address": int(self.addresses_of(np.array([row]))[0]),
        }
