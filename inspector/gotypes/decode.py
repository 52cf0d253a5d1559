"""From the bytes of a value to the value, for every kind of Go type."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inspector.errors import InspectError, MissedMemory, UnreadableMemory
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_ELEMENTS, MAX_STRING, VALUE_LIMITS, WORD, Limits
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import (
    GoBytes,
    GoFunc,
    GoInterface,
    GoMap,
    GoPointer,
    GoSequence,
    GoString,
    GoStruct,
    GoValue,
    Unreadable,
)
from inspector.memory.protocol import Memory

_FORMATS = {
    Kind.INT: "<q", Kind.INT8: "<b", Kind.INT16: "<h", Kind.INT32: "<i", Kind.INT64: "<q",
    Kind.UINT: "<Q", Kind.UINT8: "<B", Kind.UINT16: "<H", Kind.UINT32: "<I", Kind.UINT64: "<Q",
    Kind.UINTPTR: "<Q", Kind.FLOAT32: "<f", Kind.FLOAT64: "<d",
}  # fmt: skip


def unreadable(error: UnreadableMemory) -> Unreadable:
    """The value that stands for one which could not be read."""
    return Unreadable(error.reason, isinstance(error, MissedMemory))


TOO_DEEP = Unreadable("nested too deeply")
TOO_MANY = Unreadable("too many parts")

HOLDS_ITSELF = Unreadable("a part of itself")

MOST_PARTS = 1 << 18
"""Values that one value may lead to. Slices that share their parts may have more of them than anyone can count."""

MOST_PARTS_IN_ALL, ALWAYS = 1 << 19, 1 << 12
"""Values that all values together may lead to, and how many any of them may, however many there were before it."""


class Decoder:
    """Decodes values with the bytes they point to taken from `memory` (usually a snapshot's copies)."""

    def __init__(self, types: TypeTable, memory: Memory) -> None:
        self.types, self.memory = types, memory
        self._left, self._left_in_all = 0, MOST_PARTS_IN_ALL
        self._path: set[tuple[int, int, int]] = set()

    def value(self, go_type: GoType, data: bytes | memoryview, limits: Limits = VALUE_LIMITS) -> GoValue:
        """Decode one value; what cannot be read becomes Unreadable, nothing raises."""
        allowed = min(MOST_PARTS, ALWAYS + self._left_in_all)
        self._left = allowed + len(data)
        try:
            return self._part(go_type, data, limits)
        finally:
            self._left_in_all -= max(0, allowed - max(self._left, 0) - ALWAYS)

    def _part(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        if limits.nesting < 0:
            return TOO_DEEP
        self._left -= 1
        if self._left < 0:
            return TOO_MANY
        try:
            return self._value(go_type, data, limits)
        except UnreadableMemory as error:
            return unreadable(error)
        except (InspectError, struct.error) as error:
            return Unreadable(str(error))

    def _value(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        kind = go_type.kind
        if kind in _FORMATS:
            value: int | float = struct.unpack(_FORMATS[kind], data)[0]
            return value
        if kind == Kind.BOOL:
            return data[0] != 0
        if kind in (Kind.COMPLEX64, Kind.COMPLEX128):
            return complex(*struct.unpack("<ff" if kind == Kind.COMPLEX64 else "<dd", data))
        if kind in (Kind.CHAN, Kind.UNSAFE_POINTER):
            address = _word(data)
            return GoPointer(go_type.name, address) if address else None
        composite: dict[Kind, Callable[[GoType, bytes | memoryview, Limits], GoValue]] = {
            Kind.STRING: self._string,
            Kind.STRUCT: self._struct,
            Kind.ARRAY: self._array,
            Kind.SLICE: self._slice,
            Kind.POINTER: self._pointer,
            Kind.FUNC: self._func,
            Kind.INTERFACE: self._interface,
            Kind.MAP: self._map,
        }
        return composite[kind](go_type, data, limits)

    def _string(self, _: GoType, data: bytes | memoryview, __: Limits) -> GoValue:
        address, length = struct.unpack("<Qq", data)
        if length < 0:
            return Unreadable(f"a string of length {length}")
        return GoString(bytes(self.memory.read(address, min(length, MAX_STRING))) if length else b"", length)

    def _struct(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        fields = []
        for field in go_type.fields:
            if field.name == "_":
                continue
            part = self.types.get(field.type_address)
            inner = data[field.offset : field.offset + part.size]
            fields.append((field.name, self._part(part, inner, limits.inside())))
        return GoStruct(go_type.name, tuple(fields))

    def _array(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        return self._elements(go_type, data, min(go_type.length, MAX_STRING), go_type.length, limits)

    def _slice(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        address, length, _ = struct.unpack("<Qqq", data)
        elem = self.types.elem(go_type)
        if not address:
            return None
        if length < 0:
            return Unreadable(f"a slice of length {length}")
        held = min(length, MAX_STRING if elem.size == 1 else MAX_ELEMENTS)
        content = self.memory.read(address, held * elem.size) if held * elem.size else b""
        with self._going_to(go_type, address, length) as new:
            return self._elements(go_type, content, held, length, limits) if new else HOLDS_ITSELF

    def _elements(self, go_type: GoType, data: bytes | memoryview, held: int, length: int, limits: Limits) -> GoValue:
        elem = self.types.elem(go_type)
        if elem.kind == Kind.UINT8:
            return GoBytes(go_type.name, bytes(data[:held]), length)
        size = elem.size
        inner = limits.inside()
        values = (self._part(elem, data[i * size : (i + 1) * size], inner) for i in range(held))
        return GoSequence(go_type.name, tuple(values), length, go_type.kind == Kind.ARRAY)

    def _pointer(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        address = _word(data)
        if not address:
            return None
        if not limits.pointers:
            return GoPointer(go_type.name, address)
        elem = self.types.elem(go_type)
        try:
            content = self.memory.read(address, elem.size)
        except UnreadableMemory as error:
            return GoPointer(go_type.name, address, True, unreadable(error))
        return GoPointer(go_type.name, address, True, self._part(elem, content, limits.behind_pointer()))

    def _func(self, go_type: GoType, data: bytes | memoryview, _: Limits) -> GoValue:
        address = _word(data)
        if not address:
            return None
        try:
            name = self.types.functions.name(_word(self.memory.read(address, WORD)))
        except UnreadableMemory:
            name = None
        return GoFunc(go_type.name, address, name)

    def _interface(self, go_type: GoType, data: bytes | memoryview, limits: Limits) -> GoValue:
        tab, word = struct.unpack("<QQ", data)
        if not tab:
            return None
        dynamic = self.types.dynamic(go_type, tab, self.memory)
        if dynamic.direct_iface:
            return GoInterface(dynamic.name, self._part(dynamic, data[8:16], limits.inside()))
        content = self.memory.read(word, dynamic.size) if dynamic.size else b""
        with self._going_to(dynamic, word) as new:
            return GoInterface(dynamic.name, self._part(dynamic, content, limits.inside()) if new else HOLDS_ITSELF)

    @contextmanager
    def _going_to(self, go_type: GoType, address: int, length: int = 0) -> Iterator[bool]:
        """While a value at an address is decoded: whether that is the first time on the way to it."""
        here = go_type.address, address, length
        new = here not in self._path
        self._path.add(here)
        try:
            yield new
        finally:
            if new:
                self._path.remove(here)

    def _map(self, go_type: GoType, data: bytes | memoryview, _: Limits) -> GoValue:
        address = _word(data)
        if not address:
            return None
        try:
            return GoMap(go_type.name, address, struct.unpack("<q", self.memory.read(address, 8))[0])
        except UnreadableMemory:
            return GoMap(go_type.name, address, None)


def _word(data: bytes | memoryview) -> int:
    word: int = struct.unpack("<Q", data)[0]
    return word
