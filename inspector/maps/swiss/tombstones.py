"""What the tombstones of tables are good for: which of them new keys take, which of them the runtime would free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.maps.family import Mask
from inspector.maps.swiss.assign import assign_function, prunes
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.mirror.growth import PRUNED_SHARE

Numbers = NDArray[np.int64]


def reuse_of_tables(view: MapView) -> NDArray[np.float64]:
    """(t,) the chance that a new key of a table takes a tombstone: the share of home groups whose path has one."""
    count = len(view.tables)
    shares = np.zeros(count)
    groups = view.groups
    marked = (view.deleted_of_tables > 0) & view.counted
    start = np.flatnonzero(marked[groups.table]) if count else np.zeros(0, np.int64)
    has_deleted: Mask = np.asarray(groups.deleted.any(axis=1))
    has_empty: Mask = np.asarray(groups.empty.any(axis=1))
    table = groups.table[start]
    first, mask, here = view.first_row[table], view.groups_of_tables[table] - 1, groups.number[start]
    left, step = np.arange(len(start)), 1
    takes = np.zeros(len(start), dtype=bool)
    while len(left):
        row = first[left] + here[left]
        takes[left] |= has_deleted[row]
        left = left[~has_empty[row] & ~has_deleted[row] & (step <= mask[left])]
        here[left] = (here[left] + step) & mask[left]
        step += 1
    if len(start):
        shares += np.bincount(table, weights=takes, minlength=count) / np.maximum(view.groups_of_tables, 1)
    return shares


def removable_of_tables(proof: Proof) -> Numbers:
    """(t,) tombstones that table.pruneTombstones would free if it were called now, 0 where nothing calls it.

    The tombstones of a group go all or none, and stay where the path of a key that equals itself crosses them. The
    keys' hashes must be known: 0 where they are not.
    """
    view, snapshot = proof.view, proof.snapshot
    removable = np.zeros(len(view.tables), np.int64)
    function = assign_function(snapshot.types, snapshot.type)
    if proof.functions is None or not prunes(function, snapshot.release):
        return removable
    slots = view.groups_of_tables * GROUP_SLOTS
    enough = view.counted & (view.deleted_of_tables * PRUNED_SHARE >= slots) & (slots > 0)
    if not enough.any():
        return removable
    groups = view.groups
    free = ~groups.empty.any(axis=1) & ~_needed(proof, enough) & enough[groups.table]
    counts = np.bincount(groups.table, weights=free * groups.deleted.sum(axis=1), minlength=len(removable))
    return counts.astype(np.int64)


def _needed(proof: Proof, chosen: Mask) -> Mask:
    """(g,) groups that the path of a key crosses, in the chosen tables."""
    view, paths = proof.view, proof.paths
    needed = np.zeros(len(view.groups), dtype=bool)
    rows = view.groups.live[0][paths.at]
    table = view.groups.table[rows]
    left = np.flatnonzero(chosen[table] & (paths.homes != rows))
    first, mask = view.first_row[table], view.groups_of_tables[table] - 1
    here, step = paths.homes - first, 1
    while len(left):
        needed[first[left] + here[left]] = True
        here[left] = (here[left] + step) & mask[left]
        left = left[(first[left] + here[left] != rows[left]) & (step <= mask[left])]
        step += 1
    return needed
