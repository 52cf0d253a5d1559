"""What the tombstones of tables are good for: which of them new keys take, which of them the runtime would free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.maps.family import Mask
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView

Numbers = NDArray[np.int64]


def reuse_of_tables(view: MapView) -> NDArray[np.float64]:
    """(t,) the chance that a new key of a table takes a tombstone: the share of home groups whose path has one."""
    taking = np.zeros(len(view.tables), np.int64)
    marked = (view.deleted_of_tables > 0) & view.counted
    if marked.any():
        for window in view.groups.windows():
            table = view.groups.table[window]
            start = np.flatnonzero(marked[table]) + window.start
            taking += np.bincount(view.groups.table[start], _takes(view, start), minlength=len(taking)).astype(np.int64)
    return np.asarray(taking / np.maximum(view.groups_of_tables, 1))


def _takes(view: MapView, start: Numbers) -> Mask:
    """(k,) whether a new key whose path begins at a group takes a tombstone; the groups' rows are given."""
    groups = view.groups
    table = groups.table[start]
    first, mask = view.first_row[table], view.groups_of_tables[table] - 1
    here, left, step = start - first, np.arange(len(start)), 1
    takes = np.zeros(len(start), dtype=bool)
    while len(left):
        row = first[left] + here[left]
        takes[left] |= groups.deleted_count[row] > 0
        left = left[(groups.empty_count[row] == 0) & (groups.deleted_count[row] == 0) & (step <= mask[left])]
        here[left] = (here[left] + step) & mask[left]
        step += 1
    return takes


def removable_of_tables(proof: Proof) -> Numbers:
    """(t,) tombstones that table.pruneTombstones would free if it were called now, 0 where nothing calls it.

    The tombstones of a group go all or none, and stay where the path of a key that equals itself crosses them. The
    keys' hashes must be known: 0 where they are not.
    """
    view, groups = proof.view, proof.view.groups
    if proof.functions is None or not view.prunable.any():
        return np.zeros(len(view.tables), np.int64)
    free = (groups.empty_count == 0) & view.prunable[groups.table]
    free[proof.paths.needed] = False
    return view.sum_of_tables(free * groups.deleted_count)
