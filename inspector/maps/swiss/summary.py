"""What a state means: what comes next, how keys and tombstones are spread, what the map holds and wastes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import block_size
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, swisstable
from inspector.gotypes.layouts import SwissLayout
from inspector.maps.family import Held
from inspector.maps.swiss.assign import assign_function
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import LOAD_LIMIT, POINTER_SIZE, SwissMap, header_size
from inspector.maps.swiss.mirror.assigning import prunes
from inspector.maps.swiss.mirror.growth import (
    Dearest,
    NextGrowth,
    Room,
    dearest_of_small,
    dearest_of_tables,
    made_for,
    next_of_small,
    next_of_tables,
    overfull,
)
from inspector.maps.swiss.tombstones import removable_of_tables, reuse_of_tables

Form = Literal["none", "small", "tables"]

SMALL_LIMIT = float(GROUP_SLOTS)
"""Entries of the one group of a small map, which has no reserve."""


@dataclass(frozen=True)
class Growth:
    """What comes next (None where it was not read, or is impossible), and the most that one insertion can cost.

    `certain` says that the next growth does not depend on the keys. `load` is entries for each group, `load_limit` the
    load at which a group or a table grows. `assign` is the function of the runtime that compiled code inserts with,
    `prunes` whether it takes tombstones away.
    """

    form: Form
    load: float
    load_limit: float
    next: NextGrowth | None
    certain: bool
    dearest: Dearest | None
    dearest_bytes: int
    assign: str
    prunes: bool


@dataclass(frozen=True)
class Occupancy:
    """Slots and what is in them; `directory` counts its entries.

    `probe_lengths` says of how many keys a lookup visits so many groups; empty where the keys' hashes are not known.
    """

    live: int
    slots: int
    tombstones: int
    tables: int
    groups: int
    directory: int
    probe_lengths: dict[int, int]
    bytes: Held


def form_of(header: SwissMap) -> Form:
    """How the map is stored: no memory yet, one group, or tables."""
    if not header.small:
        return "tables"
    return "small" if header.dir_ptr else "none"


def growth_of(proof: Proof) -> Growth:
    """Work out what insertions will do to a map."""
    view, header, snapshot = proof.view, proof.view.header, proof.snapshot
    form, room = form_of(header), room_of(proof)
    coming: NextGrowth | None = None
    dearest: Dearest | None = None
    if not view.whole or snapshot.late:
        # What was not read may be what grows first.
        pass
    elif form != "tables":
        if header.used <= GROUP_SLOTS:
            coming, dearest = next_of_small(header.used, form == "small"), dearest_of_small(form == "small")
    elif len(room):
        coming, dearest = next_of_tables(room, header.global_depth), dearest_of_tables(room, header.global_depth)
    assign = assign_function(snapshot.types, snapshot.type)
    return Growth(
        form=form,
        load=view.live_count / max(len(view.groups), 1),
        load_limit=LOAD_LIMIT if form == "tables" else SMALL_LIMIT,
        next=coming,
        certain=form != "tables" or (len(room) == 1 and not room.tombstones[0]),
        dearest=dearest,
        dearest_bytes=_Sizes(snapshot.release, snapshot.layout).of(dearest) if dearest else 0,
        assign=assign,
        prunes=prunes(assign, snapshot.release),
    )


def room_of(proof: Proof) -> Room:
    """What the tables have left, those whose groups could all be read."""
    view, rows = proof.view, proof.view.tables.rows
    chosen = view.counted if view.form_believed else np.zeros(len(view.tables), dtype=bool)
    return Room(
        capacity=rows["capacity"].astype(np.int64)[chosen],
        growth_left=view.left_of_tables[chosen],
        local_depth=rows["localDepth"].astype(np.int64)[chosen],
        tombstones=view.deleted_of_tables[chosen],
        reuse=reuse_of_tables(view)[chosen],
        removable=removable_of_tables(proof)[chosen],
    )


def occupancy_of(proof: Proof, with_paths: bool = True) -> Occupancy:
    """Count what a map holds; `with_paths` says whether to count how many groups lookups of its keys visit."""
    view = proof.view
    return Occupancy(
        live=view.live_count,
        slots=len(view.groups) * GROUP_SLOTS,
        tombstones=int(view.groups.deleted_count.sum()),
        tables=len(view.tables),
        groups=len(view.groups),
        directory=len(view.tables.directory),
        probe_lengths=_probe_lengths(proof) if with_paths else {},
        bytes=Held(_bytes_held(view), _if_rebuilt(view)),
    )


def _probe_lengths(proof: Proof) -> dict[int, int]:
    if proof.functions is None:
        return {}
    if proof.view.header.small:
        # A key that does not equal itself is never found.
        return {1: proof.checked} if proof.checked else {}
    counts = proof.paths.of_length
    lengths = np.flatnonzero(counts)
    return dict(zip(lengths.tolist(), counts[lengths].tolist(), strict=True))


# Bytes


@dataclass(frozen=True)
class _Sizes:
    """Bytes that the allocator gives for parts of maps with a layout."""

    release: Release
    layout: SwissLayout

    def groups(self, count: int) -> int:
        return block_size(self.release, count * self.layout.group_size, not self.layout.group_has_pointers)

    def directory(self, entries: int) -> int:
        return block_size(self.release, entries * POINTER_SIZE, noscan=False)

    def table(self, capacity: int) -> int:
        """A table and its groups."""
        return self.table_alone + self.groups(capacity // GROUP_SLOTS)

    @property
    def table_alone(self) -> int:
        return block_size(self.release, swisstable.sizeof(), noscan=False)

    def of(self, dearest: Dearest) -> int:
        """What an insertion allocates at most; only the one that makes a first group makes no table."""
        if not dearest.tables:
            return self.groups(1)
        return dearest.tables * self.table(dearest.capacity) + self.directory(dearest.directory)


def _bytes_held(view: MapView) -> dict[str, int]:
    snapshot = view.snapshot
    sizes = _Sizes(snapshot.release, snapshot.layout)
    counts = view.groups_of_tables if len(view.tables) else np.array([len(view.groups)])
    kinds, times = np.unique(counts, return_counts=True)
    return {
        "groups": sum(sizes.groups(groups) * many for groups, many in zip(kinds.tolist(), times.tolist(), strict=True)),
        "tables": sizes.table_alone * len(view.tables),
        "directory": sizes.directory(len(view.tables.directory)),
        "header": header_size(snapshot.release),
    }


def _if_rebuilt(view: MapView) -> int:
    """Bytes of make(map, len) after everything is copied to it, as they are on average."""
    snapshot, count = view.snapshot, view.header.used
    sizes, header = _Sizes(snapshot.release, snapshot.layout), header_size(snapshot.release)
    made = made_for(count)
    if not made.tables:
        return header + (sizes.groups(1) if count else 0)
    more = overfull(count, made)
    table, largest = sizes.table(made.capacity), sizes.table(MAX_TABLE_CAPACITY)
    grown = sizes.table(made.capacity * 2) - table if made.capacity < MAX_TABLE_CAPACITY else largest
    directory = sizes.directory(made.tables)
    if made.capacity == MAX_TABLE_CAPACITY:
        directory += round(min(more, 1.0) * (sizes.directory(2 * made.tables) - directory))
    return header + directory + made.tables * table + round(more * grown)
