"""Go values, decoded: plain Python where that says it all, small data classes where it does not.

bool, int, float, complex and None (nil) stand for themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class GoString:
    """A string: its bytes as far as they were copied, and its whole length in bytes."""

    data: bytes
    length: int


@dataclass(frozen=True)
class GoStruct:
    """A struct: field names (blank ones left out) and values, in order."""

    type_name: str
    fields: tuple[tuple[str, GoValue], ...]


@dataclass(frozen=True)
class GoSequence:
    """A slice, or an array (`array`); `length` counts elements that were left out, too."""

    type_name: str
    elements: tuple[GoValue, ...]
    length: int
    array: bool = False


@dataclass(frozen=True)
class GoBytes:
    """A []byte or an array of bytes."""

    type_name: str
    data: bytes
    length: int


@dataclass(frozen=True)
class GoPointer:
    """A pointer, channel or unsafe.Pointer; `target` is what it leads to, where that was followed."""

    type_name: str
    address: int
    followed: bool = False
    target: GoValue = None


@dataclass(frozen=True)
class GoFunc:
    """A func value that is not nil: the address of its closure, and the function's name where it is known."""

    type_name: str
    address: int
    name: str | None


@dataclass(frozen=True)
class GoInterface:
    """An interface that is not nil: its dynamic type and value."""

    type_name: str
    value: GoValue


@dataclass(frozen=True)
class GoMap:
    """A map inside a value: named, not followed."""

    type_name: str
    address: int
    count: int | None


@dataclass(frozen=True)
class Unreadable:
    """A value, or a part of one, that could not be read, and why; `late` where a stop was merely too short for it."""

    reason: str
    late: bool = False


@dataclass(frozen=True)
class GoHidden:
    """A value that is not to be seen, and the hash that stands for it (redaction.py)."""

    digest: str


GoValue: TypeAlias = (
    bool
    | int
    | float
    | complex
    | GoString
    | GoStruct
    | GoSequence
    | GoBytes
    | GoPointer
    | GoFunc
    | GoInterface
    | GoMap
    | Unreadable
    | GoHidden
    | None
)
