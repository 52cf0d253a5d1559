"""What a map holds: its entries one by one, and what their strings take."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Entry
from inspector.maps.strings import string_bytes
from inspector.maps.swiss.checks.view import MapView


def entries_of(view: MapView) -> Iterator[Entry]:
    """See Snapshot.entries: in the order of tables, groups and slots."""
    snapshot, groups = view.snapshot, view.groups
    decoder = SlotDecoder(snapshot.types, snapshot.type, snapshot.memory)
    keys, elems = groups.keys, groups.elems
    rows, slots = groups.live
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        yield Entry(
            key=decoder.key(keys[row, slot].tobytes()),
            value=decoder.elem(elems[row, slot].tobytes()),
            place=view.where(row, slot),
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
