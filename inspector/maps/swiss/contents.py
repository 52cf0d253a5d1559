"""What a map holds: its entries one by one, and what their strings take."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.errors import UnreadableMemory
from inspector.gotypes.decode import Decoder, unreadable
from inspector.gotypes.gotype import GoType
from inspector.gotypes.values import GoValue
from inspector.maps.family import Entry
from inspector.maps.strings import string_bytes
from inspector.maps.swiss.checks.view import MapView


def entries_of(view: MapView) -> Iterator[Entry]:
    """See Snapshot.entries: in the order of tables, groups and slots."""
    snapshot, groups = view.snapshot, view.groups
    types, layout = snapshot.types, snapshot.layout
    key, elem = types.key(snapshot.type), types.elem(snapshot.type)
    decoder = Decoder(types, snapshot.memory)

    def decode(go_type: GoType, slot: bytes, indirect: bool) -> GoValue:
        if not indirect:
            return decoder.value(go_type, slot)
        try:
            return decoder.value(go_type, snapshot.memory.read(int.from_bytes(slot, "little"), go_type.size))
        except UnreadableMemory as error:
            return unreadable(error)

    keys, elems = groups.keys, groups.elems
    rows, slots = groups.live
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        yield Entry(
            key=decode(key, keys[row, slot].tobytes(), layout.indirect_key),
            value=decode(elem, elems[row, slot].tobytes(), layout.indirect_elem),
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
