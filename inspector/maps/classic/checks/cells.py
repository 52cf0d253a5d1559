"""Rules C1, C2, C4 and C5: the cells of buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import BUCKET_CELLS
from inspector.gotypes.dangling import Dangling
from inspector.gotypes.gotype import GoType
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.gotypes.redaction import bytes_of_memory
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.evacuation import marked_cells
from inspector.maps.classic.checks.proof import Proof
from inspector.maps.classic.checks.steps import OF_ONE_CELL
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.places import Array, Where
from inspector.maps.family import Mask
from inspector.maps.findings import Finding
from inspector.maps.slots import Numbers, pick, places
from inspector.maps.windows import in_windows, joined, spots
from inspector.memory.protocol import END_OF_USER_SPACE, Region, RegionMap, Rows
from inspector.memory.sets import distinct

WORD = 8
USER_SPACE = RegionMap([Region(1 << 12, END_OF_USER_SPACE)])
"""Where linux/amd64 maps anything: never the first page, never beyond 47 bits."""


def c1_tophash_is_defined(view: MapView) -> Iterator[Finding]:
    """No evacuated marker stands in the new array of a growing map."""
    if view.new is None or view.old is None:
        return
    # Buckets that nothing can be in yet are E8's.
    for row, cell in marked_cells(view, view.new, ~view.untouched):
        yield Finding(
            rule="C1",
            message="an evacuated marker stands in the new array",
            observed=f"tophash {view.new.tophash[row, cell]}",
            expected="emptyRest, emptyOne or a tophash of at least minTopHash",
            source="runtime.evacuate",
            where=view.where("new", row, cell),
        )


def c2_empty_rest_is_the_end(view: MapView) -> Iterator[Finding]:
    """Behind emptyRest everything is emptyRest, and no emptyOne stands right before the end."""
    for name, array in view.arrays:
        # Where a chain ends is not known when it is cut or shared: that is O1's to report.
        busy = ~(view.untouched if name == "new" else view.evacuated) & ~array.doubtful
        parts = [_rest_faults(view, array, rows[busy[array.home[rows]]]) for rows in array.windows()]
        yield from _bad_rests(
            view, name, array, _RestFaults(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        )


class _RestFaults(NamedTuple):
    """Cells behind emptyRest or before it that C2 reports: rows, cells, and the tophash of the cell behind each.

    It is one of two faults: the chain goes on behind emptyRest (`resumed`), or emptyOne stands before the end.
    """

    rows: Numbers
    cells: Numbers
    after: NDArray[np.uint8]
    resumed: Mask


def _rest_faults(view: MapView, array: BucketArray, rows: Numbers) -> _RestFaults:
    marks = view.snapshot.release.marks
    top = array.tophash_of(rows).reshape(-1)
    homes = array.home[rows]
    # Whether the next cell is of the same chain: only that of the last one in a bucket may be of another.
    goes_on = np.ones((len(rows), BUCKET_CELLS), dtype=bool)
    goes_on[:, -1] = np.append(homes[1:] == homes[:-1], False)
    same = goes_on.reshape(-1)
    after = np.append(top[1:], np.uint8(marks.empty_rest))
    resumed = (top == marks.empty_rest) & same & (after != marks.empty_rest) & ~view.is_marker(after)
    left_over = (top == marks.empty_one) & (~same | (after == marks.empty_rest))
    faults = np.flatnonzero(resumed | left_over)
    return _RestFaults(rows[faults // BUCKET_CELLS], faults % BUCKET_CELLS, after[faults], resumed[faults])


def _bad_rests(view: MapView, name: Array, array: BucketArray, faults: _RestFaults) -> Iterator[Finding]:
    one_chain = len(distinct(array.home[faults.rows])) == 1
    for row, cell, after, resumed in zip(*(part.tolist() for part in faults), strict=True):
        if resumed:
            message, observed = "cells are in use behind emptyRest", f"emptyRest, then tophash {after}"
            expected = "only emptyRest behind emptyRest"
        else:
            message, observed = "an emptyOne is the last cell before the end", "emptyOne, then nothing"
            expected = "emptyRest: a deletion turns trailing emptyOne cells into emptyRest"
        yield Finding(
            rule="C2",
            message=message,
            observed=observed,
            expected=expected,
            source="runtime.mapdelete",
            where=view.where(name, row, cell),
            in_flight=("runtime.mapdelete",) if one_chain and not resumed else (),
        )


def c4_no_key_occurs_twice(proof: Proof) -> Iterator[Finding]:
    """No two live cells hold equal keys (keys that do not equal themselves excepted)."""
    snapshot = proof.snapshot
    rows, cells = _to_compare(proof)
    if not len(rows):
        return
    slots = np.concatenate([pick(array.slots("keys"), *at) for array, at in _by_array(proof.view, rows, cells)])
    key = snapshot.types.key(snapshot.type)
    ids = identify(snapshot.types, snapshot.memory, key, slots, snapshot.layout.indirect_key)
    known, counts = np.unique(ids[ids != UNEQUAL], return_counts=True)
    repeated = known[counts > 1]
    for twice in repeated:
        some = np.flatnonzero(ids == twice)
        first, second = (_place(proof.view, int(rows[at]), int(cells[at])) for at in some[:2])
        yield Finding(
            rule="C4",
            message=f"a key occurs {len(some)} times",
            observed=f"again in {second.array} bucket {second.bucket}, cell {second.cell}",
            expected="each key once",
            source="runtime.mapassign",
            where=first,
            # A new cell gets its tophash first: until its key is stored, what lay there before may look like one.
            in_flight=OF_ONE_CELL if len(repeated) == 1 and len(some) == 2 else (),
        )


def _to_compare(proof: Proof) -> tuple[Numbers, Numbers]:
    """Rows and cells of live keys that may equal others; rows of the old array are numbered on from the new one's."""
    if proof.functions is not None:
        return proof.to_compare.rows, proof.to_compare.columns
    view, minimum = proof.view, proof.snapshot.release.marks.min_tophash
    found = [(view.first_number(name), places(array.live(minimum))) for name, array in view.arrays]
    return joined(first + rows for first, (rows, _) in found), joined(cells for _, (_, cells) in found)


