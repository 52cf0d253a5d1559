"""The hash proof: every key hashed again as the runtime did, and rules C3, E9, E10 and E11 that rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from inspector.goruntime.bmap import TOPHASH_SIZE
from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.binomial import lower_tail
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.steps import OF_ONE_CELL
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.bmap import tophashes
from inspector.maps.classic.places import Array
from inspector.maps.family import Mask
from inspector.maps.findings import Finding, HashProof
from inspector.maps.hashed import HashedKeys, Repeats, hash_slots
from inspector.maps.slots import Numbers, count_of, nonzero
from inspector.maps.windows import SMALL_WINDOW, WINDOW, in_windows, joined, spots, windows
from inspector.memory.sets import distinct

NO_KEYS = "the process's hash keys were not found"
NO_ALGORITHM = "the hash function of this Go release is not known here"
SEED_IS_THE_SAME = 1e-9
"""Below this chance that so few old keys disagree by luck, hash0 is the one they were placed with."""


@dataclass
class Shown:
    """What the keys of one array show: counts, and the few of them that something is wrong with.

    Chains that O1 found cut or shared are left out. `wrong` are keys whose hash is known, and has another tophash or
    leads to another bucket.
    """

    checked: int = 0
    skipped: int = 0
    wrong: HashedKeys = field(default_factory=HashedKeys.none)


class Proof:
    """What the keys of a snapshot show by their hashes, worked out once for all rules, window by window."""

    def __init__(self, view: MapView) -> None:
        self.view = view
        self.snapshot = view.snapshot

    @cached_property
    def functions(self) -> MemoryHash | None:
        """The process's hash functions, None when they are not known."""
        keys = self.snapshot.hash_keys
        return keys.functions(self.snapshot.release) if keys else None

    @property
    def shown(self) -> dict[Array, Shown]:
        """What the live cells of each usable array show; the hash functions must be known."""
        return self._looked_through[0]

    @property
    def to_compare(self) -> HashedKeys:
        """Keys that may equal others, of all chains: hashed alike, or with a hash that is not known.

        Rows of the old array are numbered on from those of the new one.
        """
        return self._looked_through[1]

    @cached_property
    def _looked_through(self) -> tuple[dict[Array, Shown], HashedKeys]:
        """Look through all windows, each of a range of buckets of the smaller array and those that share their bits."""
        shown: dict[Array, Shown] = {name: Shown() for name, _ in self.view.arrays}
        wrong: dict[Array, list[HashedKeys]] = {name: [] for name in shown}
        unknown, repeats = [], Repeats()
        for window in self._windows():
            parts = []
            for name, array in self.view.arrays:
                keys = self.keys_of(array, window)
                misplaced = bucket_of(keys, array.size) != array.home[keys.rows]
                self._add(shown[name], wrong[name], array, keys, misplaced)
                numbered = keys.moved(self.view.first_number(name))
                unknown.append(numbered.of(~keys.known))
                parts.append((numbered, ~misplaced))
            repeats.add(partial(self._place, window.start), *parts)
        for name, some in wrong.items():
            shown[name].wrong = HashedKeys.joined(some)
        return shown, HashedKeys.joined([repeats.all(self._led_to), *unknown])

    def _place(self, start: int, hashes: Hashes) -> Numbers:
        """(k,) the bucket of the smaller array that hashes belong to, counted from `start` on."""
        return (hashes & np.uint64(self.least - 1)).view(np.int64) - start

    @property
    def least(self) -> int:
        """Buckets of the smaller array: its bits of a hash are those that both arrays use."""
        return min((array.size for _, array in self.view.arrays), default=0)

    def _windows(self) -> Iterator[slice]:
        """Windows of the smaller array's buckets. As many buckets of both arrays together as one window has."""
        buckets = sum(array.size for _, array in self.view.arrays)
        return windows(self.least, length=max(1, WINDOW * self.least // max(1, buckets)))

    @staticmethod
    def _add(shown: Shown, wrong: list[HashedKeys], array: BucketArray, keys: HashedKeys, misplaced: Mask) -> None:
        if array.doubtful.any():
            fair = ~array.doubtful[array.home[keys.rows]]
            keys, misplaced = keys.of(fair), misplaced[fair]
        known = int(np.count_nonzero(keys.known))
        shown.checked += known
        shown.skipped += len(keys) - known
        wrong.append(keys.of(keys.known & (misplaced | (tophashes(keys.hashes) != keys.seen))))

    def _led_to(self, hashes: Hashes) -> Iterator[HashedKeys]:
        """The keys at home in the windows that hashes lead to."""
        wanted = distinct(hashes & np.uint64(self.least - 1)).view(np.int64)
        for window in self._windows():
            first, last = np.searchsorted(wanted, (window.start, window.stop))
            for name, array in self.view.arrays if first < last else ():
                keys = self.keys_of(array, window)
                at_home = keys.known & (bucket_of(keys, array.size) == array.home[keys.rows])
                yield keys.of(at_home).moved(self.view.first_number(name))

    def keys_of(self, array: BucketArray, window: slice) -> HashedKeys:
        """The keys of live cells in a window of the smaller array's buckets, hashed, in any order of buckets."""
        starts = range(0, array.size, self.least)
        rows = joined(array.chains(slice(start + window.start, start + window.stop)) for start in starts)
        return self._hash(array, rows, array.tophash_of(rows) >= self.snapshot.release.marks.min_tophash)

    def evacuated(self, old: BucketArray) -> Iterator[HashedKeys]:
        """Cells of the old array that are marked evacuatedX or evacuatedY and still hold their key, by windows."""
        marks = self.snapshot.release.marks
        for rows in old.windows(SMALL_WINDOW):
            rows = rows[~cleared(old, rows)]
            tophash = old.tophash_of(rows)
            yield self._hash(old, rows, (tophash >= marks.evacuated_x) & (tophash <= marks.evacuated_y))

    def _hash(self, array: BucketArray, rows: Numbers, mask: Mask) -> HashedKeys:
        """Hash the keys of some cells of k rows: those in a mask (k, 8)."""
        at = np.flatnonzero(mask)
        assert self.functions is not None
        hasher, snapshot = Hasher(self.snapshot.types, self.snapshot.memory, self.functions), self.snapshot
        where = at + ((rows - np.arange(len(rows))) * BUCKET_CELLS)[at // BUCKET_CELLS]
        return hash_slots(hasher, snapshot.type, array.slots("keys"), array.tophash, where, snapshot.header.hash0)

    def summary(self) -> HashProof:
        """Count what was proven."""
        if self.functions is None:
            reason = NO_ALGORITHM if self.snapshot.hash_keys else NO_KEYS
            return HashProof(0, 0, self.view.live_count, None, reason)
        shown = self.shown.values()
        checked, skipped = sum(each.checked for each in shown), sum(each.skipped for each in shown)
        return HashProof(checked, checked - sum(len(each.wrong) for each in shown), skipped, self.functions.name, None)


def bucket_of(keys: HashedKeys, buckets: int) -> Numbers:
    """The bucket that each hash belongs to: its low bits."""
    return (keys.hashes & np.uint64(buckets - 1)).view(np.int64)


def cleared(array: BucketArray, rows: Numbers | slice) -> Mask:
    """(k,) rows with nothing behind the tophash: evacuate cleared them for the garbage collector."""
    # A bucket is made of words: eight tophashes, eight keys, eight elements, a pointer.
    words = array.cells.view(np.uint64).reshape(len(array.cells), -1)[:, TOPHASH_SIZE // np.uint64().itemsize :]
    empty = np.asarray(words[rows, 0] == 0)
    # Most rows that are not cleared show that by their first key.
    suspects = np.flatnonzero(empty)
    numbers = suspects + (rows.start or 0) if isinstance(rows, slice) else rows[suspects]
    empty[suspects] = ~words[numbers].any(axis=1)
    return empty


def cleared_rows(array: BucketArray) -> Mask:
    """Which of all rows are cleared."""
    return in_windows(len(array.cells), lambda window: cleared(array, window), np.empty(0, bool))


def c3_keys_hash_to_their_cells(proof: Proof) -> Iterator[Finding]:
    """Tophash equals the top byte of the key's hash, and the bucket its low bits."""
    view = proof.view
    for name, shown in proof.shown.items():
        array = view.new if name == "new" else view.old
        assert array is not None
        # In the new array of a growing map a wrong bucket is E10's or E11's.
        judged = name == "old" or view.old is None
        cells = shown.wrong if judged else shown.wrong.of(tophashes(shown.wrong.hashes) != shown.wrong.seen)
        expected, buckets = tophashes(cells.hashes), bucket_of(cells, array.size)
        for at, (row, cell, seen, hash_) in enumerate(cells.each()):
            yield Finding(
                rule="C3",
                message="a key does not hash to the place it is in",
                observed=f"tophash {seen}, bucket {array.home[row]}",
                expected=f"tophash {expected[at]}, bucket {buckets[at]} (hash {hash_:#018x})",
                source="runtime.mapassign",
                where=view.where(name, row, cell),
                # The fast variants of mapassign write the tophash before the key.
                in_flight=OF_ONE_CELL if len(cells) == 1 else (),
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

    def lost(window: slice) -> Mask:
        tophash = old.tophash[window]
        moved = count_of((tophash == marks.evacuated_x) | (tophash == marks.evacuated_y))
        # One entry may be all zeros, two cannot: their keys differ.
        return (moved > 1) & cleared(old, window) & old.in_use(window)

    lost_rows = np.flatnonzero(in_windows(len(old.cells), lost, np.empty(0, bool)))
    for row in lost_rows.tolist():
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
    elems = old.slots("elems")

    def left(window: slice) -> Mask:
        empty = (old.tophash[window] == marks.evacuated_empty) & old.in_use(window)[:, None]
        return np.asarray(empty & nonzero(elems[window]))

    for row, cell in (divmod(at, BUCKET_CELLS) for at in spots(len(old.cells), left).tolist()):
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
    marks, double = proof.snapshot.release.marks, proof.view.growing == "double"
    known, parts = 0, []
    for cells in proof.evacuated(old):
        second_half, marked_y = _second_half(cells, old) & double, cells.seen == marks.evacuated_y
        misplaced = bucket_of(cells, old.size) != old.home[cells.rows]
        known += int(np.count_nonzero(cells.known))
        parts.append(cells.of(cells.known & (misplaced | (second_half != marked_y) & double)))
    wrong = HashedKeys.joined(parts)
    if not len(wrong) or not _seed_is_the_same(proof, old, len(wrong), known):
        return
    second_half, buckets = _second_half(wrong, old) & double, bucket_of(wrong, old.size)
    for at, (row, cell, seen, hash_) in enumerate(wrong.each()):
        yield Finding(
            rule="E9",
            message="an evacuated cell is marked otherwise than its key's hash says",
            observed=f"evacuated{'Y' if seen == marks.evacuated_y else 'X'} in old bucket {old.home[row]}",
            expected=f"evacuated{'Y' if second_half[at] else 'X'} in old bucket {buckets[at]} (hash {hash_:#018x})",
            source="runtime.evacuate",
            where=proof.view.where("old", row, cell),
        )


def _second_half(cells: HashedKeys, old: BucketArray) -> Mask:
    """(k,) whether the hash bit that a growth adds is set."""
    return np.asarray((cells.hashes & np.uint64(old.size)) != 0)


def _seed_is_the_same(proof: Proof, old: BucketArray, wrong: int, known: int) -> bool:
    """Whether hash0 placed the old entries: a map that became empty while it grew has a new one (mapdelete).

    Then hardly any of the keys that were evacuated before would agree with it, and none would be left to wait. Of the
    evacuated keys so many are known, and so many of them wrong.
    """
    waiting = proof.shown["old"]
    wrong += int(np.count_nonzero(bucket_of(waiting.wrong, old.size) != old.home[waiting.wrong.rows]))
    return lower_tail(wrong, known + waiting.checked, 1 - 1 / old.size) <= SEED_IS_THE_SAME


def e10_entries_come_from_their_old_bucket(proof: Proof) -> Iterator[Finding]:
    """An entry of a growing map's new array is in a bucket that its old bucket was split into."""
    yield from _misplaced(proof, "E10")


def e11_the_split_agrees_with_the_hash_bit(proof: Proof) -> Iterator[Finding]:
    """New bucket j of a growing map holds only keys whose low B hash bits are j."""
    yield from _misplaced(proof, "E11")


def _misplaced(proof: Proof, rule: str) -> Iterator[Finding]:
    view = proof.view
    if view.new is None or view.old is None:
        return
    # A key whose tophash is wrong, too, is C3's.
    cells = proof.shown["new"].wrong
    cells = cells.of(tophashes(cells.hashes) == cells.seen)
    same_old = (view.new.home[cells.rows] ^ bucket_of(cells, view.new.size)) & (view.old.size - 1) == 0
    cells = cells.of(~same_old if rule == "E10" else same_old)
    buckets = bucket_of(cells, view.new.size)
    what = "came from another old bucket" if rule == "E10" else "was sent to the other half"
    for at, (row, cell, _, hash_) in enumerate(cells.each()):
        yield Finding(
            rule=rule,
            message=f"an entry {what} than its hash says",
            observed=f"new bucket {view.new.home[row]}",
            expected=f"new bucket {buckets[at]} (hash {hash_:#018x})",
            source="runtime.evacuate",
            where=view.where("new", row, cell),
            # What a cell held before its key is stored may have the tophash by chance.
            in_flight=OF_ONE_CELL if len(cells) == 1 else (),
        )
