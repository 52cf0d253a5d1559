"""Headers of Swiss maps that may be damaged: what they might have been before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS, H2_BITS
from inspector.goruntime.swisstable import swisstable
from inspector.maps.family import Arena, Mask, Repaired, Sample, Source
from inspector.maps.repairing import Starts, as_they_are, joined, one_byte_off, pointers_off, with_fields
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

LIKELY_DEPTH = 22
"""So deep directories have four million tables: a deeper one is not tried."""

SMALL: dict[str, Any] = {"dirLen": 0, "globalDepth": 0, "globalShift": 0}


def pointer_fields() -> tuple[str, ...]:
    """See Family.pointer_fields."""
    return ("dirPtr",)


BYTE_BITS = 8.0
"""What a control byte of an empty slot shows: hardly anything else has such bytes one after the other."""


def nearly_plausible(rows: NDArray[np.void], arena: Arena) -> Mask:
    """See Family.nearly_plausible."""
    names = rows.dtype.names
    assert names is not None
    depth, shift, length = rows["globalDepth"].astype(np.int64), rows["globalShift"].astype(np.int64), rows["dirLen"]
    expected = np.where(depth <= LIKELY_DEPTH, np.left_shift(1, np.minimum(depth, LIKELY_DEPTH)), -1)
    small = (length == 0).astype(np.int64) + (depth == 0) + (shift == 0)
    # Two of the three say what the third should be.
    large = np.maximum.reduce(
        [
            (length == expected).astype(np.int64) + 1 + (shift == WORD_BITS - depth),
            (length > 0).astype(np.int64)
            + (length == np.left_shift(1, np.clip(WORD_BITS - shift, 0, LIKELY_DEPTH)))
            + 1,
        ]
    )
    wrong = 3 - np.maximum(small, large)
    for field in (
        (rows["used"] > 0) & (rows["used"] <= np.uint64(arena.size)) & ((length != 0) | (rows["used"] <= GROUP_SLOTS)),
        rows["seed"] != 0,
        arena.holds(rows["dirPtr"]),
        rows["writing"] <= 1,
        ~rows["padding"].any(axis=1),
        rows["tombstonePossible"] <= 1 if "tombstonePossible" in names else np.ones(len(rows), dtype=bool),
    ):
        wrong = wrong + ~field
    return np.asarray(wrong <= 1)


def looks_like_cells(source: Source, rows: NDArray[np.void]) -> Mask:
    """See Family.looks_like_cells: seven of eight control bytes exist, and a small map uses about as many slots."""
    ctrl, ok = gather(source.memory, source.regions, rows["dirPtr"], GROUP_SLOTS)
    full, unused = ctrl < EMPTY, (ctrl == EMPTY) | (ctrl == DELETED)
    good = (full | unused).sum(axis=1) >= GROUP_SLOTS - 1
    used, entries = rows["used"], full.sum(axis=1)
    counted = used <= GROUP_SLOTS
    known = used.astype(np.int64) * counted
    # Where all eight are in use, seven of them may look like any small numbers.
    good &= np.where(counted, np.abs(entries - known) <= 1, unused.any(axis=1))
    _, table, led = _first_tables(source, rows)
    tables = led & _nearly_a_table(table)
    empty_handed = ~ok | ((rows["dirLen"] != 0) & ~led)
    # A directory whose entry leads astray may be any memory.
    return np.asarray(good | tables | empty_handed | (rows["dirLen"] != 0))


def shape_bits(source: Source, rows: NDArray[np.void]) -> NDArray[np.float64]:
    """See Family.shape_bits: the empty slots of a small map, of whose eight control bytes one may be damaged."""
    ctrl, ok = gather(source.memory, source.regions, rows["dirPtr"], GROUP_SLOTS)
    full, unused = (ctrl < EMPTY).sum(axis=1), ((ctrl == EMPTY) | (ctrl == DELETED)).sum(axis=1)
    used = np.minimum(rows["used"], np.uint64(GROUP_SLOTS + 2)).astype(np.int64)
    fits = ok & (rows["dirLen"] == 0) & (full + unused >= GROUP_SLOTS - 1)
    fits &= (np.abs(full - used) <= 1) | (used > GROUP_SLOTS)
    return np.asarray(np.where(fits, unused * BYTE_BITS, 0.0))


def repaired(source: Source, rows: NDArray[np.void]) -> Repaired:
    """See Family.repaired: the size of the directory; the groups of a table whose other fields may be wrong."""
    parts, every = [as_they_are(rows)], np.arange(len(rows))
    depth = np.tile(np.arange(LIKELY_DEPTH + 1), len(rows))
    parts.append(
        with_fields(
            rows,
            np.repeat(every, LIKELY_DEPTH + 1),
            "directory",
            dirLen=np.left_shift(1, depth),
            globalDepth=depth,
            globalShift=WORD_BITS - depth,
        )
    )
    parts.append(with_fields(rows, every, "dirLen", **SMALL))
    many = np.flatnonzero((rows["dirLen"] == 0) & (rows["used"] > GROUP_SLOTS))
    ctrl, _ = gather(source.memory, source.regions, rows["dirPtr"][many], GROUP_SLOTS)
    parts.append(with_fields(rows, many, "used", used=(ctrl < EMPTY).sum(axis=1)))
    _, table, led = _first_tables(source, rows)
    parts.append(_first_group(rows, np.flatnonzero(led), table["groups"][led], "table"))
    return joined(parts)


def repaired_bytes(source: Source, rows: NDArray[np.void], starts: Starts) -> Repaired:
    """See Family.repaired_bytes: the seed; all pointers on the way to the groups of a map of one table."""
    owner, seeds = one_byte_off(rows["seed"])
    parts = [with_fields(rows, owner, "seed", seed=seeds)]
    owner, places = pointers_off(rows["dirPtr"], starts)
    parts.append(with_fields(rows, owner, "dirPtr", dirPtr=places))
    entry, table, led = _first_tables(source, rows)
    one = np.flatnonzero((rows["dirLen"] == 1) & (entry != 0))
    owner, places = pointers_off(entry[one], starts)
    raw, ok = gather(source.memory, source.regions, places, swisstable.sizeof())
    others = raw.view(dtype_of(swisstable))[:, 0]["groups"]
    ok &= starts(others)
    parts.append(_first_group(rows, one[owner[ok]], others[ok], "directory entry"))
    one = np.flatnonzero((rows["dirLen"] == 1) & led)
    owner, places = pointers_off(table["groups"][one], starts)
    parts.append(_first_group(rows, one[owner], places, "groups"))
    return joined(parts)


def bits(sample: Sample) -> NDArray[np.float64]:
    """See Family.bits: H2, and the bits that lead to the table."""
    return np.asarray(H2_BITS + sample.seats["bits"].astype(np.float64))


def _first_group(rows: NDArray[np.void], owner: NDArray[np.int64], groups: Addresses, name: str) -> Repaired:
    """Headers of small maps, whose group is the first one of a table: its keys lie where their H2 says, too."""
    return with_fields(rows, owner, name, inside=True, dirPtr=groups, **SMALL)


def _first_tables(source: Source, rows: NDArray[np.void]) -> tuple[Addresses, NDArray[np.void], Mask]:
    """The first entry of each directory, the table that it leads to, and whether that could be read."""
    raw, ok = gather(source.memory, source.regions, rows["dirPtr"], POINTER_SIZE)
    entry = np.where(ok & (rows["dirLen"] != 0), raw.view(np.uint64)[:, 0], np.uint64(0))
    table, led = gather(source.memory, source.regions, entry, swisstable.sizeof())
    return entry, table.view(dtype_of(swisstable))[:, 0], led & (entry != 0)


def _nearly_a_table(tables: NDArray[np.void]) -> Mask:
    """(n,) which tables agree with themselves but for one field."""
    capacity, mask = tables["capacity"].astype(np.int64), tables["lengthMask"].astype(np.int64)
    wrong = (mask != capacity // GROUP_SLOTS - 1).astype(np.int64)
    wrong += (tables["used"] > tables["capacity"]).astype(np.int64)
    wrong += tables["padding"] != 0
    wrong += tables["index"] > 1 << LIKELY_DEPTH
    wrong += tables["groups"] % np.uint64(POINTER_SIZE) != 0
    return np.asarray(wrong <= 1)
