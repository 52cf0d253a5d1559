"""The blocks of the directory: which entries each table says are its own, and which lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.maps.family import Mask
from inspector.maps.swiss.tables import Tables
from inspector.memory.sets import distinct

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """A table fills 2^(globalDepth - localDepth) entries, and its index is the first of them (Map.replaceTable)."""

    tables: Tables
    global_depth: int
    genuine: Mask

    @cached_property
    def depth(self) -> Numbers:
        """(t,) local depths."""
        return self.tables.rows["localDepth"].astype(np.int64)

    @cached_property
    def length(self) -> Numbers:
        """(t,) entries that each table fills by its depth, 0 where that is impossible."""
        spare = self.global_depth - self.depth
        return np.where(spare >= 0, 1 << np.clip(spare, 0, 62), 0)

    @cached_property
    def last(self) -> Numbers:
        """(t,) the last entry that leads to each table."""
        last = np.zeros(len(self.tables), np.int64)
        last[self.tables.of_entry] = np.arange(len(self.tables.of_entry))
        return last

    @cached_property
    def shaped(self) -> Mask:
        """(t,) whether the entries that lead to a table are one aligned block of the right length."""
        first, entries = self.tables.first, self.tables.entries
        consecutive = self.last - first + 1 == entries
        return np.asarray(consecutive & (entries == self.length) & (first % np.maximum(self.length, 1) == 0))

    @cached_property
    def whole(self) -> Mask:
        """(t,) whether a table lost no entries but those that lead to another one that is at fault itself.

        One entry that was changed breaks two blocks: the one that it was in, and the one of the table it leads to.
        """
        tables = self.tables
        index, length = tables.rows["index"].astype(np.int64), self.length
        kept = np.flatnonzero(~self.shaped & self.genuine & (length > 0) & (index >= 0))
        thief = ~self.genuine | ~self.shaped
        lost = np.zeros(len(tables), dtype=bool)
        for table in kept.tolist():
            start, end = int(index[table]), int(index[table] + length[table])
            if start % length[table] or tables.first[table] < start or self.last[table] >= end:
                continue
            holders = distinct(tables.of_entry[start:end])
            others = holders[holders != table]
            lost[table] = len(others) > 0 and bool(thief[others].all()) and not self._inside(others, start, end)
        return lost

    def _inside(self, tables: Numbers, start: int, end: int) -> bool:
        """Whether one of them says itself that it belongs into the block: then it is about to take it over."""
        index = self.tables.rows["index"][tables]
        return bool(((index >= start) & (index < end) & self.genuine[tables]).any())

    @cached_property
    def faults(self) -> Numbers:
        """Tables that the directory does not lead to as it should, or that are none."""
        return np.flatnonzero(~self.genuine | (~self.shaped & ~self.whole))

    @cached_property
    def misplaced(self) -> Numbers:
        """Tables whose block is sound, and whose index is not its first entry."""
        return np.flatnonzero(self.genuine & self.shaped & (self.tables.rows["index"] != self.tables.first))

    def replaced(self, old: int) -> tuple[int, ...]:
        """The new tables in the block of an old one, which entries at the block's end still lead to; () for none."""
        tables, length = self.tables, int(self.length[old])
        index = int(tables.rows["index"][old])
        if index < 0 or not length or index % length or self.last[old] != index + length - 1:
            return ()
        if tables.entries[old] != index + length - tables.first[old] or tables.first[old] <= index:
            return ()
        found = distinct(tables.of_entry[index : tables.first[old]])
        return tuple(found[np.argsort(tables.first[found])].tolist())
