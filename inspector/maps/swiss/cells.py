"""The live slots of a map, as far as they can be read, whatever else is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.errors import UnreadableMemory
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import SwissLayout
from inspector.maps.family import Slots, Source
from inspector.maps.swiss.groups import NO_TABLE, Groups
from inspector.maps.swiss.header import read_header
from inspector.maps.swiss.tables import read_tables
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

BYTES_AT_ONCE = 1 << 22


def cells(source: Source, address: int, go_type: GoType) -> Iterator[Slots]:
    """See Reader.cells."""
    layout = go_type.layout
    if not isinstance(layout, SwissLayout) or not address or address % 8:
        return
    try:
        header = read_header(source.memory, address, source.release)
        if not header.used or not header.dir_ptr:
            return
        if header.small:
            yield _slots(source, layout, np.array([header.dir_ptr], np.uint64))
            return
        tables = read_tables(source.memory, source.regions, header.dir_ptr, header.dir_len)
    except UnreadableMemory:
        return
    counts = tables.groups_wanted(source.regions, layout)
    step = max(1, BYTES_AT_ONCE // layout.group_size)
    total = int(counts.sum())
    ends = np.cumsum(counts)
    for first in range(0, total, step):
        rows = np.arange(first, min(first + step, total))
        table = np.searchsorted(ends, rows, side="right")
        number = (rows - (ends - counts)[table]).astype(np.uint64)
        starts = tables.rows["groups"].astype(np.uint64)
        yield _slots(source, layout, starts[table] + number * np.uint64(layout.group_size))


def _slots(source: Source, layout: SwissLayout, places: Addresses) -> Slots:
    raw, ok = gather(source.memory, source.regions, places, layout.group_size)
    numbers = np.full(int(np.count_nonzero(ok)), NO_TABLE)
    groups = Groups.at(layout, raw[ok], places[ok], numbers, numbers)
    return groups.slots(*groups.live)
