"""Copying one map while its process stands still: header, extra, both arrays, chains, keys."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.copying.room import require_memory
from inspector.errors import UnreadableMemory
from inspector.goruntime.bmap import bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.scalars import slice_header
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import Reach
from inspector.maps.classic.account import account_of
from inspector.maps.classic.buckets import NO_NEXT, SHARED_NEXT, UNREADABLE_NEXT, BucketArray, Depths, Rows
from inspector.maps.classic.checks import MapView, judge
from inspector.maps.classic.contents import entries_of, live_rows, slots_of_all, string_bytes_of, values_of_all
from inspector.maps.classic.copied import MapCopy
from inspector.maps.classic.header import MapExtra, read_header
from inspector.maps.classic.layout import layout_of
from inspector.maps.classic.mirror.growth import EXACT_NOVERFLOW_B, LARGEST_B, PREALLOCATED_FROM_B, allocated_buckets
from inspector.maps.copying import Copier, chosen
from inspector.maps.family import Account, Entry, Slots, Snapshot, Source
from inspector.maps.findings import Judgement
from inspector.maps.liverows import LiveRows
from inspector.maps.slots import Numbers, pick, places
from inspector.maps.values import Values
from inspector.maps.windows import SMALL_WINDOW, index_type, joined, windows
from inspector.memory.counting import counting
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather_near
from inspector.memory.protocol import Addresses, Filling
from inspector.memory.sets import is_among

OUTSIDE = -9
"""The overflow pointer leads to a bucket that was allocated on its own."""

SOME_APART = 64
"""Overflow buckets apart from an array that there is room for in any case."""

POINTER_SIZE = 8
MAX_OVERFLOW_LIST = 1 << 28
CHAIN_ROWS_PER_BUCKET = 16
CHAIN_ROWS_FLOOR = 1 << 20
"""A chain through hostile memory may be as long as that memory: reading ends at these many buckets."""


@dataclass(frozen=True)
class MapSnapshot(MapCopy):
    """See Snapshot: one map, copied, with what can be asked of it."""

    @property
    def view(self) -> MapView:
        """The map in the mirror's terms. It is not kept: the two would hold each other, and megabytes, in memory."""
        return MapView(self)

    def judge(self, incomplete: bool = False) -> Judgement:
        """See Snapshot.judge."""
        return judge(self.view, incomplete)

    def shows_the_same(self, later: Snapshot) -> bool:
        """See Snapshot.shows_the_same."""
        return (
            isinstance(later, MapSnapshot)
            and (self.address, self.header, self.extra) == (later.address, later.header, later.extra)
            and self.unusable == later.unusable
            and _alike(self.buckets, later.buckets)
            and _alike(self.old, later.old)
        )

    def account(self) -> Account:
        """See Snapshot.account."""
        return account_of(self.view)

    def row(self) -> Account:
        """See Snapshot.row."""
        return self.account()

    def entries(self, chosen: NDArray[np.int64] | None = None) -> Iterator[Entry]:
        """See Snapshot.entries."""
        return entries_of(self.view, chosen)

    def live(self) -> Iterator[LiveRows]:
        """See Snapshot.live."""
        return live_rows(self.view)

    def values(self) -> tuple[Values, Values]:
        """See Snapshot.values."""
        return values_of_all(self.view)

    def slots(self) -> Slots:
        """See Snapshot.slots."""
        return slots_of_all(self.view)

    def string_bytes(self) -> int:
        """See Snapshot.string_bytes."""
        return string_bytes_of(self.view)

    def proven_without_keys(self) -> bool:
        """See Snapshot.proven_without_keys: by the overflow buckets that makeBucketArray allocates with an array.

        Some may be in store: rule O3 then finds a pointer back to the array at their end, and that word is nowhere else
        than where makeBucketArray puts it for buckets of this size. Or all of them are in chains.
        """
        if self.header.count or self.header.B < PREALLOCATED_FROM_B or self.extra is None or self.buckets is None:
            return False
        return self.extra.next_overflow != 0 or self.buckets.tail_in_use


def _alike(one: BucketArray | None, other: BucketArray | None) -> bool:
    return one is other if one is None or other is None else one.same_keys(other)


def take_snapshot(source: Source, address: int, go_type: GoType, shown: int | None) -> MapSnapshot:
    """See Reader.take_snapshot; whatever cannot be read but the header is named in the snapshot."""
    reader = counting(source.memory)
    snapshot = _SnapshotTaker(replace(source, memory=reader), address, go_type).take(shown)
    return replace(snapshot, hash_keys=source.hash_keys, bytes_read=reader.count)


