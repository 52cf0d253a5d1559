"""What a state means: how far a growth is, what comes next, what the map holds and wastes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import hmap
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.goruntime.scalars import string_header
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.evacuation import WritesToFinish, writes_to_finish
from inspector.maps.classic.mirror.growth import (
    GrowthKind,
    NextGrowth,
    allocated_buckets,
    b_for_hint,
    next_growth,
)

SLICE_HEADER = 24
POINTER_SIZE = 8
MAX_B = 62


@dataclass(frozen=True)
class Growth:
    """The growth under way (`kind`, else None), and the next one.

    `frontier` counts old buckets evacuated below nevacuate, `evacuated` all of them. `load` is entries per
    bucket, `load_factor_limit` the load that doubles a large map.
    """

    kind: GrowthKind | None
    old_buckets: int
    evacuated: int
    frontier: int
    writes_to_finish: WritesToFinish | None
    load: float
    load_factor_limit: float
    next: NextGrowth | None


@dataclass(frozen=True)
class BytesHeld:
    """Bytes that the map's own structures hold, and what they would be if it were rebuilt with its count."""

    buckets: int
    overflow: int
    old: int
    header: int
    if_rebuilt: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.buckets + self.overflow + self.old + self.header


@dataclass(frozen=True)
class Occupancy:
    """Cells and buckets of the new array with its overflow buckets, and what the old array still hangs on to."""

    buckets: int
    overflow_buckets: int
    old_overflow_buckets: int
    cells: int
    live: int
    chain_lengths: dict[int, int]
    bytes: BytesHeld


def growth_of(view: MapView) -> Growth:
    """Summarise the growth of a map; numbers that its state makes impossible are 0 or None."""
    header, release = view.header, view.snapshot.release
    b = min(header.B, MAX_B)
    kind = view.growing
    evacuated = view.evacuated
    mark = min(header.nevacuate, len(evacuated))
    left = writes_to_finish(evacuated, mark) if kind and len(evacuated) else None
    sound = kind is None and header.count >= 0 and header.B <= MAX_B
    return Growth(
        kind=kind,
        old_buckets=1 << header.old_b if kind and 0 <= header.old_b <= MAX_B else 0,
        evacuated=int(np.count_nonzero(evacuated)),
        frontier=int(np.count_nonzero(evacuated[:mark])),
        writes_to_finish=left,
        load=header.count / (1 << b),
        load_factor_limit=release.load_factor_half / 2,
        next=next_growth(release, header.count, header.B, header.noverflow) if sound else None,
    )


def occupancy_of(view: MapView) -> Occupancy:
    """Count what a map holds."""
    new, old = view.new, view.old
    overflow = len(new.overflow_rows) if new else 0
    lengths, counts = np.unique(new.chain_lengths, return_counts=True) if new else ((), ())
    return Occupancy(
        buckets=new.size if new else 0,
        overflow_buckets=overflow,
        old_overflow_buckets=len(old.overflow_rows) if old else 0,
        cells=((new.size if new else 0) + overflow) * BUCKET_CELLS,
        live=view.live_count,
        chain_lengths={int(n): int(c) for n, c in zip(lengths, counts, strict=True)},
        bytes=_bytes_held(view),
    )


def _bytes_held(view: MapView) -> BytesHeld:
    snapshot, new, old = view.snapshot, view.new, view.old
    size = snapshot.layout.bucket_size
    extra = snapshot.extra
    header = hmap(snapshot.release).sizeof()
    if extra is not None:
        header += mapextra.sizeof()
        for listed in (extra.overflow, extra.oldoverflow):
            header += SLICE_HEADER + POINTER_SIZE * len(listed) if listed is not None else 0
    return BytesHeld(
        buckets=new.size * size if new else 0,
        overflow=(len(new.cells) - new.size) * size if new else 0,
        old=len(old.cells) * size if old else 0,
        header=header,
        if_rebuilt=_if_rebuilt(view),
    )


def string_bytes(view: MapView) -> int:
    """Bytes of the strings in the cells of live entries, each string once however often it is there.

    Strings in structs and arrays count; what lies behind pointers, interfaces and slices, or in keys and elements that
    are stored apart, does not.
    """
    snapshot, types = view.snapshot, view.snapshot.types
    minimum = snapshot.release.marks.min_tophash
    parts = [
        ("keys", types.key(snapshot.type), snapshot.layout.indirect_key),
        ("elems", types.elem(snapshot.type), snapshot.layout.indirect_elem),
    ]
    headers = [
        np.ascontiguousarray(array.slots(name)[array.live(minimum)][:, at : at + string_header.sizeof()])
        for name, go_type, indirect in parts
        for at in (() if indirect else _string_offsets(types, go_type))
        for _, array in view.arrays
    ]
    if not headers:
        return 0
    strings = np.concatenate(headers).view(dtype_of(string_header)).reshape(-1)
    lengths = np.where(strings["len"] > 0, strings["len"], 0).astype(np.uint64)
    sound = snapshot.regions.contains(strings["data"], lengths)
    first, group = np.unique(strings["data"][sound], return_inverse=True)
    # One string may begin where another does that is a part of it.
    longest = np.zeros(len(first), np.uint64)
    np.maximum.at(longest, group, lengths[sound])
    return int(longest.sum())


def _string_offsets(types: TypeTable, go_type: GoType, at: int = 0) -> Iterator[int]:
    """Where in a value strings are."""
    if go_type.kind == Kind.STRING:
        yield at
    elif go_type.kind == Kind.STRUCT:
        for field in go_type.fields:
            yield from _string_offsets(types, types.get(field.type_address), at + field.offset)
    elif go_type.kind == Kind.ARRAY and go_type.size:
        elem = types.elem(go_type)
        for each in range(at, at + go_type.size, elem.size):
            yield from _string_offsets(types, elem, each)


def _if_rebuilt(view: MapView) -> int:
    """Bytes of make(map, count): runtime.makemap with the present count as its hint."""
    snapshot = view.snapshot
    count = max(0, min(view.header.count, 1 << MAX_B))
    b = b_for_hint(snapshot.release, count)
    header: int = hmap(snapshot.release).sizeof()
    if b == 0 and count == 0:
        return header
    layout = snapshot.layout
    buckets = allocated_buckets(snapshot.release, layout.bucket_size, layout.bucket_has_pointers, b)
    extra: int = mapextra.sizeof() if buckets > 1 << b else 0
    return header + buckets * layout.bucket_size + extra
