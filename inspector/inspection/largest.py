"""The largest entries of one map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.gotypes.weighing import Sizes, Weigher
from inspector.inspection.one_map import Inspection
from inspector.maps.family import Entry
from inspector.settings import By


@dataclass(frozen=True)
class Weighed:
    """One entry, and the bytes of its key and its element (gotypes/weighing.py says what counts)."""

    entry: Entry
    key_bytes: int
    value_bytes: int

    @property
    def bytes(self) -> int:
        """Both together."""
        return self.key_bytes + self.value_bytes


@dataclass(frozen=True)
class Largest:
    """The largest entries of a map, the largest first; `key_bytes` and `value_bytes` are those of all its entries.

    `missed` counts pointers whose targets were not copied: what they lead to is not in the sizes.
    """

    inspection: Inspection
    by: By
    entries: tuple[Weighed, ...]
    key_bytes: int
    value_bytes: int
    missed: int


def largest_entries(inspection: Inspection, count: int, by: By) -> Largest:
    """Find the largest `count` entries of a map, which has to be inspected with all of its entries.

    Of entries of one size those that come first in the map come first.
    """
    snapshot = inspection.snapshot
    if snapshot is None:
        return Largest(inspection, by, (), 0, 0, 0)
    weigher = Weigher(snapshot.types, snapshot.memory, snapshot.regions)
    keys, values = (weigher.weigh(part.type, part.rows) for part in snapshot.values())
    sizes = {"size": keys + values, "key-size": keys, "value-size": values}[by]
    chosen = _largest(sizes, count)
    entries = {
        number: Weighed(entry, int(keys[number]), int(values[number]))
        for number, entry in zip(sorted(chosen), snapshot.entries(np.array(sorted(chosen), np.int64)), strict=True)
    }
    return Largest(
        inspection,
        by,
        tuple(entries[number] for number in chosen),
        int(keys.sum()),
        int(values.sum()),
        weigher.missed,
    )


def _largest(sizes: Sizes, count: int) -> list[int]:
    """The numbers of the largest, in order."""
    order: list[int] = np.argsort(-sizes.astype(np.int64), kind="stable")[:count].tolist()
    return order
