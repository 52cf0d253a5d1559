"""The live cells of a map, as far as they can be read, whatever else is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.census.walk import Slots
from inspector.errors import UnreadableMemory
from inspector.goruntime.bmap import TOPHASH_SIZE, bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import hmap
from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.snapshot import LARGEST_B
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Memory, RegionMap

BYTES_AT_ONCE = 1 << 22
MOST_OVERFLOW = 1 << 16
"""Overflow buckets that one level of chains may have: hostile memory must not lead us on for ever."""

MOST_DEPTH = 64


class CellReader:
    """Reads where the keys and elements of maps lie, a few megabytes of buckets at a time."""

    def __init__(self, memory: Memory, regions: RegionMap, release: Release) -> None:
        self.memory, self.regions, self.release = memory, regions, release

    def cells(self, address: int, go_type: GoType) -> Iterator[Slots]:
        """The live cells of the map at an address; none where there is no map. Nothing raises."""
        layout = go_type.layout
        if layout is None or not address or address % 8:
            return
        try:
            declared = hmap(self.release)
            header = Hmap.of(declared.parse(self.memory.read(address, declared.sizeof())))
        except UnreadableMemory:
            return
        if not header.count > 0:
            return
        for start, b in ((header.buckets, header.B), (header.oldbuckets, header.old_b)):
            if start and start % 8 == 0 and 0 <= b <= LARGEST_B and self.regions.covers(start, layout.bucket_size << b):
                yield from self._array(start, 1 << b, layout)

    def _array(self, start: int, size: int, layout: MapLayout) -> Iterator[Slots]:
        step = max(1, BYTES_AT_ONCE // layout.bucket_size)
        for first in range(0, size, step):
            numbers = np.arange(first, min(first + step, size), dtype=np.uint64)
            places = np.uint64(start) + numbers * np.uint64(layout.bucket_size)
            for _ in range(MOST_DEPTH):
                if not 0 < len(places) <= max(step, MOST_OVERFLOW):
                    break
                rows, ok = gather(self.memory, self.regions, places, layout.bucket_size)
                buckets = rows[ok].view(dtype_of(bmap(layout.key_slot, layout.elem_slot)))[:, 0]
                yield self._live(buckets, places[ok], layout)
                places = np.unique(buckets["overflow"][buckets["overflow"] != 0])

    def _live(self, buckets: NDArray[np.void], places: Addresses, layout: MapLayout) -> Slots:
        row, cell = np.nonzero(buckets["tophash"] >= self.release.marks.min_tophash)
        cells = cell.astype(np.uint64)
        keys = places[row] + np.uint64(TOPHASH_SIZE) + cells * np.uint64(layout.key_slot)
        elems = (
            places[row] + np.uint64(TOPHASH_SIZE + BUCKET_CELLS * layout.key_slot) + cells * np.uint64(layout.elem_slot)
        )
        key_values, elem_values = keys, elems
        if layout.indirect_key:
            key_values = np.ascontiguousarray(buckets["keys"][row, cell]).view(np.uint64)[:, 0]
        if layout.indirect_elem:
            elem_values = np.ascontiguousarray(buckets["elems"][row, cell]).view(np.uint64)[:, 0]
        return Slots(keys, key_values, elem_values)
