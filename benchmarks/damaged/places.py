"""Where the bytes of a map lie, by what they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.goruntime.bmap import OVERFLOW_SIZE
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.swisstable import swisstable
from inspector.gotypes.layouts import ClassicLayout, SwissLayout
from inspector.maps.classic.snapshot import MapSnapshot
from inspector.maps.family import Snapshot
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.target.run import Run

WORD = 8


@dataclass(frozen=True)
class Range:
    """`size` bytes at an address that belong to a part of a map."""

    part: str
    address: int
    size: int


def ranges_of(run: Run, snapshot: Snapshot) -> list[Range]:
    """All ranges of a map but its elements, of which no rule says what they have to be."""
    fields = run.family.header_dtype(run.release).fields
    assert fields is not None
    ranges = [Range(f"header: {name}", snapshot.address + at[1], at[0].itemsize) for name, at in fields.items()]
    width = snapshot.type.layout
    assert isinstance(width, (ClassicLayout, SwissLayout))
    ranges += [Range("key", int(at), width.key_slot) for at in snapshot.slots().keys.tolist()]
    if isinstance(snapshot, MapSnapshot):
        return ranges + _classic(snapshot)
    assert isinstance(snapshot, SwissSnapshot)
    return ranges + _swiss(snapshot)


def _classic(snapshot: MapSnapshot) -> list[Range]:
    ranges = [Range("extra", snapshot.header.extra, mapextra.sizeof())] if snapshot.header.extra else []
    for array in (snapshot.buckets, snapshot.old):
        if array is None:
            continue
        for row in np.flatnonzero(array.in_use()).tolist():
            address = int(array.addresses[row])
            ranges.append(Range("tophash", address, WORD))
            ranges.append(
                Range("overflow pointer", address + array.cells.dtype.itemsize - OVERFLOW_SIZE, OVERFLOW_SIZE)
            )
    return ranges


def _swiss(snapshot: SwissSnapshot) -> list[Range]:
    header, tables = snapshot.header, snapshot.tables
    ranges = [Range("directory", header.dir_ptr, header.dir_len * WORD)] if header.dir_len else []
    fields = dtype_of(swisstable).fields
    assert fields is not None
    for address in tables.addresses.tolist():
        ranges += [Range(f"table: {name}", address + at[1], at[0].itemsize) for name, at in fields.items()]
    return ranges + [Range("control word", at, WORD) for at in snapshot.groups.addresses.tolist()]
