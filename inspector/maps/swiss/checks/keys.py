"""Rules K4 and K5: keys, whatever they hash to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.gotypes.dangling import Dangling
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.gotypes.redaction import bytes_of_memory
from inspector.maps.findings import Finding
from inspector.maps.hashed import HashedKeys
from inspector.maps.slots import Numbers, pick, places
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.windows import joined
from inspector.memory.protocol import Rows

WORD = 8


def k4_no_key_occurs_twice(proof: Proof) -> Iterator[Finding]:
    """No two slots of the whole map hold equal keys (keys that do not equal themselves excepted)."""
    view, snapshot = proof.view, proof.snapshot
    if view.tables_exchanged:
        # Until a table is replaced its entries are in the new ones, too.
        return
    rows, slots = _to_compare(proof)
    if not len(rows):
        return
    keys = pick(view.groups.keys, rows, slots)
    go_type, indirect = snapshot.types.key(snapshot.type), snapshot.layout.indirect_key
    ids = identify(snapshot.types, snapshot.memory, go_type, keys, indirect)
    known, counts = np.unique(ids[ids != UNEQUAL], return_counts=True)
    repeated = known[counts > 1]
    for twice in repeated.tolist():
        some = np.flatnonzero(ids == twice)
        first, second = ((int(rows[at]), int(slots[at])) for at in some[:2])
        yield Finding(
            rule="K4",
            message=f"a key occurs {len(some)} times",
            observed=f"again in {view.where(*second).words()}",
            expected="each key once",
            source="maps.table.PutSlot, maps.Map.putSlotSmall",
            where=view.where(*first),
            # A deleted string is an empty one until its slot is marked.
            in_flight=proof.half_deleted(*first) if len(repeated) == 1 and len(some) == 2 else (),
        )


def _to_compare(proof: Proof) -> tuple[Numbers, Numbers]:
    """Rows and slots of keys that may equal others: all of them, or those that are hashed alike or not known to be."""
    if proof.functions is None or proof.seed_wrong:
        there = proof.view.all_full
        for part in proof.view.apart_wrong:
            there.reshape(-1)[part.wrong] = False
        return places(there)
    shown = proof.shown
    # A key that does not hash to its place is not what was stored there.
    right = ~(shown.alike.among(shown.misplaced) | shown.alike.among(shown.paths.crossed))
    # Keys whose hash is not known may be equal all the same.
    keys = HashedKeys.joined([shown.alike.of(right), shown.unknown])
    return keys.rows, keys.columns


def k5_keys_lead_to_readable_memory(proof: Proof) -> Iterator[Finding]:
    """Strings and interfaces in keys lead to readable memory, as the keys were hashed when they were stored."""
    view, snapshot = proof.view, proof.snapshot
    key = snapshot.types.key(snapshot.type)
    if not key.has_pointers:
        return
    rows, slots = _dangling(view)
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        yield Finding(
            rule="K5",
            message="a key leads to memory or to a type that is not there",
            observed=f"key bytes {bytes_of_memory(_key(view, row, slot).hex(' ', WORD))}",
            expected="strings and interfaces that can be read",
            source="maps.table.PutSlot, maps.Map.putSlotSmall",
            where=view.where(row, slot),
            # What is not in a core may merely not have been dumped.
            severity="error" if snapshot.regions.complete else "warning",
            unreadable=True,
            in_flight=proof.half_deleted(row, slot) if len(rows) == 1 else (),
        )


def _dangling(view: MapView) -> tuple[Numbers, Numbers]:
    """Rows and slots of keys that lead to something that is not there."""
    snapshot, groups = view.snapshot, view.groups
    key = snapshot.types.key(snapshot.type)
    found: list[tuple[Numbers, Numbers]] = []
    for window in groups.windows():
        rows, slots = places(view.slots_judged(window, groups.part(window).full))
        keys, held = _keys(view, rows + window.start, slots)
        bad = held[Dangling(snapshot.types, snapshot.memory, snapshot.regions).of(key, keys)]
        found.append((rows[bad] + window.start, slots[bad]))
    return joined(rows for rows, _ in found), joined(slots for _, slots in found)


def _keys(view: MapView, rows: Numbers, slots: Numbers) -> tuple[Rows, Numbers]:
    """The bytes of the keys of k slots that are there, also where they are stored by reference; which of k they are."""
    snapshot = view.snapshot
    keys = pick(view.groups.keys, rows, slots)
    if not snapshot.layout.indirect_key:
        return keys, np.arange(len(rows))
    size = snapshot.types.key(snapshot.type).size
    keys, held = snapshot.memory.held(np.ascontiguousarray(keys).view(np.uint64).reshape(-1), size)
    return keys, np.flatnonzero(held)


def _key(view: MapView, row: int, slot: int) -> bytes:
    return _keys(view, np.array([row]), np.array([slot]))[0].tobytes()
