"""The hash proof: every key hashed again as the runtime did, and rules C3, E9, E10 and E11 that rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.bmap import TOPHASH_SIZE
from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.binomial import lower_tail
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.steps import OF_ONE_CELL
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.bmap import tophashes
from inspector.maps.classic.places import Array
from inspector.maps.findings import Finding, HashProof

NO_KEYS = "the process's hash keys were not found"
NO_ALGORITHM = "the hash function of this Go release is not known here"
SEED_IS_THE_SAME = 1e-9
"""Below this chance that so few old keys disagree by luck, hash0 is the one they were placed with."""


@dataclass(frozen=True)
class ProvenCells:
    """Cells of one array with their hashes: rows and cells, hash, whether it is known."""

    rows: NDArray[np.int64]
    cells: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    known: NDArray[np.bool_]


class Proof:
    """The hashes of a snapshot's keys, worked out once for all rules."""

    def __init__(self, view: MapView) -> None:
        self.view = view
        self.snapshot = view.snapshot

    @cached_property
    def functions(self) -> MemoryHash | None:
        """The process's hash functions, None when they are not known."""
        keys = self.snapshot.hash_keys
        return keys.functions(self.snapshot.release) if keys else None

    @cached_property
    def live(self) -> dict[Array, ProvenCells]:
        """Live cells of each usable array; chains that O1 found cut or shared are left out."""
        minimum = self.snapshot.release.marks.min_tophash
        return {
            name: self._hash(array, array.live(minimum) & ~array.doubtful[array.home][:, None])
            for name, array in self.view.arrays
        }

    @cached_property
    def evacuated(self) -> ProvenCells:
        """Cells of the old array that are marked evacuatedX or evacuatedY and still hold their key."""
        old = self.view.old
        assert old is not None
        marks = self.snapshot.release.marks
        marked = (old.tophash >= marks.evacuated_x) & (old.tophash <= marks.evacuated_y)
        return self._hash(old, marked & (old.in_use & ~cleared_rows(old))[:, None])

    def _hash(self, array: BucketArray, mask: NDArray[np.bool_]) -> ProvenCells:
        rows, cells = np.nonzero(mask)
        assert self.functions is not None
        hasher = Hasher(self.snapshot.types, self.snapshot.memory, self.functions)
        done = hasher.map_keys(self.snapshot.type, array.slots("keys")[mask], self.snapshot.header.hash0)
        return ProvenCells(rows, cells, done.hashes, done.known)

    def tophash(self, cells: ProvenCells) -> NDArray[np.uint8]:
        """runtime.tophash of each hash."""
        return tophashes(cells.hashes)

    def summary(self) -> HashProof:
        """Count what was proven."""
        if self.functions is None:
            reason = NO_ALGORITHM if self.snapshot.hash_keys else NO_KEYS
            return HashProof(0, 0, self.view.live_count, None, reason)
        checked = matched = skipped = 0
        for name, cells in self.live.items():
            array = self.view.new if name == "new" else self.view.old
            assert array is not None
            right = self.tophash(cells) == array.tophash[cells.rows, cells.cells]
            right &= bucket_of(cells, array.size) == array.home[cells.rows]
            checked += int(np.count_nonzero(cells.known))
            matched += int(np.count_nonzero(right & cells.known))
            skipped += int(np.count_nonzero(~cells.known))
        return HashProof(checked, matched, skipped, self.functions.name, None)


def bucket_of(cells: ProvenCells, buckets: int) -> NDArray[np.int64]:
    """The bucket that each hash belongs to: its low bits."""
    return (cells.hashes & np.uint64(buckets - 1)).astype(np.int64)


def cleared_rows(array: BucketArray) -> NDArray[np.bool_]:
    """Rows with nothing behind the tophash: evacuate cleared them for the garbage collector."""
    raw = array.cells.view(np.uint8).reshape(len(array.cells), -1)
    return np.asarray(~raw[:, TOPHASH_SIZE:].any(axis=1))


