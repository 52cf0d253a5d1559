"""The entries of a sync.Map, wherever they were kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.scalars import interface_header
from inspector.goruntime.syncmap import CHILDREN, CHILDREN_BITS
from inspector.maps.family import Snapshot
from inspector.maps.findings import Finding
from inspector.maps.syncmap.places import PARTS, Where
from inspector.memory.protocol import Addresses, Rows

ANY_SIZE = interface_header.sizeof()


@dataclass(frozen=True)
class Contents:
    """What was found in a sync.Map: k entries, and what holds them.

    `keys` and `values` (k, 16) are interfaces, `key_places` and `value_places` (k,) where they lie; `addresses` (k,)
    are those of the entries. `part` (k,) counts PARTS. In a trie `prefix` (k,) are the hash bits that the path of each
    entry stands for, `depth` (k,) how many children were chosen on it, `chained` (k,) its place in a list of equal
    hashes.
    `nodes` counts inner nodes, `deleted` entries without a value that two maps still hold, `sizes` bytes by part.
    `maps` are the two maps themselves, by their part; `findings` is what is wrong with all that leads to the entries.
    """

    addresses: Addresses
    key_places: Addresses
    value_places: Addresses
    keys: Rows
    values: Rows
    part: NDArray[np.uint8]
    prefix: NDArray[np.uint64]
    depth: NDArray[np.int64]
    chained: NDArray[np.int64]
    nodes: int
    deleted: int
    sizes: dict[str, int]
    maps: tuple[tuple[str, Snapshot], ...] = ()
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.addresses)

    def same_keys(self, other: Contents) -> bool:
        """Whether others hold the same keys in the same places, and the same is wrong with what leads to them."""
        pairs = (
            (getattr(self, name), getattr(other, name)) for name in ("addresses", "keys", "part", "prefix", "depth")
        )
        return (
            all(np.array_equal(one, another) for one, another in pairs)
            and (self.nodes, self.deleted, self.findings) == (other.nodes, other.deleted, other.findings)
            and [part for part, _ in self.maps] == [part for part, _ in other.maps]
            and all(mine.shows_the_same(its) for (_, mine), (_, its) in zip(self.maps, other.maps, strict=True))
        )

    def where(self, at: int) -> Where:
        """The place of an entry."""
        part = PARTS[self.part[at]]
        path = path_of(int(self.prefix[at]), int(self.depth[at]))
        return Where(part, path, int(self.chained[at]), int(self.addresses[at]))


def path_of(prefix: int, depth: int) -> tuple[int, ...]:
    """The numbers of the children that hash bits choose, from the root on."""
    return tuple(prefix >> CHILDREN_BITS * (depth - 1 - step) & (CHILDREN - 1) for step in range(depth))


def no_contents(sizes: dict[str, int]) -> Contents:
    """The contents of a sync.Map that was never used, or could not be read."""
    none, no_rows = np.empty(0, np.uint64), np.empty((0, ANY_SIZE), np.uint8)
    numbers = np.empty(0, np.int64)
    return Contents(none, none, none, no_rows, no_rows, np.empty(0, np.uint8), none, numbers, numbers, 0, 0, sizes)
