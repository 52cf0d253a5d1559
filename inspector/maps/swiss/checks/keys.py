"""Rules K4 and K5: keys, whatever they hash to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.gotypes.dangling import Dangling
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.proof import Proof

WORD = 8


def k4_no_key_occurs_twice(proof: Proof) -> Iterator[Finding]:
    """No two slots of the whole map hold equal keys (keys that do not equal themselves excepted)."""
    view, snapshot = proof.view, proof.snapshot
    if view.tables_exchanged:
        # Until a table is replaced its entries are in the new ones, too.
        return
    there = view.all_full[view.groups.full]
    for part in view.apart_wrong:
        there &= ~part.wrong[view.groups.full]
    at = np.flatnonzero(there)
    if proof.functions is not None and not proof.seed_wrong:
        # A key that does not hash to its place is not what was stored there.
        lost = proof.paths.at[proof.paths.crossed >= 0]
        at = at[~(proof.h2_wrong | proof.table_wrong)[at] & ~np.isin(at, lost)]
        # Keys whose hash is not known may be equal all the same.
        at = at[(proof.alike | ~proof.hashed.known)[at]]
    rows, slots = view.groups.live
    keys = view.groups.keys[rows[at], slots[at]]
    go_type, indirect = snapshot.types.key(snapshot.type), snapshot.layout.indirect_key
    ids = identify(snapshot.types, snapshot.memory, go_type, keys, indirect)
    known, counts = np.unique(ids[ids != UNEQUAL], return_counts=True)
    repeated = known[counts > 1]
    for twice in repeated.tolist():
        some = at[ids == twice].tolist()
        yield Finding(
            rule="K4",
            message=f"a key occurs {len(some)} times",
            observed=f"again in {proof.where(some[1]).words()}",
            expected="each key once",
            source="maps.table.PutSlot, maps.Map.putSlotSmall",
            where=proof.where(some[0]),
            # A deleted string is an empty one until its slot is marked.
            in_flight=proof.half_deleted(some[0]) if len(repeated) == 1 and len(some) == 2 else (),
        )


def k5_keys_lead_to_readable_memory(proof: Proof) -> Iterator[Finding]:
    """Strings and interfaces in keys lead to readable memory, as the keys were hashed when they were stored."""
    view, snapshot = proof.view, proof.snapshot
    key = snapshot.types.key(snapshot.type)
    if not key.has_pointers:
        return
    at = np.flatnonzero(view.all_full[view.groups.full])
    rows, slots = view.groups.live
    keys = view.groups.keys[rows[at], slots[at]]
    if snapshot.layout.indirect_key:
        keys, held = snapshot.memory.held(np.ascontiguousarray(keys).view(np.uint64).reshape(-1), key.size)
        at = at[held]
    bad = np.flatnonzero(Dangling(snapshot.types, snapshot.memory, snapshot.regions).of(key, keys))
    for number in bad.tolist():
        yield Finding(
            rule="K5",
            message="a key leads to memory or to a type that is not there",
            observed=f"key bytes {keys[number].tobytes().hex(' ', WORD)}",
            expected="strings and interfaces that can be read",
            source="maps.table.PutSlot, maps.Map.putSlotSmall",
            where=proof.where(int(at[number])),
            # What is not in a core may merely not have been dumped.
            severity="error" if snapshot.regions.complete else "warning",
            unreadable=True,
            in_flight=proof.half_deleted(int(at[number])) if len(bad) == 1 else (),
        )
