"""A snapshot with what all rules ask of it, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.header import SwissMap
from inspector.maps.swiss.places import Where
from inspector.maps.swiss.tables import Tables

if TYPE_CHECKING:
    # A snapshot knows how it is judged, so it imports this module.
    from inspector.maps.swiss.snapshot import SwissSnapshot


@dataclass(frozen=True)
class MapView:
    """The observed state of one map. Recounts are of the control bytes, not of what header and tables say."""

    snapshot: SwissSnapshot

    @property
    def header(self) -> SwissMap:
        """The Map."""
        return self.snapshot.header

    @property
    def tables(self) -> Tables:
        """The tables, none in a small map."""
        return self.snapshot.tables

    @property
    def groups(self) -> Groups:
        """All groups that could be read."""
        return self.snapshot.groups

    @property
    def whole(self) -> bool:
        """Whether all that the header leads to could be read."""
        return not self.snapshot.unusable

    def _of_tables(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(t,) how many slots of each table a mask of shape (g, 8) has."""
        if not len(self.tables):
            return np.zeros(0, np.int64)
        counts = np.bincount(self.groups.table, weights=mask.sum(axis=1), minlength=len(self.tables))
        return counts.astype(np.int64)

    @cached_property
    def full_of_tables(self) -> NDArray[np.int64]:
        """(t,) slots of each table that hold an entry."""
        return self._of_tables(self.groups.full)

    @cached_property
    def deleted_of_tables(self) -> NDArray[np.int64]:
        """(t,) tombstones of each table."""
        return self._of_tables(self.groups.deleted)

    @cached_property
    def groups_of_tables(self) -> NDArray[np.int64]:
        """(t,) groups of each table that were read."""
        if not len(self.tables):
            return np.zeros(0, np.int64)
        return np.bincount(self.groups.table, minlength=len(self.tables))

    @cached_property
    def live_count(self) -> int:
        """Slots that hold an entry."""
        return int(np.count_nonzero(self.groups.full))

    def where(self, row: int, slot: int | None = None) -> Where:
        """The place of a group, or of a slot in it."""
        table = int(self.groups.table[row])
        return Where(
            table=table if table >= 0 else None,
            group=int(self.groups.number[row]),
            slot=slot,
            address=int(self.groups.addresses[row]),
        )
