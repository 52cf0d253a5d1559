"""Why a change was not seen, held against what the changed map looks like: a reason is never a guess."""

from __future__ import annotations

import numpy as np

from benchmarks.faults.changes import Outcome, Reason
from benchmarks.faults.swiss_reasons import SWISS_REASONS
from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.proof import Proof, cleared_rows
from inspector.maps.hashed import HashedKeys


def why_unseen(outcome: Outcome) -> Reason | None:
    """The first reason that holds, None when the change should have been seen."""
    reasons = SWISS_REASONS if outcome.change.subject.family == "swiss" else REASONS
    return next((reason for reason in reasons if reason.holds(outcome)), None)


def _field(outcome: Outcome, *starts: str) -> bool:
    return outcome.change.field.startswith(starts)


def _key(outcome: Outcome) -> bool:
    return _field(outcome, "key") and not _field(outcome, "key, old array, evacuated")


def _empty(outcome: Outcome) -> bool:
    return not outcome.trial.view.header.count


def _iterators(outcome: Outcome) -> bool:
    changed = outcome.change.before ^ outcome.change.after
    return _field(outcome, "hmap.flags") and not changed & ~(ITERATOR | OLD_ITERATOR)


def _same_entries(outcome: Outcome) -> bool:
    """Whether every key is proven where it lies, as many as before."""
    proof = outcome.trial.judgement.proof
    return proof.checked == proof.matched == outcome.change.subject.healthy.judgement.proof.checked


def _zeros(outcome: Outcome) -> bool:
    extra = outcome.trial.view.snapshot.extra
    return extra is not None and not (extra.overflow_pointer or extra.oldoverflow_pointer or extra.next_overflow)


def _empty_lists(outcome: Outcome) -> bool:
    """Whether the list whose pointer was changed, or both where it is another extra, reads as empty."""
    extra = outcome.trial.view.snapshot.extra
    if extra is None:
        return False
    lists = {"mapextra.overflow": [extra.overflow], "mapextra.oldoverflow": [extra.oldoverflow]}
    return not any(lists.get(outcome.change.field, [extra.overflow, extra.oldoverflow]))


def _array(outcome: Outcome) -> BucketArray:
    view = outcome.trial.view
    array = view.old if "old array" in outcome.change.field else view.new
    assert array is not None
    return array


def _row(outcome: Outcome) -> tuple[BucketArray, int]:
    """The bucket that the changed byte lies in."""
    array = _array(outcome)
    return array, int(np.argmax(outcome.change.address - array.addresses < np.uint64(array.cells.dtype.itemsize)))


def _hashes(outcome: Outcome) -> tuple[HashedKeys, HashedKeys]:
    """Live keys of the changed byte's array, before and after."""
    name = "old" if "old array" in outcome.change.field else "new"
    healthy, changed = Proof(outcome.change.subject.healthy.view), Proof(outcome.trial.view)
    return _live_keys(healthy, name), _live_keys(changed, name)


def _live_keys(proof: Proof, name: str) -> HashedKeys:
    return proof.keys_of(dict[str, BucketArray](proof.view.arrays)[name], slice(0, proof.least))


def _same_hashes(outcome: Outcome) -> bool:
    before, after = _hashes(outcome)
    known = before.known & after.known
    return bool(np.array_equal(before.known, after.known) and (before.hashes[known] == after.hashes[known]).all())


def _no_hash(outcome: Outcome) -> bool:
    """The key under the changed byte is a NaN, or has become one."""
    return (
        outcome.change.subject.type.name.startswith(("map[float", "map[complex"))
        and not _hashes(outcome)[1].known.all()
    )


def _unproven(outcome: Outcome) -> bool:
    return outcome.trial.judgement.proof.skipped > outcome.change.subject.healthy.judgement.proof.skipped


def _evacuated_unproven(outcome: Outcome) -> bool:
    old = outcome.trial.view.old
    assert old is not None
    return not all(keys.known.all() for keys in Proof(outcome.trial.view).evacuated(old))


def _marker_to_marker(outcome: Outcome) -> bool:
    view = outcome.trial.view
    pair = np.array([outcome.change.before, outcome.change.after], dtype=np.uint8)
    return _field(outcome, "tophash, old array, evacuated") and bool(view.is_marker(pair).all())


