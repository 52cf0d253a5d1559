"""Why a change of a Swiss map was not seen: each reason is held against what the changed map looks like."""

from __future__ import annotations

import numpy as np

from benchmarks.faults.changes import Outcome, Reason
from inspector.gotypes.dangling import Dangling
from inspector.maps.family import Objects
from inspector.maps.hashed import HashedKeys
from inspector.maps.swiss.checks import MapView, Proof
from inspector.maps.swiss.header import POINTER_SIZE
from inspector.memory.protocol import Addresses


def _field(outcome: Outcome, *starts: str) -> bool:
    return outcome.change.field.startswith(starts)


def _in_a_full_slot(outcome: Outcome) -> bool:
    return _field(outcome, "key, full slot")


def _view(outcome: Outcome) -> MapView:
    return outcome.trial.swiss


def _proofs(outcome: Outcome) -> tuple[Proof, Proof]:
    return Proof(outcome.change.subject.healthy.swiss), Proof(outcome.trial.swiss)


def _keys(proof: Proof) -> HashedKeys:
    return proof.window(slice(0, len(proof.view.groups))).keys


def _empty(outcome: Outcome) -> bool:
    """Whether the map has no entry, neither by its header nor by its control bytes."""
    return not _view(outcome).header.used and not _view(outcome).live_count


def _same_hashes(outcome: Outcome) -> bool:
    """Whether the same keys have hashes that can be repeated, and each has the one that it had."""
    before, after = (_keys(proof) for proof in _proofs(outcome))
    if not np.array_equal(before.known, after.known):
        return False
    return bool((before.hashes[before.known] == after.hashes[after.known]).all())


def _all_proven(outcome: Outcome) -> bool:
    """Whether every key that was proven before is so now, and a lookup finds it."""
    proof, after = outcome.trial.judgement.proof, Proof(_view(outcome))
    if not proof.checked == proof.matched >= outcome.change.subject.healthy.judgement.proof.checked:
        return False
    return not len(after.shown.misplaced) and not len(after.paths.crossed)


def _nothing_proven(outcome: Outcome) -> bool:
    """Whether no key has a hash that could be repeated."""
    return not outcome.trial.judgement.proof.checked


def _had_no_hash(outcome: Outcome) -> bool:
    """Whether the key in the slot that was changed did not equal itself before, and does not now."""
    at, (before, after) = _slot_of(outcome), (_keys(proof).known for proof in _proofs(outcome))
    return at is not None and len(before) == len(after) and not before[at] and not after[at]


def _lost_its_hash(outcome: Outcome) -> bool:
    """Whether one key has no hash any more, although all that it leads to is readable, and no other key is wrong."""
    before, after = _proofs(outcome)
    now, snapshot = outcome.trial.judgement.proof, after.snapshot
    lost = np.flatnonzero(_keys(before).known & ~_keys(after).known)
    if len(lost) != 1 or now.checked != now.matched:
        return False
    rows, slots = after.view.groups.live
    key, keys = snapshot.types.key(snapshot.type), after.view.groups.keys[rows[lost], slots[lost]]
    if snapshot.layout.indirect_key:
        keys, held = snapshot.memory.held(np.ascontiguousarray(keys).view(np.uint64).reshape(-1), key.size)
        if not held.all():
            return False
    return not Dangling(snapshot.types, snapshot.memory, snapshot.regions).of(key, keys).any()


def _slot_of(outcome: Outcome) -> int | None:
    """The number, among the slots that were full, of the one whose control byte or key was changed; None for none."""
    view, address = outcome.change.subject.healthy.swiss, np.uint64(outcome.change.address)
    groups, layout = view.groups, view.snapshot.layout
    rows, slots = groups.live
    controls = groups.addresses[rows] + slots.astype(np.uint64)
    inside = address - groups.slots(rows, slots).keys < np.uint64(layout.key_slot)
    found = np.flatnonzero((controls == address) | inside)
    return int(found[0]) if len(found) else None


def _leads_to_empty_slots(outcome: Outcome) -> bool:
    """Whether all groups are there, those that are others now have no entry, and no key is lost."""
    before, after = outcome.change.subject.healthy.swiss, _view(outcome)
    if not after.whole or not after.countable:
        return False
    if len(before.groups) != len(after.groups):
        # An empty table of another map may be of another size.
        return _empty(outcome) and not after.invalid.any()
    moved = before.groups.addresses != after.groups.addresses
    return not after.groups.full[moved].any() and not after.invalid.any() and _all_proven(outcome)


