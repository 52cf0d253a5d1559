"""Rules C1, C2, C4 and C5: the cells of buckets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import BUCKET_CELLS
from inspector.gotypes.dangling import Dangling
from inspector.gotypes.identity import UNEQUAL, identify
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.steps import OF_ONE_CELL
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.places import Array, Where
from inspector.maps.findings import Finding
from inspector.memory.protocol import END_OF_USER_SPACE, Region, RegionMap

WORD = 8
USER_SPACE = RegionMap([Region(1 << 12, END_OF_USER_SPACE)])
"""Where linux/amd64 maps anything: never the first page, never beyond 47 bits."""


def c1_tophash_is_defined(view: MapView) -> Iterator[Finding]:
    """No evacuated marker stands in the new array of a growing map."""
    if view.new is None or view.old is None:
        return
    # Buckets that nothing can be in yet are E8's.
    rows = view.new.order[~view.untouched[view.new.home[view.new.order]]]
    for at, cell in np.argwhere(view.is_marker(view.new.tophash[rows])):
        row = rows[at]
        yield Finding(
            rule="C1",
            message="an evacuated marker stands in the new array",
            observed=f"tophash {view.new.tophash[row, cell]}",
            expected="emptyRest, emptyOne or a tophash of at least minTopHash",
            source="runtime.evacuate",
            where=view.where("new", row, int(cell)),
        )


def c2_empty_rest_is_the_end(view: MapView) -> Iterator[Finding]:
    """Behind emptyRest everything is emptyRest, and no emptyOne stands right before the end."""
    for name, array in view.arrays:
        # Where a chain ends is not known when it is cut or shared: that is O1's to report.
        busy = ~(view.untouched if name == "new" else view.evacuated) & ~array.doubtful
        rows = array.order[busy[array.home[array.order]]]
        yield from _rest_faults(view, name, array, rows)


def _rest_faults(view: MapView, name: Array, array: BucketArray, rows: NDArray[np.int64]) -> Iterator[Finding]:
    marks = view.snapshot.release.marks
    top = array.tophash[rows].reshape(-1)
    chain = np.repeat(array.home[rows], BUCKET_CELLS)
    if not len(top):
        return
    same = np.append(chain[1:] == chain[:-1], False)
    after = np.append(top[1:], marks.empty_rest)
    resumed = (top == marks.empty_rest) & same & (after != marks.empty_rest) & ~view.is_marker(after)
    ends = ~same | same & (after == marks.empty_rest)
    left_over = (top == marks.empty_one) & ends
    faults = np.flatnonzero(resumed | left_over)
    one_chain = len(np.unique(chain[faults])) == 1
    for at in faults:
        row, cell = int(rows[at // BUCKET_CELLS]), int(at % BUCKET_CELLS)
        if resumed[at]:
            message, observed = "cells are in use behind emptyRest", f"emptyRest, then tophash {after[at]}"
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
            in_flight=("runtime.mapdelete",) if one_chain and not resumed[at] else (),
        )


def c4_no_key_occurs_twice(view: MapView) -> Iterator[Finding]:
    """No two live cells hold equal keys (keys that do not equal themselves excepted)."""
    snapshot, minimum = view.snapshot, view.snapshot.release.marks.min_tophash
    key = snapshot.types.key(snapshot.type)
    places: list[tuple[Array, int]] = []
    slots = []
    for name, array in view.arrays:
        live = array.live(minimum)
        if np.any(live):
            slots.append(array.slots("keys")[live])
            places.append((name, len(slots[-1])))
    if not slots:
        return
    ids = identify(snapshot.types, snapshot.memory, key, np.concatenate(slots), snapshot.layout.indirect_key)
    known, counts = np.unique(ids[ids != UNEQUAL], return_counts=True)
    repeated = known[counts > 1]
    for twice in repeated:
        cells = np.flatnonzero(ids == twice)
        first, second = (_place(view, places, int(at)) for at in cells[:2])
        yield Finding(
            rule="C4",
            message=f"a key occurs {len(cells)} times",
            observed=f"again in {second.array} bucket {second.bucket}, cell {second.cell}",
            expected="each key once",
            source="runtime.mapassign",
            where=first,
            # A new cell gets its tophash first: until its key is stored, what lay there before may look like one.
            in_flight=OF_ONE_CELL if len(repeated) == 1 and len(cells) == 2 else (),
        )


def _place(view: MapView, parts: list[tuple[Array, int]], at: int) -> Where:
    """Which cell the at-th live key of all arrays is in."""
    minimum = view.snapshot.release.marks.min_tophash
    for name, length in parts:
        if at < length:
            array = view.new if name == "new" else view.old
            assert array is not None
            row, cell = np.argwhere(array.live(minimum))[at]
            return view.where(name, int(row), int(cell))
        at -= length
    raise IndexError(at)


def c5_indirect_slots_are_readable(view: MapView) -> Iterator[Finding]:
    """Keys and elements stored by reference point to readable memory, and so do strings and interfaces in keys."""
    yield from _unreadable_slots(view)
    marks, regions = view.snapshot.release.marks, view.snapshot.regions
    for name, array in view.arrays:
        yield from _dangling_keys(view, name, array, array.live(marks.min_tophash), regions)
    if view.old is not None:
        # What an evacuated key led to may have been unmapped since its entry was deleted.
        moved = (view.old.tophash == marks.evacuated_x) | (view.old.tophash == marks.evacuated_y)
        yield from _dangling_keys(view, "old", view.old, moved & view.old.in_use[:, None], USER_SPACE)


def _dangling_keys(
    view: MapView, name: Array, array: BucketArray, cells: NDArray[np.bool_], regions: RegionMap
) -> Iterator[Finding]:
    snapshot = view.snapshot
    key = snapshot.types.key(snapshot.type)
    if not key.has_pointers:
        return
    keys, places = array.slots("keys")[cells], np.argwhere(cells)
    if snapshot.layout.indirect_key:
        keys, held = snapshot.memory.held(np.ascontiguousarray(keys).view(np.uint64).reshape(-1), key.size)
        places = places[held]
    bad = np.flatnonzero(Dangling(snapshot.types, snapshot.memory, regions).of(key, keys))
    for at in bad:
        row, cell = places[at].tolist()
        yield Finding(
            rule="C5",
            message="a key leads to memory or to a type that is not there",
            observed=f"key bytes {keys[at].tobytes().hex(' ', WORD)}",
            expected="strings and interfaces that can be read, as the key was hashed when it was stored",
            source="runtime.mapassign",
            where=view.where(name, row, cell),
            # What is not in a core may merely not have been dumped.
            severity="error" if regions.complete else "warning",
            unreadable=True,
            # A new cell gets its tophash first, and its key after it.
            in_flight=OF_ONE_CELL if len(bad) == 1 else (),
        )


def _unreadable_slots(view: MapView) -> Iterator[Finding]:
    snapshot, layout = view.snapshot, view.snapshot.layout
    parts = [
        ("keys", snapshot.types.key(snapshot.type), layout.indirect_key),
        ("elems", snapshot.types.elem(snapshot.type), layout.indirect_elem),
    ]
    for name, array in view.arrays:
        live = array.live(snapshot.release.marks.min_tophash)
        for part, go_type, indirect in parts:
            if not indirect:
                continue
            pointers = np.ascontiguousarray(array.slots(part)[live]).view(np.uint64).reshape(-1)
            bad = ~snapshot.regions.contains(pointers, go_type.size)
            # The pointer is stored after the tophash when a cell is filled, and cleared before it when emptied.
            half_done = np.count_nonzero(bad) == 1 and not pointers[bad][0]
            for at in np.flatnonzero(bad):
                row, cell = np.argwhere(live)[at]
                yield Finding(
                    rule="C5",
                    message=f"a {'key' if part == 'keys' else 'element'} stored by reference cannot be read",
                    observed=f"{int(pointers[at]):#x}",
                    expected=f"the address of {go_type.size} readable bytes",
                    source="runtime.mapassign",
                    where=view.where(name, int(row), int(cell)),
                    in_flight=OF_ONE_CELL if half_done else (),
                    unreadable=True,
                )
