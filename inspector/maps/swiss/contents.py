"""What a map holds: its entries one by one, and what their strings take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Entry
from inspector.maps.liverows import LiveRows
from inspector.maps.slots import Numbers
from inspector.maps.strings import string_bytes
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.places import Wheres
from inspector.maps.values import Values, values_of


def entries_of(view: MapView, chosen: NDArray[np.int64] | None) -> Iterator[Entry]:
    """See Snapshot.entries: in the order of tables, groups and slots."""
    snapshot, groups = view.snapshot, view.groups
    decoder = SlotDecoder(snapshot.types, snapshot.type, snapshot.memory)
    keys, elems = groups.keys, groups.elems
    for rows, slots in groups.live_windows():
        if chosen is not None:
            here, chosen = chosen[chosen < len(rows)], chosen[chosen >= len(rows)] - len(rows)
            rows, slots = rows[here], slots[here]
        for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
            yield Entry(
                key=decoder.key(keys[row, slot].tobytes()),
                value=decoder.elem(elems[row, slot].tobytes()),
                place=view.where(row, slot),
            )


def live_rows(view: MapView) -> Iterator[LiveRows]:
    """See Snapshot.live."""
    groups = view.groups
    for rows, slots in groups.live_windows():
        yield LiveRows(groups.keys, groups.elems, rows, slots, partial(_wheres, view))


def _wheres(view: MapView, rows: Numbers, slots: Numbers) -> Wheres:
    groups, table = view.groups, view.groups.table[rows]
    # A small map has no table, and one group.
    numbers = view.tables.first[table] if len(view.tables) else None
    return Wheres(numbers, groups.number_of(rows), slots, groups.addresses_of(rows))


def values_of_all(view: MapView) -> tuple[Values, Values]:
    """See Snapshot.values."""
    snapshot, groups = view.snapshot, view.groups
    rows, slots = groups.live
    return values_of(
        snapshot.types, snapshot.type, groups.keys[rows, slots], groups.elems[rows, slots], snapshot.memory
    )


def string_bytes_of(view: MapView) -> int:
    """See Snapshot.string_bytes; what is in keys and elements that are stored apart does not count."""
    snapshot, groups = view.snapshot, view.groups
    types, layout = snapshot.types, snapshot.layout
    parts = [
        (types.key(snapshot.type), groups.keys, layout.indirect_key),
        (types.elem(snapshot.type), groups.elems, layout.indirect_elem),
    ]
    values = [(go_type, slots[groups.full]) for go_type, slots, indirect in parts if not indirect]
    return string_bytes(types, snapshot.regions, values)
