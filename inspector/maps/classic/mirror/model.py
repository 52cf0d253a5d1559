"""A whole map as runtime/map.go keeps it: every operation, entry by entry, without memory or addresses.

Where the fast paths (map_fast32.go, map_fast64.go, map_faststr.go) differ from map.go in what can be seen
afterwards, MapType.fast says so; where releases differ, releases.py does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR, SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.maps.classic.mirror.bmap import MARKS, Bmap, Buckets, Extra, is_empty, make_bucket_array, tophash
from inspector.maps.classic.mirror.evacuation import advance_mark
from inspector.maps.classic.mirror.growth import (
    EXACT_NOVERFLOW_B,
    GrowthKind,
    b_for_hint,
    old_b,
    over_load_factor,
    too_many_overflow_buckets,
)
from inspector.maps.classic.mirror.maptype import Chance, Elem, Key, MapType

LAST_CELL = BUCKET_CELLS - 1
NOVERFLOW_MASK = 0xFFFF
MAX_ALLOC = 1 << 48
"""maxAlloc on linux/amd64: a hint whose buckets would not fit counts as none."""


@dataclass(slots=True)
class Destination:
    """runtime.evacDst: where evacuate puts the next entry."""

    bucket: Bmap
    cell: int = 0


@dataclass
class MirrorMap:
    """runtime.hmap, and what can be done to it. Field names are the runtime's.

    `oldbuckets` is None unless the map grows, `buckets` until the first insertion when B is 0.
    `evacuated` has one bool for each old bucket.
    """

    type: MapType
    release: Release
    chance: Chance
    hash0: int
    count: int = 0
    flags: int = 0
    B: int = 0
    noverflow: int = 0
    buckets: Buckets | None = None
    oldbuckets: Buckets | None = None
    nevacuate: int = 0
    clear_seq: int = 0
    extra: Extra | None = None
    evacuated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    # Making and copying

    @staticmethod
    def make(map_type: MapType, release: Release, chance: Chance, hint: int = 0) -> MirrorMap:
        """runtime.makemap, and makemap_small for a hint of at most 8."""
        if hint < 0 or hint * map_type.bucket_size > MAX_ALLOC:
            hint = 0
        made = MirrorMap(map_type, release, chance, chance.hash0(), B=b_for_hint(release, hint))
        if made.B:
            made.buckets = make_bucket_array(release, map_type, made.B)
            if made.buckets.next_overflow is not None:
                made.extra = Extra(next_overflow=made.buckets.next_overflow)
        return made

    def copy(self, chance: Chance | None = None) -> MirrorMap:
        """The same state once more, to try things on; its choices may come from elsewhere."""
        shared = {id(part): part for part in (self.type, self.release, self.chance)}
        twin = copy.deepcopy(self, shared)
        twin.chance = chance or self.chance
        return twin

    # What the state means

    @property
    def growing(self) -> GrowthKind | None:
        """hmap.growing and hmap.sameSizeGrow."""
        if self.oldbuckets is None:
            return None
        return "same-size" if self.flags & SAME_SIZE_GROW else "double"

    @property
    def noldbuckets(self) -> int:
        """hmap.noldbuckets."""
        return 1 << old_b(self.B, bool(self.flags & SAME_SIZE_GROW))

    def entries(self) -> Iterator[tuple[Key, Elem]]:
        """The live entries: of the new array, then of old buckets not yet evacuated."""
        for array in (self.buckets, self.oldbuckets):
            for head in array.rows[: array.size] if array else ():
                for bucket in head.chain():
                    for top, key, elem in zip(bucket.tophash, bucket.keys, bucket.elems, strict=True):
                        if top >= MARKS.min_tophash:
                            yield key, elem

    # The operations

    def access(self, key: Key) -> Elem:
        """runtime.mapaccess1: the element, or None. Nothing changes."""
        hash_value = self.type.hasher(key, self.hash0)
        if not self.count or hash_value is None:
            return None
        assert self.buckets is not None
        head = self.buckets.rows[hash_value & (1 << self.B) - 1]
        if self.oldbuckets is not None:
            old = self.oldbuckets.rows[hash_value & self.noldbuckets - 1]
            head = head if old.evacuated else old
        found = self._find(head, key, tophash(hash_value))
        return found[0].elems[found[1]] if found else None

    def assign(self, key: Key, elem: Elem) -> None:
        """runtime.mapassign and its fast paths, and the store of the element that follows it."""
        hash_value = self._hash(key, elem)
        top = tophash(hash_value)
        if self.buckets is None:
            self.buckets = Buckets(1, [Bmap(0)])
        while True:
            head = self._bucket_for_write(hash_value)
            found = self._find(head, key, top)
            if found:
                bucket, cell = found
                if self.type.need_key_update:
                    bucket.keys[cell] = key
                bucket.elems[cell] = elem
                return
            if not self._should_grow():
                break
            self._hash_grow()
        bucket, cell = self._room(head)
        bucket.put(cell, top, key, elem)
        self.count += 1

    def delete(self, key: Key) -> None:
        """runtime.mapdelete and its fast paths."""
        if not self.count:
            return
        hash_value = self._hash(key, None)
        head = self._bucket_for_write(hash_value)
        found = self._find(head, key, tophash(hash_value))
        if not found:
            return
        bucket, cell = found
        bucket.put(cell, MARKS.empty_one, self.type.left_of(bucket.keys[cell]), None)
        self._spread_empty_rest(head, bucket, cell)
        self.count -= 1
        if not self.count:
            self.hash0 = self.chance.hash0()

    def clear(self) -> None:
        """runtime.mapclear: the builtin clear, and a loop that deletes every key, which the compiler turns into it.

        The flags of iterators stay: a loop may be running.
        """
        if not self.count:
            return
        assert self.buckets is not None
        self.flags &= ~SAME_SIZE_GROW
        self.oldbuckets, self.evacuated = None, np.zeros(0, dtype=bool)
        self.nevacuate = self.noverflow = self.count = 0
        if self.release.has_clear_seq:
            self.clear_seq += 1
        self.hash0 = self.chance.hash0()
        # The same memory is used again, zeroed; only its overflow buckets elsewhere are dropped.
        self.buckets = make_bucket_array(self.release, self.type, self.B)
        if self.extra is not None:
            self.extra = Extra(next_overflow=self.buckets.next_overflow)

    def iterate(self) -> None:
        """runtime.mapiterinit, as far as the map is concerned; mapiternext changes nothing, nor does the end."""
        if not self.count:
            return
        if not self.type.bucket_has_pointers:
            self._create_overflow()
        self.flags |= ITERATOR | OLD_ITERATOR

    # Finding cells

    def _hash(self, key: Key, elem: Elem) -> int:
        hash_value = self.type.hasher(key, self.hash0)
        return self.chance.hash_of(key, elem) if hash_value is None else hash_value

    def _bucket_for_write(self, hash_value: int) -> Bmap:
        assert self.buckets is not None
        bucket = hash_value & (1 << self.B) - 1
        if self.oldbuckets is not None:
            self._grow_work(bucket)
        return self.buckets.rows[bucket]

    def _find(self, head: Bmap, key: Key, top: int) -> tuple[Bmap, int] | None:
        for bucket in head.chain():
            for cell, seen in enumerate(bucket.tophash):
                if seen == top and self.type.equal(key, bucket.keys[cell]):
                    return bucket, cell
                if seen == MARKS.empty_rest:
                    return None
        return None

    def _room(self, head: Bmap) -> tuple[Bmap, int]:
        """The first empty cell of a chain, in a new overflow bucket if need be."""
        bucket = head
        for bucket in head.chain():
            for cell, seen in enumerate(bucket.tophash):
                if is_empty(seen):
                    return bucket, cell
        return self.new_overflow(bucket), 0

    def _spread_empty_rest(self, head: Bmap, bucket: Bmap, cell: int) -> None:
        """The end of mapdelete: where nothing follows, emptyOne becomes emptyRest, backwards."""
        chain = list(head.chain())
        at = chain.index(bucket)
        cells = [(b, i) for b in chain[: at + 2] for i in range(BUCKET_CELLS)]
        here = at * BUCKET_CELLS + cell
        if here + 1 < len(cells):
            following, i = cells[here + 1]
            if following.tophash[i] != MARKS.empty_rest:
                return
        for b, i in reversed(cells[: here + 1]):
            if b.tophash[i] != MARKS.empty_one:
                return
            b.tophash[i] = MARKS.empty_rest

    # Overflow buckets

    def new_overflow(self, bucket: Bmap) -> Bmap:
        """hmap.newoverflow: the next preallocated overflow bucket, or one of its own, hung behind `bucket`."""
        assert self.buckets is not None
        overflow = self.extra.next_overflow if self.extra is not None else None
        if overflow is None:
            overflow = Bmap()
        elif overflow.overflow is None:
            assert self.extra is not None
            assert overflow.row is not None
            self.extra.next_overflow = self.buckets.rows[overflow.row + 1]
        else:  # the sentinel: it was the last one
            assert self.extra is not None
            overflow.overflow = None
            self.extra.next_overflow = None
        self._incr_noverflow()
        if not self.type.bucket_has_pointers:
            self._create_overflow().append(overflow)
        bucket.overflow = overflow
        return overflow

    def _incr_noverflow(self) -> None:
        if self.B < EXACT_NOVERFLOW_B or self.chance.counts(self.B):
            self.noverflow = self.noverflow + 1 & NOVERFLOW_MASK

    def _create_overflow(self) -> list[Bmap]:
        if self.extra is None:
            self.extra = Extra()
        if self.extra.overflow is None:
            self.extra.overflow = []
        return self.extra.overflow

    # Growing

    def _should_grow(self) -> bool:
        return self.oldbuckets is None and (
            over_load_factor(self.release, self.count + 1, self.B) or too_many_overflow_buckets(self.noverflow, self.B)
        )

    def _hash_grow(self) -> None:
        """runtime.hashGrow: the new array, and what becomes of flags and lists; nothing moves yet."""
        bigger = 1 if over_load_factor(self.release, self.count + 1, self.B) else 0
        flags = self.flags & ~(ITERATOR | OLD_ITERATOR)
        if self.flags & ITERATOR:
            flags |= OLD_ITERATOR
        self.flags = flags if bigger else flags | SAME_SIZE_GROW
        self.oldbuckets = self.buckets
        self.B += bigger
        self.buckets = make_bucket_array(self.release, self.type, self.B)
        self.nevacuate = self.noverflow = 0
        self.evacuated = np.zeros(self.noldbuckets, dtype=bool)
        if self.extra is not None and self.extra.overflow is not None:
            self.extra.oldoverflow, self.extra.overflow = self.extra.overflow, None
        if self.buckets.next_overflow is not None:
            self.extra = self.extra or Extra()
            self.extra.next_overflow = self.buckets.next_overflow

    def _grow_work(self, bucket: int) -> None:
        """runtime.growWork: the old bucket about to be used, and the one at the mark."""
        self._evacuate(bucket & self.noldbuckets - 1)
        if self.oldbuckets is not None:
            self._evacuate(self.nevacuate)

    def _evacuate(self, oldbucket: int) -> None:
        """runtime.evacuate and its fast variants."""
        assert self.oldbuckets is not None
        assert self.buckets is not None
        if not self.evacuated[oldbucket]:
            head = self.oldbuckets.rows[oldbucket]
            halves = [Destination(self.buckets.rows[oldbucket])]
            if not self.flags & SAME_SIZE_GROW:
                halves.append(Destination(self.buckets.rows[oldbucket + self.noldbuckets]))
            for bucket in head.chain():
                for cell, top in enumerate(bucket.tophash):
                    if is_empty(top):
                        bucket.tophash[cell] = MARKS.evacuated_empty
                    else:
                        self._move(bucket, cell, halves)
            if not self.flags & OLD_ITERATOR and self.type.bucket_has_pointers:
                head.clear_data()
            self.evacuated[oldbucket] = True
        if oldbucket == self.nevacuate:
            self._advance_evacuation_mark()

    def _move(self, bucket: Bmap, cell: int, halves: list[Destination]) -> None:
        """Move one entry to its half of the new array and leave the marker."""
        top, key, elem = bucket.tophash[cell], bucket.keys[cell], bucket.elems[cell]
        use_y = 0
        if not self.flags & SAME_SIZE_GROW:
            hash_value = self._hash(key, elem)
            use_y = 1 if hash_value & self.noldbuckets else 0
            if self.flags & ITERATOR and not self.type.reflexive_key and not self.type.equal(key, key):
                # An iterator must foresee where this key goes, so its old tophash decides; then it gets a new one.
                use_y, top = top & 1, tophash(hash_value)
        bucket.tophash[cell] = MARKS.evacuated_x + use_y
        destination = halves[use_y]
        if destination.cell == BUCKET_CELLS:
            destination.bucket, destination.cell = self.new_overflow(destination.bucket), 0
        destination.bucket.put(destination.cell, top, key, elem)
        destination.cell += 1

    def _advance_evacuation_mark(self) -> None:
        """runtime.advanceEvacuationMark, and the end of a growth."""
        self.nevacuate = advance_mark(self.evacuated, self.nevacuate)
        if self.nevacuate == len(self.evacuated):
            self.oldbuckets, self.evacuated = None, np.zeros(0, dtype=bool)
            if self.extra is not None:
                self.extra.oldoverflow = None
            self.flags &= ~SAME_SIZE_GROW