def c3_keys_hash_to_their_cells(proof: Proof) -> Iterator[Finding]:
    """Tophash equals the top byte of the key's hash, and the bucket its low bits."""
    view = proof.view
    for name, cells in proof.live.items():
        array = view.new if name == "new" else view.old
        assert array is not None
        expected, seen = proof.tophash(cells), array.tophash[cells.rows, cells.cells]
        wrong_top = cells.known & (expected != seen)
        buckets = bucket_of(cells, array.size)
        # In the new array of a growing map a wrong bucket is E10's or E11's.
        judged = name == "old" or view.old is None
        wrong_bucket = cells.known & (buckets != array.home[cells.rows]) if judged else np.zeros_like(wrong_top)
        faults = np.flatnonzero(wrong_top | wrong_bucket)
        for at in faults:
            row, cell = int(cells.rows[at]), int(cells.cells[at])
            yield Finding(
                rule="C3",
                message="a key does not hash to the place it is in",
                observed=f"tophash {seen[at]}, bucket {array.home[row]}",
                expected=f"tophash {expected[at]}, bucket {buckets[at]} (hash {int(cells.hashes[at]):#018x})",
                source="runtime.mapassign",
                where=view.where(name, row, cell),
                # The fast variants of mapassign write the tophash before the key.
                in_flight=OF_ONE_CELL if len(faults) == 1 else (),
            )


def e9_evacuated_memory_is_cleared_or_kept(proof: Proof) -> Iterator[Finding]:
    """Evacuated buckets are cleared (pointers in them, oldIterator clear) or keep what explains their markers."""
    view = proof.view
    old = view.old
    if old is None:
        return
    has_pointers = view.snapshot.layout.bucket_has_pointers
    if has_pointers and not view.header.has(OLD_ITERATOR):
        yield from _not_cleared(view, old)
        return
    if has_pointers and not view.header.has(ITERATOR):
        yield from _not_kept(view, old)
    yield from _elements_of_nothing(view, old)
    if proof.functions is not None:
        yield from _unexplained_markers(proof, old)


def _not_cleared(view: MapView, old: BucketArray) -> Iterator[Finding]:
    left = np.flatnonzero(view.evacuated & ~cleared_rows(old)[: old.size])
    for row in left.tolist():
        yield Finding(
            rule="E9",
            message=f"old bucket {row} is evacuated, but its memory was not cleared",
            observed="bytes behind the tophash",
            expected="zeros: its buckets hold pointers and no iterator needs them (oldIterator is clear)",
            source="runtime.evacuate",
            where=view.where("old", row),
            in_flight=("runtime.evacuate",) if len(left) == 1 else (),
        )


def _not_kept(view: MapView, old: BucketArray) -> Iterator[Finding]:
    """OldIterator alone was set by hashGrow, before anything was evacuated: nothing has been cleared since."""
    marks = view.snapshot.release.marks
    moved = (old.tophash == marks.evacuated_x) | (old.tophash == marks.evacuated_y)
    # One entry may be all zeros, two cannot: their keys differ.
    lost = (moved.sum(axis=1) > 1) & cleared_rows(old) & old.in_use
    for row in np.flatnonzero(lost).tolist():
        yield Finding(
            rule="E9",
            message=f"old bucket {old.home[row]} was cleared, but a range loop begun before the growth needs it",
            observed="only zeros behind the tophash",
            expected="the entries: oldIterator was set when the growth began",
            source="runtime.evacuate",
            where=view.where("old", row),
        )


def _elements_of_nothing(view: MapView, old: BucketArray) -> Iterator[Finding]:
    """A cell that was empty when it was evacuated has no element: a deletion clears it, whatever its type."""
    marks = view.snapshot.release.marks
    empty = (old.tophash == marks.evacuated_empty) & old.in_use[:, None]
    for row, cell in np.argwhere(empty & old.slots("elems").any(axis=2)).tolist():
        yield Finding(
            rule="E9",
            message="an evacuated cell is marked empty, but holds an element",
            observed="evacuatedEmpty",
            expected="evacuatedX or evacuatedY",
            source="runtime.evacuate, runtime.mapdelete",
            where=view.where("old", row, cell),
        )


