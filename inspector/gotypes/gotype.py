"""One Go type, decoded from its runtime type descriptor."""

from __future__ import annotations

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