def _by_array(view: MapView, rows: Numbers, cells: Numbers) -> Iterator[tuple[BucketArray, tuple[Numbers, Numbers]]]:
    """Each array with its own of the cells, by its own numbers of rows."""
    for name, array in view.arrays:
        first = view.first_number(name)
        own = (rows >= first) & (rows < first + len(array.cells))
        yield array, (rows[own] - first, cells[own])


def _place(view: MapView, row: int, cell: int) -> Where:
    """The place of a cell, of which the row is numbered over both arrays."""
    first = view.first_number("old")
    is_old = view.new is None or row >= first
    return view.where("old" if is_old else "new", row - first if is_old else row, cell)


def c5_indirect_slots_are_readable(view: MapView) -> Iterator[Finding]:
    """Keys and elements stored by reference point to readable memory, and so do strings and interfaces in keys."""
    yield from _unreadable_slots(view)
    marks, regions = view.snapshot.release.marks, view.snapshot.regions
    for name, array in view.arrays:
        yield from _dangling_keys(view, name, array, lambda tophash: tophash >= marks.min_tophash, regions)
    if view.old is not None:
        # What an evacuated key led to may have been unmapped since its entry was deleted.
        moved = partial(np.isin, test_elements=(marks.evacuated_x, marks.evacuated_y))
        yield from _dangling_keys(view, "old", view.old, moved, USER_SPACE)


