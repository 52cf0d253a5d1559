"""What a map holds: its entries one by one, where they lie, and what their strings take."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.maps.classic.cells import slots_of
from inspector.maps.classic.checks.view import MapView
from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Entry, Slots
from inspector.maps.strings import string_bytes


def entries_of(view: MapView) -> Iterator[Entry]:
    """See Snapshot.entries: in the order of arrays, buckets, chains and cells."""
    snapshot = view.snapshot
    decoder = SlotDecoder(snapshot.types, snapshot.type, snapshot.memory)
    for name, array, rows, cells in view.live_cells:
        keys, elems = array.slots("keys"), array.slots("elems")
        for row, cell in zip(rows.tolist(), cells.tolist(), strict=True):
            yield Entry(
                key=decoder.key(keys[row, cell].tobytes()),
                value=decoder.elem(elems[row, cell].tobytes()),
                place=view.where(name, row, cell),
            )


def slots_of_all(view: MapView) -> Slots:
    """See Snapshot.slots."""
    layout = view.snapshot.layout
    parts = [slots_of(array.cells, array.addresses, rows, cells, layout) for _, array, rows, cells in view.live_cells]
    parts = parts or [Slots(*(np.empty(0, np.uint64) for _ in range(3)))]
    return Slots(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


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
