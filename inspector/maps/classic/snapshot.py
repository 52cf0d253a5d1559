"""Copying one map while its process stands still: header, extra, both arrays, chains, keys."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.bmap import bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.scalars import slice_header
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Reach
from inspector.maps.classic.account import account_of
from inspector.maps.classic.buckets import NO_NEXT, SHARED_NEXT, UNREADABLE_NEXT, BucketArray
from inspector.maps.classic.checks import MapView, judge
from inspector.maps.classic.contents import entries_of, slots_of_all, string_bytes_of
from inspector.maps.classic.copied import MapCopy
from inspector.maps.classic.header import MapExtra, read_header
from inspector.maps.classic.layout import layout_of
from inspector.maps.classic.mirror.growth import LARGEST_B, PREALLOCATED_FROM_B, allocated_buckets
from inspector.maps.copying import Copier
from inspector.maps.family import Account, Entry, Slots, Source
from inspector.maps.findings import Judgement
from inspector.memory.counting import CountingMemory
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

OUTSIDE = -9
"""The overflow pointer leads to a bucket that was allocated on its own."""

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

    def account(self) -> Account:
        """See Snapshot.account."""
        return account_of(self.view)

    def row(self) -> Account:
        """See Snapshot.row."""
        return self.account()

    def entries(self) -> Iterator[Entry]:
        """See Snapshot.entries."""
        return entries_of(self.view)

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


def take_snapshot(source: Source, address: int, go_type: GoType, shown: int | None) -> MapSnapshot:
    """See Reader.take_snapshot; whatever cannot be read but the header is named in the snapshot."""
    reader = CountingMemory(source.memory)
    snapshot = _SnapshotTaker(replace(source, memory=reader), address, go_type).take(shown)
    return replace(snapshot, hash_keys=source.hash_keys, bytes_read=reader.count)


class _SnapshotTaker(Copier):
    def __init__(self, source: Source, address: int, go_type: GoType) -> None:
        super().__init__(source, address, go_type)
        self.layout = layout_of(go_type)

    def take(self, shown: int | None) -> MapSnapshot:
        header = read_header(self.memory, self.address, self.release)
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
        lists: dict[str, tuple[int, ...] | None] = {}
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

    def _overflow_list(self, address: int) -> tuple[int, ...]:
        size = slice_header.sizeof()
        header = slice_header.parse(self.memory.read(address, size))
        data, length, capacity = header.data, header.len, header.cap
        if not 0 <= length <= min(capacity, MAX_OVERFLOW_LIST):
            raise UnreadableMemory(address, size, f"a slice of length {length} and capacity {capacity}")
        if not self.regions.covers(data, length * POINTER_SIZE):
            if not length:
                return ()
            raise UnreadableMemory(data, length * POINTER_SIZE, "it is not mapped")
        return struct.unpack(f"<{length}Q", self.memory.read(data, length * POINTER_SIZE))

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
        raw = np.frombuffer(self.memory.read(address, rows * dtype.itemsize), dtype=np.uint8)
        cells = raw.view(dtype)
        chains = _Chains.start(address, cells, size)
        level = np.arange(size)
        pointers = np.asarray(cells["overflow"])[:size]
        most = CHAIN_ROWS_FLOOR + CHAIN_ROWS_PER_BUCKET * size
        cut = True
        with self.in_time(f"overflow buckets of {name}"):
            while len(level):
                level, pointers = self._follow(chains, level, pointers, most)
            cut = False
        if cut:
            chains.next[level[pointers != 0]] = UNREADABLE_NEXT
        return chains.finish(address, size, tail)

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
        twice[outside] = [pointer in chains.seen for pointer in pointers[outside].tolist()]

        target[target == OUTSIDE] = UNREADABLE_NEXT
        target[twice] = SHARED_NEXT
        apart = outside[~twice[outside]]
        if len(apart) and chains.used + len(apart) <= most:
            data, ok = gather(self.memory, self.regions, pointers[apart], self.layout.bucket_size)
            read = apart[ok]
            target[read] = chains.append(pointers[read], data[ok])
        chains.next[level] = target
        reached = target >= 0
        rows = target[reached]
        chains.home[rows] = chains.home[level[reached]]
        chains.depth[rows] = chains.depth[level[reached]] + 1
        return rows, chains.overflow_of(rows)

    # What cells point to

    def _copy_pointed_to(
        self, frozen: FrozenMemory, buckets: BucketArray | None, old: BucketArray | None, shown: int | None
    ) -> None:
        reach = Reach(self.types, self.memory, self.regions, frozen)
        key, elem = self.types.key(self.type), self.types.elem(self.type)
        left = shown
        for array in (buckets, old):
            if array is None:
                continue
            live = array.live(self.release.marks.min_tophash)
            if key.has_pointers or self.layout.indirect_key:
                # Evacuated cells may keep their keys, whose hashes explain where they went.
                keyed = live | (array.tophash >= self.release.marks.evacuated_x) & array.in_use[:, None]
                self.copy_behind(reach, key, self.layout.indirect_key, array.slots("keys")[keyed], KEY_LIMITS)
            rows = array.order
            at_row, at_cell = np.nonzero(live[rows])
            at_row, at_cell = rows[at_row[:left]], at_cell[:left]
            left = None if left is None else left - len(at_row)
            keys, elems = array.slots("keys")[at_row, at_cell], array.slots("elems")[at_row, at_cell]
            self.copy_behind(reach, key, self.layout.indirect_key, keys, VALUE_LIMITS)
            self.copy_behind(reach, elem, self.layout.indirect_elem, elems, VALUE_LIMITS)


@dataclass
class _Chains:
    """A BucketArray while it is being read. Its row arrays have room to grow; `used` rows are filled."""

    pieces: list[NDArray[np.void]]
    array_rows: int
    stride: np.uint64
    used: int
    addresses: Addresses
    home: NDArray[np.int64]
    depth: NDArray[np.int64]
    next: NDArray[np.int64]
    last_piece: int = 0
    seen: set[int] = field(default_factory=set)

    @staticmethod
    def start(address: int, cells: NDArray[np.void], size: int) -> _Chains:
        """Begin with the array itself; rows from `size` on are its preallocated tail."""
        rows = len(cells)
        stride = np.uint64(cells.dtype.itemsize)
        numbers = np.arange(rows)
        return _Chains(
            pieces=[cells],
            array_rows=rows,
            stride=stride,
            used=rows,
            addresses=np.uint64(address) + numbers.astype(np.uint64) * stride,
            home=np.where(numbers < size, numbers, -1),
            depth=np.zeros(rows, np.int64),
            next=np.full(rows, NO_NEXT, np.int64),
        )

    def rows_inside(self, pointers: Addresses) -> NDArray[np.int64]:
        """Rows of the array or its tail that pointers lead to; OUTSIDE, or UNREADABLE_NEXT if askew."""
        distance = pointers - self.addresses[0]
        inside = distance < self.stride * np.uint64(self.array_rows)
        askew = np.where(inside, distance % self.stride, pointers % np.uint64(POINTER_SIZE)) != 0
        rows = np.where(inside, (distance // self.stride).astype(np.int64), OUTSIDE)
        rows[askew] = UNREADABLE_NEXT
        return rows

    def append(self, addresses: Addresses, data: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Add overflow buckets that lie apart from the array; returns their rows."""
        count = len(addresses)
        rows = np.arange(self.used, self.used + count)
        self._reserve(self.used + count)
        self.last_piece = self.used
        self.pieces.append(np.ascontiguousarray(data).reshape(-1).view(self.pieces[0].dtype))
        self.addresses[rows] = addresses
        self.home[rows], self.depth[rows], self.next[rows] = -1, 0, NO_NEXT
        self.used += count
        self.seen.update(addresses.tolist())
        return rows

    def _reserve(self, rows: int) -> None:
        if rows > len(self.home):
            more = max(rows - len(self.home), len(self.home) // 4 + 64)
            for name in ("addresses", "home", "depth", "next"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate((old, np.zeros(more, old.dtype))))

    def overflow_of(self, rows: NDArray[np.int64]) -> Addresses:
        """Overflow pointers of rows that lie in the array or were appended last."""
        apart = rows >= self.array_rows
        pointers = np.zeros(len(rows), np.uint64)
        pointers[~apart] = self.pieces[0]["overflow"][rows[~apart]]
        pointers[apart] = self.pieces[-1]["overflow"][rows[apart] - self.last_piece]
        return pointers

    def finish(self, address: int, size: int, tail: int) -> BucketArray:
        """Join the pieces."""
        cells = self.pieces[0] if len(self.pieces) == 1 else np.concatenate(self.pieces)
        rows = slice(0, self.used)
        return BucketArray(
            address, size, tail, cells, self.addresses[rows], self.home[rows], self.depth[rows], self.next[rows]
        )