def _dangling_keys(
    view: MapView, name: Array, array: BucketArray, chosen: Callable[[NDArray[np.uint8]], Mask], regions: RegionMap
) -> Iterator[Finding]:
    """Findings about keys that lead nowhere, in cells whose tophashes are of the chosen ones."""
    snapshot = view.snapshot
    key = snapshot.types.key(snapshot.type)
    if not key.has_pointers:
        return

    def dangling(window: slice) -> Numbers:
        at, columns = places(chosen(array.tophash[window]) & array.in_use(window)[:, None])
        keys, held = _keys(view, array, at + window.start, columns)
        bad = held[Dangling(snapshot.types, snapshot.memory, regions).of(key, keys)]
        return np.asarray((at[bad] + window.start) * BUCKET_CELLS + columns[bad])

    bad = in_windows(len(array.cells), dangling, np.empty(0, np.int64))
    for row, cell in (divmod(at, BUCKET_CELLS) for at in bad.tolist()):
        shown = _keys(view, array, np.array([row]), np.array([cell]))[0]
        yield Finding(
            rule="C5",
            message="a key leads to memory or to a type that is not there",
            observed=f"key bytes {bytes_of_memory(shown.tobytes().hex(' ', WORD))}",
            expected="strings and interfaces that can be read, as the key was hashed when it was stored",
            source="runtime.mapassign",
            where=view.where(name, row, cell),
            # What is not in a core may merely not have been dumped.
            severity="error" if regions.complete else "warning",
            unreadable=True,
            # A new cell gets its tophash first, and its key after it.
            in_flight=OF_ONE_CELL if len(bad) == 1 else (),
        )


def _keys(view: MapView, array: BucketArray, rows: Numbers, cells: Numbers) -> tuple[Rows, Numbers]:
    """The bytes of the keys of k cells that are there, also where they are stored by reference; which of k they are."""
    snapshot, keys = view.snapshot, pick(array.slots("keys"), rows, cells)
    if not snapshot.layout.indirect_key:
        return keys, np.arange(len(rows))
    size = snapshot.types.key(snapshot.type).size
    keys, held = snapshot.memory.held(np.ascontiguousarray(keys).view(np.uint64).reshape(-1), size)
    return keys, np.flatnonzero(held)


def _unreadable_slots(view: MapView) -> Iterator[Finding]:
    snapshot, layout = view.snapshot, view.snapshot.layout
    parts = [
        ("keys", snapshot.types.key(snapshot.type), layout.indirect_key),
        ("elems", snapshot.types.elem(snapshot.type), layout.indirect_elem),
    ]
    for name, array in view.arrays:
        for part, go_type, indirect in parts:
            if indirect:
                yield from _leading_nowhere(view, name, array, part, go_type)


def _leading_nowhere(view: MapView, name: Array, array: BucketArray, part: str, go_type: GoType) -> Iterator[Finding]:
    """Findings about keys or elements whose pointers do not lead to as many readable bytes as the type has."""
    snapshot, pointers = view.snapshot, array.slots(part).view(np.uint64)[..., 0]

    def nowhere(window: slice) -> Mask:
        live = (array.tophash[window] >= snapshot.release.marks.min_tophash) & array.in_use(window)[:, None]
        live[live] = ~snapshot.regions.contains(pointers[window][live], go_type.size)
        return live

    bad = spots(len(array.cells), nowhere).tolist()
    for row, cell in (divmod(at, BUCKET_CELLS) for at in bad):
        pointer = int(pointers[row, cell])
        yield Finding(
            rule="C5",
            message=f"a {'key' if part == 'keys' else 'element'} stored by reference cannot be read",
            observed=f"{pointer:#x}",
            expected=f"the address of {go_type.size} readable bytes",
            source="runtime.mapassign",
            where=view.where(name, row, cell),
            # The pointer is stored after the tophash when a cell is filled, and cleared before it when emptied.
            in_flight=OF_ONE_CELL if len(bad) == 1 and not pointer else (),
            unreadable=True,
        )