def _like_its_element(outcome: Outcome) -> bool:
    """Whether the changed pointer leads to a live object of the same size and kind as the right one does."""
    at, objects = _objects(outcome)
    same = objects.size[0] == objects.size[1] and objects.noscan[0] == objects.noscan[1]
    return bool(same and objects.alive.all() and at[0] - objects.base[0] == at[1] - objects.base[1])


def _outside_of_spans(outcome: Outcome) -> bool:
    """Whether the changed pointer leads to readable memory of which the heap's metadata says nothing."""
    at, objects = _objects(outcome)
    return not objects.size[1] and outcome.change.subject.source.regions.covers(int(at[1]), POINTER_SIZE)


def _objects(outcome: Outcome) -> tuple[Addresses, Objects]:
    """The right pointer to the element and the changed one, and the objects that they lead to."""
    subject, change = outcome.change.subject, outcome.change
    heap, start = subject.source.heap, _slot_start(outcome)
    assert heap is not None
    right = int.from_bytes(subject.target.memory.read(start, POINTER_SIZE), "little")
    wrong = right ^ (change.before ^ change.after) << 8 * (change.address - start)
    at = np.array([right, wrong], np.uint64)
    return at, heap.about(at).objects(at)


def _slot_start(outcome: Outcome) -> int:
    """The address of the element's slot that was changed."""
    view = outcome.change.subject.healthy.swiss
    layout, address = view.snapshot.layout, outcome.change.address
    group = max(start for start in view.groups.addresses.tolist() if start <= address)
    return int(address - (address - group - layout.elems_at) % layout.elem_stride)


def _tombstones_possible(outcome: Outcome) -> bool:
    """Whether only tombstonePossible was changed, in a map with tables and without tombstones."""
    view = _view(outcome)
    bit = outcome.change.after in (0, 1)
    return _field(outcome, "Map.tombstonePossible") and bit and not view.header.small and not view.all_deleted.any()


SWISS_REASONS = (
    Reason(
        "clearSeq counts calls of clear: every number is possible",
        lambda o: _field(o, "Map.clearSeq"),
        informs=False,
    ),
    Reason(
        "nothing was placed with an empty map's seed: every seed is possible",
        lambda o: _field(o, "Map.seed") and _empty(o),
        informs=False,
    ),
    Reason(
        "no key has a hash that could be repeated: every seed is possible",
        lambda o: _field(o, "Map.seed") and _nothing_proven(o),
        informs=False,
    ),
    Reason(
        "with the other seed the few keys hash to the same slots",
        lambda o: _field(o, "Map.seed") and _all_proven(o),
    ),
    Reason(
        "tombstonePossible is true from the first deleted slot on, also when no slot is deleted any more",
        _tombstones_possible,
    ),
    Reason(
        "the key of a slot that is not full stays behind, if it has no pointers",
        lambda o: _field(o, "key, empty slot", "key, deleted slot") and not _key_has_pointers(o),
        informs=False,
    ),
    Reason(
        "the element of a full slot: nearly all bytes can be one",
        lambda o: o.change.field == "element, full slot",
        informs=False,
    ),
    Reason(
        "a NaN has no hash that could be repeated, and its control byte is chance",
        lambda o: _field(o, "key, full slot", "control byte, full") and _had_no_hash(o),
        informs=False,
    ),
    Reason(
        "padding in a key, a zero's sign, a NaN's bits, the address of an equal string: no hash is another one",
        lambda o: _in_a_full_slot(o) and not _field(o, "key, full slot, pointer") and _same_hashes(o),
        informs=False,
    ),
    Reason(
        "the key has become a NaN, or a string of more than 1 MiB, which is not copied: a key less is proven",
        lambda o: _in_a_full_slot(o) and _lost_its_hash(o),
    ),
    Reason(
        "the changed key hashes to the slot it lies in, as another key may",
        lambda o: _in_a_full_slot(o) and _all_proven(o),
    ),
    Reason(
        "the pointer leads to another object of its size, which may be the element",
        lambda o: _field(o, "element, full slot, pointer") and _like_its_element(o),
    ),
    Reason(
        "the pointer leads to memory in no span that is known: a span that is newer may be there",
        lambda o: _field(o, "element, full slot, pointer") and _outside_of_spans(o),
    ),
    Reason(
        "what lies at the other address reads as empty slots, and no entry is lost",
        lambda o: _field(o, "Map.dirPtr", "table.groups", "directory entry") and _leads_to_empty_slots(o),
    ),
)
"""Tried in this order."""


def _key_has_pointers(outcome: Outcome) -> bool:
    subject = outcome.change.subject
    layout = _view(outcome).snapshot.layout
    return layout.indirect_key or subject.source.types.key(subject.type).has_pointers