def _unexplained_markers(proof: Proof, old: BucketArray) -> Iterator[Finding]:
    """What an evacuated bucket kept hashes to this bucket, and to the half that its marker names."""
    cells, marks = proof.evacuated, proof.snapshot.release.marks
    double = proof.view.growing == "double"
    homes, buckets = old.home[cells.rows], bucket_of(cells, old.size)
    second_half = ((cells.hashes & np.uint64(old.size)) != 0) & double
    marked_y = old.tophash[cells.rows, cells.cells] == marks.evacuated_y
    wrong = np.flatnonzero(cells.known & ((buckets != homes) | (second_half != marked_y) & double))
    if not len(wrong) or not _seed_is_the_same(proof, old, len(wrong)):
        return
    for at in wrong:
        yield Finding(
            rule="E9",
            message="an evacuated cell is marked otherwise than its key's hash says",
            observed=f"evacuated{'Y' if marked_y[at] else 'X'} in old bucket {homes[at]}",
            expected=f"evacuated{'Y' if second_half[at] else 'X'} in old bucket {buckets[at]} "
            f"(hash {int(cells.hashes[at]):#018x})",
            source="runtime.evacuate",
            where=proof.view.where("old", int(cells.rows[at]), int(cells.cells[at])),
        )


def _seed_is_the_same(proof: Proof, old: BucketArray, wrong: int) -> bool:
    """Whether hash0 placed the old entries: a map that became empty while it grew has a new one (mapdelete).

    Then hardly any of the keys that were evacuated before would agree with it, and none would be left to wait.
    """
    waiting = proof.live["old"]
    agreeing = bucket_of(waiting, old.size) == old.home[waiting.rows]
    known = int(np.count_nonzero(proof.evacuated.known)) + int(np.count_nonzero(waiting.known))
    wrong += int(np.count_nonzero(waiting.known & ~agreeing))
    return lower_tail(wrong, known, 1 - 1 / old.size) <= SEED_IS_THE_SAME


def e10_entries_come_from_their_old_bucket(proof: Proof) -> Iterator[Finding]:
    """An entry of a growing map's new array is in a bucket that its old bucket was split into."""
    yield from _misplaced(proof, "E10")


def e11_the_split_agrees_with_the_hash_bit(proof: Proof) -> Iterator[Finding]:
    """New bucket j of a growing map holds only keys whose low B hash bits are j."""
    yield from _misplaced(proof, "E11")


def _misplaced(proof: Proof, rule: str) -> Iterator[Finding]:
    view = proof.view
    if view.new is None or view.old is None or "new" not in proof.live:
        return
    cells = proof.live["new"]
    homes, buckets = view.new.home[cells.rows], bucket_of(cells, view.new.size)
    # A key whose tophash is wrong, too, is C3's.
    fair = cells.known & (proof.tophash(cells) == view.new.tophash[cells.rows, cells.cells])
    same_old = (homes ^ buckets) & (view.old.size - 1) == 0
    wrong = fair & (homes != buckets) & (~same_old if rule == "E10" else same_old)
    what = "came from another old bucket" if rule == "E10" else "was sent to the other half"
    faults = np.flatnonzero(wrong)
    for at in faults:
        yield Finding(
            rule=rule,
            message=f"an entry {what} than its hash says",
            observed=f"new bucket {homes[at]}",
            expected=f"new bucket {buckets[at]} (hash {int(cells.hashes[at]):#018x})",
            source="runtime.evacuate",
            where=view.where("new", int(cells.rows[at]), int(cells.cells[at])),
            # What a cell held before its key is stored may have the tophash by chance.
            in_flight=OF_ONE_CELL if len(faults) == 1 else (),
        )
