"""The live cells of a map, as far as they can be read, whatever else is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.bmap import TOPHASH_SIZE, bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import ClassicLayout
from inspector.maps.classic.header import read_header
from inspector.maps.classic.mirror.growth import LARGEST_B
from inspector.maps.family import Slots, Source
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct

BYTES_AT_ONCE = 1 << 22
MOST_OVERFLOW = 1 << 16
"""Overflow buckets that one level of chains may have: hostile memory must not lead us on for ever."""

MOST_DEPTH = 64


def cells(source: Source, address: int, go_type: GoType) -> Iterator[Slots]:
    """See Reader.cells."""
    layout = go_type.layout
    if not isinstance(layout, ClassicLayout) or not address or address % 8:
        return
    try:
        header = read_header(source.memory, address, source.release)
    except UnreadableMemory:
        return
    if not header.count > 0:
        return
    for start, b in ((header.buckets, header.B), (header.oldbuckets, header.old_b)):
        if start and start % 8 == 0 and 0 <= b <= LARGEST_B and source.regions.covers(start, layout.bucket_size << b):
            yield from _array(source, start, 1 << b, layout)


def _array(source: Source, start: int, size: int, layout: ClassicLayout) -> Iterator[Slots]:
    step = max(1, BYTES_AT_ONCE // layout.bucket_size)
    minimum = source.release.marks.min_tophash
    for first in range(0, size, step):
        numbers = np.arange(first, min(first + step, size), dtype=np.uint64)
        places = np.uint64(start) + numbers * np.uint64(layout.bucket_size)
        for _ in range(MOST_DEPTH):
            if not 0 < len(places) <= max(step, MOST_OVERFLOW):
                break
            rows, ok = gather(source.memory, source.regions, places, layout.bucket_size)
            buckets = rows[ok].view(dtype_of(bmap(layout.key_slot, layout.elem_slot)))[:, 0]
            row, cell = np.nonzero(buckets["tophash"] >= minimum)
            yield slots_of(buckets, places[ok], row, cell, layout)
            places = distinct(buckets["overflow"][buckets["overflow"] != 0])


def slots_of(
    buckets: NDArray[np.void],
    places: Addresses,
    rows: NDArray[np.int64],
    cells: NDArray[np.int64],
    layout: ClassicLayout,
) -> Slots:
    """Where cells lie: `buckets` (n,) and their addresses, and for each of k cells its bucket's row and its number."""
    numbers = cells.astype(np.uint64)
    keys = places[rows] + np.uint64(TOPHASH_SIZE) + numbers * np.uint64(layout.key_slot)
    elems_at = TOPHASH_SIZE + BUCKET_CELLS * layout.key_slot
    elems = places[rows] + np.uint64(elems_at) + numbers * np.uint64(layout.elem_slot)
    key_values, elem_values = keys, elems
    if layout.indirect_key:
        key_values = np.ascontiguousarray(buckets["keys"][rows, cells]).view(np.uint64)[:, 0]
    if layout.indirect_elem:
        elem_values = np.ascontiguousarray(buckets["elems"][rows, cells]).view(np.uint64)[:, 0]
    return Slots(keys, key_values, elem_values)
