"""What a state means: how far a growth is, what comes next, what the map holds and wastes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.goruntime.hmap import hmap
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.header import MAX_B
from inspector.maps.classic.mirror.evacuation import WritesToFinish, writes_to_finish
from inspector.maps.classic.mirror.growth import (
    GrowthKind,
    NextGrowth,
    allocated_buckets,
    b_for_hint,
    next_growth,
)
from inspector.maps.family import Held

SLICE_HEADER = 24
POINTER_SIZE = 8


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
class Occupancy:
    """Cells and buckets of the new array with its overflow buckets, and what the old array still hangs on to."""

    buckets: int
    overflow_buckets: int
    old_overflow_buckets: int
    cells: int
    live: int
    chain_lengths: dict[int, int]
    bytes: Held


def growth_of(view: MapView) -> Growth:
    """Summarise the growth of a map; numbers that its state makes impossible are 0 or None."""
    header, release = view.header, view.snapshot.release
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
        load=header.load,
        load_factor_limit=release.load_factor_half / 2,
        next=next_growth(release, header.count, header.B, header.noverflow) if sound else None,
    )


def occupancy_of(view: MapView) -> Occupancy:
    """Count what a map holds."""
    new, old = view.new, view.old
    overflow = len(new.overflow_rows) if new else 0
    return Occupancy(
        buckets=new.size if new else 0,
        overflow_buckets=overflow,
        old_overflow_buckets=len(old.overflow_rows) if old else 0,
        cells=((new.size if new else 0) + overflow) * BUCKET_CELLS,
        live=view.live_count,
        chain_lengths=_chain_lengths(new) if new else {},
        bytes=_bytes_held(view),
    )


def _chain_lengths(array: BucketArray) -> dict[int, int]:
    """How many chains have so many buckets."""
    buckets, long = array.long_chains()
    lengths, counts = np.unique(long, return_counts=True)
    alone = {1: array.size - len(buckets)} if len(buckets) < array.size else {}
    return alone | dict(zip(lengths.tolist(), counts.tolist(), strict=True))


def _bytes_held(view: MapView) -> Held:
    snapshot, new, old = view.snapshot, view.new, view.old
    size = snapshot.layout.bucket_size
    extra = snapshot.extra
    header = hmap(snapshot.release).sizeof()
    if extra is not None:
        header += mapextra.sizeof()
        for listed in (extra.overflow, extra.oldoverflow):
            header += SLICE_HEADER + POINTER_SIZE * len(listed) if listed is not None else 0
    parts = {
        "buckets": new.size * size if new else 0,
        "overflow": (len(new.cells) - new.size) * size if new else 0,
        "old": len(old.cells) * size if old else 0,
        "header": header,
    }
    return Held(parts, _if_rebuilt(view))


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
