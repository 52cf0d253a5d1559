"""The live cells of one map as arrays: what is decoded in columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.maps.slots import Numbers, pick
from inspector.memory.protocol import Addresses, Rows

PlacePart: TypeAlias = str | Numbers | Sequence[str] | Sequence[list[int]] | None
"""A part of k places: the same word or nothing for all of them, or something for each."""


class Places(Protocol):
    """Where k entries lie, in columns."""

    @property
    def addresses(self) -> Addresses:
        """(k,) see Place.address."""
        ...

    def form(self) -> dict[str, PlacePart]:
        """See Place.form: each of its members for all entries."""
        ...

    def columns(self) -> dict[str, list[str]]:
        """See Place.columns: each of its cells for all entries."""
        ...


@dataclass(frozen=True)
class LiveRows:
    """Live cells that lie in the same arrays of slots: k entries in the order of Snapshot.entries.

    `keys` and `elems` are the bytes of all slots, (buckets or groups, cells, slot size) uint8; entry i is in row
    `rows[i]` and cell `cells[i]` of both. `where` gives the places of entries by their rows and cells.
    """

    keys: NDArray[np.uint8]
    elems: NDArray[np.uint8]
    rows: Numbers
    cells: Numbers
    where: Callable[[Numbers, Numbers], Places]

    def __len__(self) -> int:
        return len(self.rows)

    def key_slots(self, window: slice) -> Rows:
        """(n, key slot) the keys' slots of some of the entries."""
        return pick(self.keys, self.rows[window], self.cells[window])

    def elem_slots(self, window: slice) -> Rows:
        """(n, element slot) the elements' slots of some of the entries."""
        return pick(self.elems, self.rows[window], self.cells[window])

    def places(self, window: slice) -> Places:
        """Where some of the entries lie."""
        return self.where(self.rows[window], self.cells[window])
