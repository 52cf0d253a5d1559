"""What a map holds: its entries one by one, where they lie, and what their strings take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.cells import slots_of
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.places import Array, Wheres
from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Entry, Slots
from inspector.maps.liverows import LiveRows
from inspector.maps.slots import Numbers
from inspector.maps.strings import string_bytes
from inspector.maps.values import Values, values_of


def entries_of(view: MapView, chosen: NDArray[np.int64] | None) -> Iterator[Entry]:
    """See Snapshot.entries: in the order of arrays, buckets, chains and cells."""
    snapshot = view.snapshot
    decoder = SlotDecoder(snapshot.types, snapshot.type, snapshot.memory)
    for name, array, rows, cells in view.live_cells():
        keys, elems = array.slots("keys"), array.slots("elems")
        if chosen is not None:
            here, chosen = chosen[chosen < len(rows)], chosen[chosen >= len(rows)] - len(rows)
            rows, cells = rows[here], cells[here]
        for row, cell in zip(rows.tolist(), cells.tolist(), strict=True):
            yield Entry(
                key=decoder.key(keys[row, cell].tobytes()),
                value=decoder.elem(elems[row, cell].tobytes()),
                place=view.where(name, row, cell),
            )


def live_rows(view: MapView) -> Iterator[LiveRows]:
    """See Snapshot.live."""
    for name, array, rows, cells in view.live_cells():
        yield LiveRows(array.slots("keys"), array.slots("elems"), rows, cells, partial(_wheres, name, array))


def _wheres(name: Array, array: BucketArray, rows: Numbers, cells: Numbers) -> Wheres:
    home, depth = (part[rows].astype(np.int64) for part in (array.home, array.depth))
    return Wheres(name, home, depth, cells, array.addresses_of(rows))


def slots_of_all(view: MapView) -> Slots:
    """See Snapshot.slots."""
    layout = view.snapshot.layout
    parts = [slots_of(array.cells, array.addresses, rows, cells, layout) for _, array, rows, cells in view.live_cells()]
    parts = parts or [Slots(*(np.empty(0, np.uint64) for _ in range(3)))]
    return Slots(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def values_of_all(view: MapView) -> tuple[Values, Values]:
    """See Snapshot.values."""
    snapshot, layout = view.snapshot, view.snapshot.layout
    sizes = {"keys": layout.key_slot, "elems": layout.elem_slot}
    slots = {
        name: [
            np.empty((0, size), np.uint8),
            *(array.slots(name)[rows, cells] for _, array, rows, cells in view.live_cells()),
        ]
        for name, size in sizes.items()
    }
    keys, elems = np.concatenate(slots["keys"]), np.concatenate(slots["elems"])
    return values_of(snapshot.types, snapshot.type, keys, elems, snapshot.memory)


def string_bytes_of(view: MapView) -> int:
    """See Snapshot.string_bytes; what is in keys and elements that are stored apart does not count."""
    snapshot = view.snapshot
    types, layout, minimum = snapshot.types, snapshot.layout, snapshot.release.marks.min_tophash
    parts = [
        ("keys", types.key(snapshot.type), layout.indirect_key),
        ("elems", types.elem(snapshot.type), layout.indirect_elem),
    ]
    values = [
        (go_type, array.slots(name)[array.live(minimum)])
        for name, go_type, indirect in parts
        if not indirect
        for _, array in view.arrays
    ]
    return string_bytes(types, snapshot.regions, values)
