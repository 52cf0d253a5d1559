"""Decoding the keys and elements of one map from the bytes of their slots."""

from __future__ import annotations

from inspector.errors import UnreadableMemory
from inspector.gotypes.decode import Decoder, unreadable
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import GoValue
from inspector.memory.protocol import Memory


class SlotDecoder:
    """Decodes slots of a map of some type; what is stored apart is read from `memory`."""

    def __init__(self, types: TypeTable, go_type: GoType, memory: Memory) -> None:
        layout = go_type.layout  # a sync.Map has none: its slots are interfaces
        self._key, self._elem = types.key(go_type), types.elem(go_type)
        self._indirect_key = layout is not None and layout.indirect_key
        self._indirect_elem = layout is not None and layout.indirect_elem
        self._memory, self._decoder = memory, Decoder(types, memory)

    def key(self, slot: bytes) -> GoValue:
        """The key in a slot."""
        return self._value(self._key, slot, self._indirect_key)

    def elem(self, slot: bytes) -> GoValue:
        """The element in a slot."""
        return self._value(self._elem, slot, self._indirect_elem)

    def _value(self, go_type: GoType, slot: bytes, indirect: bool) -> GoValue:
        if not indirect:
            return self._decoder.value(go_type, slot)
        try:
            return self._decoder.value(go_type, self._memory.read(int.from_bytes(slot, "little"), go_type.size))
        except UnreadableMemory as error:
            return unreadable(error)
