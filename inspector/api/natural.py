"""Go values as Python users expect them: str, bytes, datetime, lists, and structs with attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar, TypeAlias

from inspector.gotypes.render import moment, plain
from inspector.gotypes.values import (
    GoBytes,
    GoFunc,
    GoHidden,
    GoInterface,
    GoMap,
    GoPointer,
    GoSequence,
    GoString,
    GoStruct,
    GoValue,
    Unreadable,
)

Natural: TypeAlias = Any
"""bool, int, float, complex, str, bytes, datetime, list, tuple, None; a class of this file; GoFunc, GoMap,
GoHidden and Unreadable."""

RESERVED = frozenset({"_fields", "_asdict", "_type"})
"""Attributes that a struct has whatever its fields are called."""

SECOND = 1_000_000_000
"""Nanoseconds: no sound time.Time has as many beside its second."""

KNOWN_STRUCTS = 1 << 10
"""Classes of structs that are kept. A value keeps its own class alive."""


class Struct(tuple[Natural, ...]):
    """A Go struct: the tuple of its fields, each also an attribute and an item by its name.

    `_fields` are the names, `_type` is the name of the Go type. Blank fields are left out. As with named tuples, a
    struct equals the tuple of its values, and so does its hash.
    """

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()
    _type: ClassVar[str] = "struct"

    def _asdict(self) -> dict[str, Natural]:
        """The fields by name."""
        return dict(zip(self._fields, self, strict=True))

    def __getitem__(self, which: Any) -> Any:
        """A field by its name, or what a tuple has at an index; raises KeyError, IndexError."""
        if not isinstance(which, str):
            return tuple.__getitem__(self, which)
        try:
            return tuple.__getitem__(self, self._fields.index(which))
        except ValueError:
            raise KeyError(which) from None

    def __reduce__(self) -> tuple[Callable[..., Struct], tuple[Any, ...]]:
        return _struct, (self._type, self._fields, tuple(self))

    def __repr__(self) -> str:
        parts = ", ".join(f"{plain(name)}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{plain(self._type)}({parts})"


@dataclass(frozen=True)
class Pointer:
    """A pointer, channel or unsafe.Pointer that is not nil: its Go type, its address, and what it leads to.

    `target` is None where that was not followed (`followed`). Fields of a struct that it leads to are attributes of
    the pointer, as in Go. Pointers are equal where their types and addresses are.
    """

    type: str
    address: int
    followed: bool = False
    target: Natural = None

    def __getattr__(self, name: str) -> Natural:
        # Asked only for what is no attribute of its own.
        if not name.startswith("__") and isinstance(target := vars(self).get("target"), Struct):
            return getattr(target, name)
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pointer):
            return NotImplemented
        return (self.type, self.address) == (other.type, other.address)

    def __hash__(self) -> int:
        return hash((self.type, self.address))

    def __repr__(self) -> str:
        return f"<{plain(self.type)} {self.address:#x}{f' -> {self.target!r}' if self.followed else ''}>"


@dataclass(frozen=True)
class Cut:
    """The beginning of a string, byte slice, slice or array that is too long to be copied whole.

    `part` is what was copied, and `length` counts all bytes or elements. It never equals the whole value.
    """

    part: str | bytes | list[Natural] | tuple[Natural, ...]
    length: int


def natural(value: GoValue) -> Natural:
    """The Python value that says what a Go value is.

    Bytes of a string that are not UTF-8 become lone surrogates (surrogateescape); `encode(errors="surrogateescape")`
    gives all its bytes back. A time.Time is a datetime in UTC, in whole microseconds, or stays a Struct outside of the
    years 1 to 9999. What cannot be read stays an Unreadable, what must not be seen a GoHidden; a nested
    map stays a GoMap and a func a GoFunc.
    """
    if value is None or isinstance(value, (bool, int, float, complex)):
        return value
    if isinstance(value, GoString):
        return _whole(value.data.decode(errors="surrogateescape"), len(value.data), value.length)
    if isinstance(value, GoStruct):
        return _moment(value) or _struct(
            value.type_name,
            tuple(name for name, _ in value.fields),
            tuple(natural(part) for _, part in value.fields),
        )
    if isinstance(value, GoBytes):
        return _whole(value.data, len(value.data), value.length)
    if isinstance(value, GoSequence):
        parts = [natural(part) for part in value.elements]
        return _whole(tuple(parts) if value.array else parts, len(parts), value.length)
    if isinstance(value, GoInterface):
        return natural(value.value)
    if isinstance(value, GoPointer):
        return Pointer(value.type_name, value.address, value.followed, natural(value.target))
    assert isinstance(value, (GoFunc, GoMap, GoHidden, Unreadable))
    return value


def _whole(part: Any, held: int, length: int) -> Natural:
    return part if held == length else Cut(part, length)


def _moment(value: GoStruct) -> datetime | None:
    found = moment(value) if value.type_name == "time.Time" else None
    if found is None or found[1] >= SECOND:
        return None
    return found[0].replace(microsecond=found[1] // 1000, tzinfo=UTC)


def _struct(type_name: str, names: tuple[str, ...], values: tuple[Natural, ...]) -> Struct:
    return _class_of(type_name, names)(values)


@lru_cache(KNOWN_STRUCTS)
def _class_of(type_name: str, names: tuple[str, ...]) -> type[Struct]:
    """The class of the structs of a type. Fields stand before the methods of a tuple: Go has many called count."""
    fields = {
        name: property(itemgetter(at))
        for at, name in enumerate(names)
        if name not in RESERVED and not (name.startswith("__") and name.endswith("__"))
    }
    return type("Struct", (Struct,), {**fields, "__slots__": (), "_fields": names, "_type": type_name})
