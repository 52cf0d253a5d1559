"""Rules A1 and A2: every part of a map begins a live heap object of the size that it was allocated with.

They speak where the heap's metadata is known, and last of all: what any other rule says of a broken map says more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import block_size, header_size
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import swisstable
from inspector.maps.family import Books, Mask
from inspector.maps.findings import Finding
from inspector.maps.slots import places
from inspector.maps.swiss.checks.view import Apart, MapView
from inspector.maps.swiss.header import POINTER_SIZE, header_dtype
from inspector.maps.swiss.places import Where
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct

TINY = 16
"""Objects without pointers below this size share a block (runtime.mallocgcTiny)."""


Name = Callable[[int], tuple[str, Where]]
"""What one of several addresses is, in words, and where."""


@dataclass(frozen=True)
class Kind:
    """What an allocation of `size` bytes is asked for; `rule` is the one that its parts are judged by."""

    rule: str
    size: int
    pointers: bool

    @property
    def tiny(self) -> bool:
        """Whether it shares a block with others, or is nothing at all."""
        return not self.size or (not self.pointers and self.size < TINY)


def a1_parts_begin_objects(view: MapView) -> Iterator[Finding]:
    """The Map, each table, the directory and each array of groups begin a live object of the right size."""
    snapshot, header, layout = view.snapshot, view.header, view.snapshot.layout
    yield from _one(view, "the Map", snapshot.address, Kind("A1", header_dtype(snapshot.release).itemsize, True))
    if not header.dir_ptr or not view.form_believed:
        return
    if header.small:
        kind = Kind("A1", layout.group_size, layout.group_has_pointers)
        yield from _one(view, "its only group", header.dir_ptr, kind)
        return
    yield from _one(view, "the directory", header.dir_ptr, Kind("A1", header.dir_len * POINTER_SIZE, True))
    tables = np.flatnonzero(view.sound)
    yield from _misplaced(
        view,
        Kind("A1", swisstable.sizeof(), True),
        view.tables.addresses[tables],
        lambda at: (f"table {view.number(int(tables[at]))}", view.table_where(int(tables[at]))),
    )
    yield from _misplaced_groups(view, tables)


def _misplaced_groups(view: MapView, tables: NDArray[np.int64]) -> Iterator[Finding]:
    layout, rows = view.snapshot.layout, view.tables.rows
    for capacity in distinct(rows["capacity"][tables]).tolist():
        alike = tables[rows["capacity"][tables] == capacity]

        def name(at: int, alike: NDArray[np.int64] = alike) -> tuple[str, Where]:
            table = int(alike[at])
            where = Where(table=view.number(table), address=int(rows["groups"][table]))
            return f"the array of groups of table {view.number(table)}", where

        kind = Kind("A1", capacity // GROUP_SLOTS * layout.group_size, layout.group_has_pointers)
        yield from _misplaced(view, kind, rows["groups"][alike], name)


def a2_what_is_stored_apart_has_its_own_object(view: MapView) -> Iterator[Finding]:
    """Keys and elements that are stored by reference begin live objects of their size, each in one slot only."""
    for part in view.apart_wrong:
        there = view.all_full
        there.reshape(-1)[part.wrong] = False
        rows, slots = places(there)
        addresses = part.pointers[rows, slots]

        def name(
            at: int, part: Apart = part, rows: NDArray[np.int64] = rows, slots: NDArray[np.int64] = slots
        ) -> tuple[str, Where]:
            return part.name, view.where(int(rows[at]), int(slots[at]))

        yield from _misplaced(view, Kind("A2", part.size, part.has_pointers), addresses, name)
        # While a table is replaced its entries are in two of them.
        if not view.header.writing and not view.tables_exchanged:
            yield from _shared(addresses, name)


def _shared(addresses: Addresses, name: Name) -> Iterator[Finding]:
    order = np.argsort(addresses, kind="stable")
    for second in order[1:][addresses[order[1:]] == addresses[order[:-1]]].tolist():
        what, where = name(second)
        yield Finding(
            rule="A2",
            message=f"{what} that is stored by reference is in another slot, too",
            observed=f"{int(addresses[second]):#x}",
            expected="an object of its own",
            source="maps.Map.PutSlot, maps.table.PutSlot",
            where=where,
        )


def _one(view: MapView, name: str, address: int, kind: Kind) -> Iterator[Finding]:
    return _misplaced(view, kind, np.array([address], np.uint64), lambda at: (name, Where(address=address)))


def _misplaced(view: MapView, kind: Kind, addresses: Addresses, name: Name) -> Iterator[Finding]:
    """A finding for each address that begins no such object; those in no span are let pass: stacks lie there, too."""
    books, release = view.snapshot.books, view.snapshot.release
    if books is None:
        return
    found, block = books.objects(addresses), block_size(release, kind.size, not kind.pointers)
    behind = addresses - found.base
    for at in np.flatnonzero(misplaced(books, release, kind, addresses)).tolist():
        what, where = name(at)
        use = "of an object" if found.alive[at] else "that is not in use"
        yield Finding(
            rule=kind.rule,
            message=f"{what} is not where the allocator would put it",
            observed=f"{int(addresses[at]):#x}, byte {behind[at]} of a block of {found.size[at]} bytes {use}",
            expected=f"the start of a live object of {kind.size} bytes "
            f"{'with' if kind.pointers else 'without'} pointers, in a block of {block}",
            source="runtime.newobject, runtime.newarray",
            where=where,
        )


def misplaced(books: Books, release: Release, kind: Kind, addresses: Addresses) -> Mask:
    """(n,) which addresses begin no object of a kind, as far as a copy of the heap's metadata says anything of them."""
    if kind.tiny:
        return np.zeros(len(addresses), dtype=bool)
    found, block = books.objects(addresses), block_size(release, kind.size, not kind.pointers)
    right = (addresses - found.base == header_size(release, kind.size, not kind.pointers)) & found.alive
    right &= (found.size == block) & (found.noscan != kind.pointers)
    return np.asarray((found.size > 0) & ~right)