class _SnapshotTaker(Copier):
    def __init__(self, source: Source, address: int, go_type: GoType) -> None:
        self.layout = layout_of(go_type)
        super().__init__(source, address, go_type, (self.layout.indirect_key, self.layout.indirect_elem))
        self.noverflow = 0

    def take(self, shown: int | None) -> MapSnapshot:
        header = read_header(self.memory, self.address, self.release)
        self.noverflow = header.noverflow
        extra = None
        if header.extra:
            with self.in_time("extra", "extra"):
                extra = self._extra(header.extra)
        buckets = self._array("buckets", header.buckets, header.B)
        old = self._array("oldbuckets", header.oldbuckets, header.old_b)
        frozen = FrozenMemory()
        with self.in_time("what keys and elements point to"):
            self._copy_pointed_to(frozen, buckets, old, shown)
        frozen.late = bool(self.late)
        return MapSnapshot(
            self.address,
            self.type,
            self.types,
            self.release,
            header,
            extra,
            buckets,
            old,
            self.unusable,
            tuple(self.late),
            frozen,
            self.regions,
        )

    # mapextra

    def _extra(self, address: int) -> MapExtra | None:
        try:
            fields = mapextra.parse(self.memory.read(address, mapextra.sizeof()))
        except UnreadableMemory as error:
            self.unusable["extra"] = error.reason
            return None
        unreadable = []
        lists: dict[str, array[int] | None] = {}
        for name in ("overflow", "oldoverflow"):
            lists[name] = None
            if fields[name]:
                try:
                    lists[name] = self._overflow_list(fields[name])
                except UnreadableMemory:
                    unreadable.append(name)
        return MapExtra(
            address,
            fields.overflow,
            fields.oldoverflow,
            fields.nextOverflow,
            lists["overflow"],
            lists["oldoverflow"],
            tuple(unreadable),
        )

    def _overflow_list(self, address: int) -> array[int]:
        size = slice_header.sizeof()
        header = slice_header.parse(self.memory.read(address, size))
        data, length, capacity = header.data, header.len, header.cap
        if not 0 <= length <= min(capacity, MAX_OVERFLOW_LIST):
            raise UnreadableMemory(address, size, f"a slice of length {length} and capacity {capacity}")
        if not self.regions.covers(data, length * POINTER_SIZE):
            if not length:
                return array("Q")
            raise UnreadableMemory(data, length * POINTER_SIZE, "it is not mapped")
        return array("Q", bytes(self.memory.read(data, length * POINTER_SIZE)))

    # Bucket arrays

    def _array(self, name: str, address: int, b: int) -> BucketArray | None:
        if not address:
            return None
        reason = self._why_unusable(address, b)
        if reason is None:
            size = 1 << b
            layout = self.layout
            rows = allocated_buckets(self.release, layout.bucket_size, layout.bucket_has_pointers, b)
            if not self.regions.covers(address, rows * layout.bucket_size):
                rows = size
            require_memory(rows * layout.bucket_size, "an array of buckets")
            try:
                with self.in_time(name, name):
                    return self._chains(name, address, size, rows - size)
                return None
            except UnreadableMemory as error:
                reason = error.reason
        self.unusable[name] = reason
        return None

    def _why_unusable(self, address: int, b: int) -> str | None:
        if not 0 <= b <= LARGEST_B:
            return f"2^{b} buckets are impossible"
        if address % POINTER_SIZE:
            return f"{address:#x} is not aligned to {POINTER_SIZE} bytes"
        size = self.layout.bucket_size << b
        if not self.regions.covers(address, size):
            return f"the {size} bytes from {address:#x} on are not all mapped"
        return None

    def _chains(self, name: str, address: int, size: int, tail: int) -> BucketArray:
        dtype = dtype_of(bmap(self.layout.key_slot, self.layout.elem_slot))
        rows = size + tail
        everything = self._read_array(name, address, dtype, size, tail)
        cells = everything[:rows]
        most = CHAIN_ROWS_FLOOR + CHAIN_ROWS_PER_BUCKET * size
        chains = _Chains.start(address, everything, rows, size, index_type(rows + most))
        level, pointers = _overflowing(cells[:size])
        cut = True
        with self.in_time(f"overflow buckets of {name}"):
            while len(level):
                level, pointers = self._follow(chains, level, pointers, most)
            cut = False
        if cut:
            chains.next[level[pointers != 0]] = UNREADABLE_NEXT
        return chains.finish(address, size, tail)

    def _read_array(self, name: str, address: int, dtype: np.dtype[Any], size: int, tail: int) -> NDArray[np.void]:
        """An array and its tail; there may be room behind them for overflow buckets that lie apart.

        So what is copied is not copied again for their sake. What memory gives without a copy is not copied at all.
        """
        rows = size + tail
        if not isinstance(self.memory, Filling):
            return np.frombuffer(self.memory.read(address, rows * dtype.itemsize), np.uint8).view(dtype)
        raw = np.empty((rows + self._apart(name, size, tail)) * dtype.itemsize, np.uint8)
        count = rows * dtype.itemsize
        self.memory.read_into(np.array([address], np.uint64), np.array([count], np.uint64), raw[:count])
        return raw.view(dtype)

    def _apart(self, name: str, size: int, tail: int) -> int:
        """About how many overflow buckets there may be that are not of the tail. noverflow is of the new array."""
        told = self.noverflow << max(0, size.bit_length() - EXACT_NOVERFLOW_B)
        return SOME_APART + (min(max(0, told - tail) * 5 // 4, size // 2) if name == "buckets" else size // 4)

    def _follow(
        self, chains: _Chains, level: NDArray[np.int64], pointers: Addresses, most: int
    ) -> tuple[NDArray[np.int64], Addresses]:
        """Follow one level of all chains at once; returns the rows reached and their overflow pointers."""
        level, pointers = level[pointers != 0], pointers[pointers != 0]
        target = chains.rows_inside(pointers)
        # A bucket reached twice belongs to the first that leads to it; the second is shared, or a loop.
        _, first = np.unique(pointers, return_index=True)
        twice = np.ones(len(level), dtype=bool)
        twice[first] = False
        inside = target >= 0
        twice[inside] |= chains.home[target[inside]] >= 0
        outside = np.flatnonzero((target == OUTSIDE) & ~twice)
        twice[outside] = chains.added(pointers[outside])

        target[target == OUTSIDE] = UNREADABLE_NEXT
        target[twice] = SHARED_NEXT
        apart = outside[~twice[outside]]
        chains.begin_level()
        for window in windows(len(apart), length=SMALL_WINDOW) if chains.used + len(apart) <= most else ():
            data, ok = gather_near(self.memory, self.regions, pointers[apart[window]], self.layout.bucket_size)
            read = apart[window][ok]
            target[read] = chains.append(pointers[read], data if ok.all() else data[ok])
        chains.next[level] = target
        reached = target >= 0
        rows = target[reached]
        chains.home[rows] = chains.home[level[reached]]
        chains.deepen(rows, level[reached])
        return rows, chains.overflow_of(rows)

    # What cells point to

    def _copy_pointed_to(
        self, frozen: FrozenMemory, new: BucketArray | None, old: BucketArray | None, shown: int | None
    ) -> None:
        reach, marks = Reach(self.types, self.memory, self.regions, frozen), self.release.marks
        left = shown
        for buckets in (new, old):
            if buckets is None or not self.leads:
                continue
            # Evacuated cells may keep their keys, whose hashes explain where they went.
            keys = partial(_slots, buckets, "keys", marks.evacuated_x)
            if left is None:
                self.copy_behind_entries(reach, keys, (keys, partial(_slots, buckets, "elems", marks.min_tophash)))
            else:
                at = _first_of(buckets.live(marks.min_tophash), buckets.order, left)
                left -= len(at[0])
                some = partial(chosen, buckets.slots("keys"), *at), partial(chosen, buckets.slots("elems"), *at)
                self.copy_behind_entries(reach, keys, some)


def _slots(buckets: BucketArray, part: str, min_tophash: int, length: int | None) -> Iterator[NDArray[np.uint8]]:
    """The "keys" or "elems" (k, slot size) of cells that hold an entry by their tophash; see SlotWindows."""
    slots = buckets.slots(part)
    for window in windows(max(len(buckets.cells), 1), length=length or len(buckets.cells)):
        yield pick(slots[window], *places(buckets.live(min_tophash, window)))


def _overflowing(cells: NDArray[np.void]) -> tuple[Numbers, Addresses]:
    """Rows whose overflow pointer is not nil, and those pointers; found window by window, as rows may be a file's."""
    rows, pointers = [], []
    for part in windows(len(cells)):
        overflow = np.asarray(cells["overflow"][part])
        some = np.flatnonzero(overflow)
        rows.append(some + part.start)
        pointers.append(overflow[some])
    return joined(rows), joined(pointers, np.uint64)


def _first_of(live: NDArray[np.bool_], rows: NDArray[np.int64], most: int) -> tuple[Numbers, Numbers]:
    """Rows and cells of the first `most` live cells, in the order of `rows`."""
    # A few rows have as many as are shown, and to look at all of them takes long while the target is held.
    some = max(most, SOME_APART)
    while some < len(rows) and np.count_nonzero(live[rows[:some]]) < most:
        some *= 4
    at_row, at_cell = places(live[rows[:some]])
    return rows[at_row[:most]], at_cell[:most]


@dataclass
class _Chains:
    """A BucketArray while it is being read. Its row arrays have room to grow; `used` rows are filled.

    `everything` begins with the array and its tail, and its first `fitted` rows are filled. What fits into it is copied
    there, as long as all did so far; what comes then is in `pieces`, which are joined with it in the end.
    """

    everything: NDArray[np.void]
    fitted: int
    address: np.uint64
    array_rows: int
    stride: np.uint64
    used: int
    home: Rows
    depth: Depths
    next: Rows
    apart: list[Addresses] = field(default_factory=list)
    pieces: list[NDArray[np.void]] = field(default_factory=list)
    level_from: int = 0
    level: list[Addresses] = field(default_factory=list)

    @staticmethod
    def start(address: int, everything: NDArray[np.void], rows: int, size: int, index: type[Any]) -> _Chains:
        """Begin with the array itself; rows from `size` on are its preallocated tail, what follows is room."""
        home = np.full(rows, -1, index)
        home[:size] = np.arange(size, dtype=index)
        return _Chains(
            everything=everything,
            fitted=rows,
            address=np.uint64(address),
            array_rows=rows,
            stride=np.uint64(everything.dtype.itemsize),
            used=rows,
            home=home,
            depth=np.zeros(rows, np.uint8),
            next=np.full(rows, NO_NEXT, index),
        )

    def rows_inside(self, pointers: Addresses) -> NDArray[np.int64]:
        """Rows of the array or its tail that pointers lead to; OUTSIDE, or UNREADABLE_NEXT if askew."""
        distance = pointers - self.address
        inside = distance < self.stride * np.uint64(self.array_rows)
        askew = np.where(inside, distance % self.stride, pointers % np.uint64(POINTER_SIZE)) != 0
        rows = np.where(inside, (distance // self.stride).astype(np.int64), OUTSIDE)
        rows[askew] = UNREADABLE_NEXT
        return rows

    def added(self, pointers: Addresses) -> NDArray[np.bool_]:
        """Which pointers lead to overflow buckets that were added before."""
        return is_among(pointers, joined(self.apart, np.uint64))

    def begin_level(self) -> None:
        """What is added from now on is of another level of the chains."""
        self.level_from, self.level = self.used, []

    def append(self, addresses: Addresses, data: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Add overflow buckets that lie apart from the array; returns their rows."""
        count = len(addresses)
        rows = np.arange(self.used, self.used + count)
        self._reserve(self.used + count)
        piece = np.ascontiguousarray(data).reshape(-1).view(self.everything.dtype)
        if self.pieces or self.used + count > len(self.everything):
            self.pieces.append(piece)
        elif count:
            self.fitted += count
            self.everything[self.used : self.fitted] = piece
        self.level.append(piece["overflow"].copy())
        self.apart.append(addresses)
        self.home[rows], self.depth[rows], self.next[rows] = -1, 0, NO_NEXT
        self.used += count
        return rows

    def _reserve(self, rows: int) -> None:
        if rows > len(self.home):
            more = max(rows - len(self.home), len(self.home) // 4 + 64)
            for name in ("home", "depth", "next"):
                old = getattr(self, name)
                # What is not filled later takes no memory.
                longer = np.empty(len(old) + more, old.dtype)
                longer[: len(old)] = old
                setattr(self, name, longer)

    def deepen(self, rows: NDArray[np.int64], before: NDArray[np.int64]) -> None:
        """Note how deep in their chains the rows of one level are, each of which follows one of those `before`."""
        if not len(rows):
            return
        depth = int(self.depth[before[0]]) + 1
        if depth > np.iinfo(self.depth.dtype).max:
            self.depth = self.depth.astype(self.home.dtype)
        self.depth[rows] = depth

    def overflow_of(self, rows: NDArray[np.int64]) -> Addresses:
        """Overflow pointers of rows that lie in the array or were added in the last level."""
        apart = rows >= self.array_rows
        pointers = np.zeros(len(rows), np.uint64)
        pointers[~apart] = self.everything["overflow"][rows[~apart]]
        pointers[apart] = joined(self.level, np.uint64)[rows[apart] - self.level_from]
        return pointers

    def finish(self, address: int, size: int, tail: int) -> BucketArray:
        """Join the pieces."""
        cells = self.everything[: self.fitted]
        if self.pieces:
            cells = np.empty(self.used, self.everything.dtype)
            # In windows, as what is copied may be a file's, whose pages count as memory of ours.
            for part in windows(self.fitted):
                cells[part] = self.everything[part]
            np.concatenate(self.pieces, out=cells[self.fitted :])
        rows, apart = slice(0, self.used), joined(self.apart, np.uint64)
        return BucketArray(address, size, tail, cells, apart, self.home[rows], self.depth[rows], self.next[rows])
