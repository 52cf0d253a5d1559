"""Which of many small classic maps are sound, by all rules at once (docs/rules.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.bmap import bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR
from inspector.goruntime.releases import BUCKET_CELLS, Release
from inspector.gotypes.gotype import GoType
from inspector.maps.classic.header import header_dtype
from inspector.maps.classic.layout import layout_of
from inspector.maps.classic.mirror.bmap import tophashes
from inspector.maps.classic.mirror.growth import most_entries
from inspector.maps.crowding import all_of, crowd_keys
from inspector.maps.family import WORD, Crowd, Mask, Source
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

NO_BUCKETS = -1

MOST_B = 3
"""Arrays of up to 2^3 buckets have no preallocated overflow buckets, and need no extra."""

AT_REST = (0, ITERATOR | OLD_ITERATOR)
"""Flags of maps that do not grow: a loop sets both."""


def crowd(source: Source, addresses: Addresses, go_type: GoType) -> Crowd:
    """See Family.crowd: maps of up to eight buckets and without overflow buckets, which do not grow.

    H, E and O are asked of the headers here, the rest below.
    """
    dtype, layout = header_dtype(source.release), layout_of(go_type)
    raw, sound = gather(source.memory, source.regions, addresses, dtype.itemsize)
    rows = raw.view(dtype)[:, 0]
    forms = np.where(rows["buckets"] != 0, rows["B"].astype(np.int64), NO_BUCKETS)
    if source.functions is None or layout.indirect_key or layout.indirect_elem:
        return Crowd(rows, np.zeros(len(rows), dtype=bool), forms)
    for name in ("noverflow", "oldbuckets", "extra"):
        sound &= rows[name] == 0
    sound &= np.isin(rows["flags"], AT_REST) & (rows["hash0"] != 0) & (rows["count"] >= 0)
    sound &= rows["buckets"] % np.uint64(WORD) == 0
    empty = (rows["buckets"] == 0) & (rows["count"] == 0) & (rows["B"] == 0) & (rows["nevacuate"] == 0)
    sound &= empty | (rows["buckets"] != 0)
    for b in range(MOST_B + 1):
        sound[(rows["B"] == b) & (rows["count"] > most_entries(source.release, b, None, 0))] = False
        which = np.flatnonzero(sound & (forms == b))
        sound[which] = _buckets_sound(source, go_type, rows[which], b) & _grown_rightly(rows[which], b)
    sound[rows["B"] > MOST_B] = False
    return Crowd(rows, sound, forms)


def _grown_rightly(rows: NDArray[np.void], b: int) -> Mask:
    """(n,) whether nevacuate is what a map that does not grow keeps (E2)."""
    return np.isin(rows["nevacuate"], (0, 1 << (b - 1), 1 << b) if b else (0,))


def _buckets_sound(source: Source, go_type: GoType, rows: NDArray[np.void], b: int) -> Mask:
    """(n,) whether all 2^b buckets of each map, and all keys in them, are as they have to be."""
    layout, buckets = layout_of(go_type), 1 << b
    dtype = dtype_of(bmap(layout.key_slot, layout.elem_slot))
    raw, sound = gather(source.memory, source.regions, rows["buckets"], dtype.itemsize << b)
    cells = raw.reshape(-1, dtype.itemsize).view(dtype)[:, 0]
    tophash: NDArray[np.uint8] = np.asarray(cells["tophash"])
    live = tophash >= source.release.marks.min_tophash
    right = (cells["overflow"] == 0) & _emptied_rightly(tophash, live, source.release)
    sound &= right.reshape(-1, buckets).all(axis=1)
    sound &= live.reshape(-1, buckets * BUCKET_CELLS).sum(axis=1) == rows["count"]
    bucket, at = np.nonzero(live)
    owner = bucket // buckets
    keys = crowd_keys(source, go_type, owner, cells["keys"][bucket, at], _seeds(rows)[owner])
    placed = keys.sound & (tophashes(keys.hashes) == tophash[bucket, at])
    placed &= keys.hashes & np.uint64(buckets - 1) == (bucket % buckets).astype(np.uint64)
    return np.asarray(sound & all_of(owner, placed, len(rows)))


def _emptied_rightly(tophash: NDArray[np.uint8], live: Mask, release: Release) -> Mask:
    """(n,) whether all cells behind the last entry are emptyRest, and those before it hold an entry or are emptyOne."""
    marks = release.marks
    # The number of entries from each cell on: where that is 0, the rest is empty.
    rest = np.cumsum(live[:, ::-1], axis=1)[:, ::-1] == 0
    right = np.where(rest, tophash == marks.empty_rest, live | (tophash == marks.empty_one))
    return np.asarray(right.all(axis=1))


def _seeds(rows: NDArray[np.void]) -> Addresses:
    return np.asarray(rows["hash0"]).astype(np.uint64)