def _cleared(outcome: Outcome) -> bool:
    array, row = _row(outcome)
    return bool(cleared_rows(array)[row])


def _all_marked(outcome: Outcome) -> bool:
    array, row = _row(outcome)
    return bool(outcome.trial.view.is_marker(array.tophash[row]).all())


def _leads_to_empty(outcome: Outcome) -> bool:
    """The bucket that the pointer leads to holds nothing, and none of the entries is lost."""
    array, row = _row(outcome)
    lead = int(array.next[row])
    return lead >= 0 and not array.tophash[lead].any() and _same_entries(outcome)


REASONS = (
    Reason(
        "clearSeq counts calls of clear: every number is possible",
        lambda o: _field(o, "hmap.clearSeq"),
        informs=False,
    ),
    Reason(
        "nothing was placed with an empty map's hash0: every seed is possible",
        lambda o: _field(o, "hmap.hash0") and _empty(o),
        informs=False,
    ),
    Reason(
        "with the other hash0 the few keys hash to the same cells",
        lambda o: _field(o, "hmap.hash0") and _same_entries(o),
    ),
    Reason("iterator and oldIterator stay when loops and growths are over, both or oldIterator alone", _iterators),
    Reason(
        "noverflow is a sample from B = 16 on", lambda o: _field(o, "hmap.noverflow") and o.trial.view.header.B >= 16
    ),
    Reason(
        "the map is empty, and what lies at the other address, or in an array of the other size, reads as empty too",
        lambda o: _field(o, "hmap.B", "hmap.buckets") and _empty(o),
    ),
    Reason(
        "the few keys lie where they must in an array of the other size as well",
        lambda o: _field(o, "hmap.B", "hmap.buckets") and _same_entries(o),
    ),
    Reason(
        "at rest nevacuate is 0, 2^(B-1) or 2^B, whichever growth was the last",
        lambda o: _field(o, "hmap.nevacuate") and not o.trial.view.growing,
    ),
    Reason(
        "the other extra reads as zeros: every preallocated bucket is in use",
        lambda o: _field(o, "hmap.extra") and _zeros(o),
    ),
    Reason(
        "what lies there reads as an empty list, and no overflow buckets are to be listed",
        lambda o: _field(o, "hmap.extra", "mapextra.") and _empty_lists(o),
    ),
    Reason(
        "the tophash of a NaN is left to chance",
        lambda o: (
            _field(o, "tophash") and _field(o, "tophash, new array, live", "tophash, old array, live") and _no_hash(o)
        ),
    ),
    Reason(
        "the evacuated bucket was cleared: which of its cells held what is lost",
        lambda o: _marker_to_marker(o) and _cleared(o),
    ),
    Reason(
        "the evacuated cell keeps a deleted key or an element of zeros, as an entry may",
        lambda o: _marker_to_marker(o) and not _cleared(o),
    ),
    Reason(
        "padding in a key, a zero's sign, the address of an equal string: the key is still the same",
        lambda o: _key(o) and _same_hashes(o),
    ),
    Reason("NaN keys have no hash that could be repeated", lambda o: _key(o) and _no_hash(o)),
    Reason(
        "the changed key hashes to the cell it lies in, as another key may",
        lambda o: _key(o) and _same_entries(o),
    ),
    Reason(
        "a string of more than 1 MiB is not copied, and so not hashed: the report counts a key less as proven",
        lambda o: _key(o) and _unproven(o),
    ),
    Reason(
        "what an evacuated key led to may be gone by now, and a NaN has no hash",
        lambda o: _field(o, "key, old array, evacuated") and _evacuated_unproven(o),
    ),
    Reason(
        "padding, or another key that was in this bucket and went to this half",
        lambda o: _field(o, "key, old array, evacuated") and not _evacuated_unproven(o),
    ),
    Reason(
        "the overflow pointer leads to zeros, which read as an empty bucket, and none of the entries is lost",
        lambda o: _field(o, "overflow pointer") and _leads_to_empty(o),
    ),
    Reason(
        "the bucket was in an evacuated chain that was cleared: no pointer leads to it any more",
        lambda o: _field(o, "overflow pointer, old array, preallocated") and _all_marked(o),
    ),
)
"""Those of classic maps, tried in this order."""
