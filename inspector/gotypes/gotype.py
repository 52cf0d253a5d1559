"""One Go type, decoded from its runtime type descriptor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from inspector.gotypes.layouts import Layout


class Kind(IntEnum):
    """abi.Kind: what a type is made of."""

    BOOL = 1
    INT = 2
    INT8 = 3
    INT16 = 4
    INT32 = 5
    INT64 = 6
    UINT = 7
    UINT8 = 8
    UINT16 = 9
    UINT32 = 10
    UINT64 = 11
    UINTPTR = 12
    FLOAT32 = 13
    FLOAT64 = 14
    COMPLEX64 = 15
    COMPLEX128 = 16
    ARRAY = 17
    CHAN = 18
    FUNC = 19
    INTERFACE = 20
    MAP = 21
    POINTER = 22
    SLICE = 23
    STRING = 24
    STRUCT = 25
    UNSAFE_POINTER = 26


SIZES = {
    Kind.BOOL: 1, Kind.INT: 8, Kind.INT8: 1, Kind.INT16: 2, Kind.INT32: 4, Kind.INT64: 8,
    Kind.UINT: 8, Kind.UINT8: 1, Kind.UINT16: 2, Kind.UINT32: 4, Kind.UINT64: 8, Kind.UINTPTR: 8,
    Kind.FLOAT32: 4, Kind.FLOAT64: 8, Kind.COMPLEX64: 8, Kind.COMPLEX128: 16,
    Kind.CHAN: 8, Kind.FUNC: 8, Kind.MAP: 8, Kind.POINTER: 8, Kind.UNSAFE_POINTER: 8,
    Kind.INTERFACE: 16, Kind.SLICE: 24, Kind.STRING: 16,
}  # fmt: skip
"""Bytes of values of all kinds but arrays and structs, on amd64."""


@dataclass(frozen=True)
class Field:
    """A struct field: its name, the address of its type's descriptor, its offset in bytes."""

    name: str
    type_address: int
    offset: int
    embedded: bool


@dataclass(frozen=True)
class GoType:
    """A type as its descriptor gives it. Types it is made of are named by their descriptors' addresses.

    `name` is the string that reflect prints (package name, no path); `pkg_path` the import path of a named
    type. Sizes are bytes. `key_address`, `elem_address`, `length`, `fields`, `layout` are set for the kinds
    that have them, `cells_address` for maps: the type of their buckets or groups.
    """

    address: int
    kind: Kind
    size: int
    name: str
    pkg_path: str = ""
    named: bool = False
    direct_iface: bool = False
    has_pointers: bool = False
    regular_memory: bool = False
    key_address: int = 0
    elem_address: int = 0
    length: int = 0
    fields: tuple[Field, ...] = ()
    methods: int = 0
    layout: Layout | None = None
    cells_address: int = 0
    hasher: int = 0


def why_impossible(go_type: GoType, size_of: Callable[[int], int]) -> str:
    """Why no type has this size, as a part of a sentence; empty where its parts fill it as they do in Go.

    `size_of` gives the size of the type at an address.
    """
    size = go_type.size
    if go_type.direct_iface and size != SIZES[Kind.POINTER]:
        return f"a value of {size} bytes in the word of an interface"
    if go_type.kind == Kind.ARRAY:
        filled = go_type.length * size_of(go_type.elem_address)
        return "" if filled == size else f"{filled} bytes of elements in an array of {size}"
    if go_type.kind == Kind.STRUCT:
        end = 0
        for field in go_type.fields:
            if field.offset < end:
                return f"the field at {field.offset} begins inside of the one before it"
            end = field.offset + size_of(field.type_address)
        return "" if end <= size else f"{end} bytes of fields in a struct of {size}"
    usual = SIZES[go_type.kind]
    return "" if size == usual else f"a {go_type.kind.name.lower()} of {size} bytes"
