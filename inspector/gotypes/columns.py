"""Many Go values of one type as columns: numbers as numpy arrays, strings as offsets and bytes, structs field by field.

A column says what the decoder (decode.py) says of each of its values, within the same limits: what could not be read,
a string that was cut, NaN and bytes that are not UTF-8 included. No Python object is made for a value before `values`
asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.scalars import slice_header, string_header
from inspector.gotypes.decode import ALWAYS, TOO_DEEP, Decoder, unreadable
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_STRING, VALUE_LIMITS, WORD, Limits
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import (
    GoBytes,
    GoMap,
    GoPointer,
    GoSequence,
    GoString,
    GoStruct,
    GoValue,
    Unreadable,
)
from inspector.memory.frozen import FrozenMemory, Piece
from inspector.memory.joining import join
from inspector.memory.protocol import Addresses, Rows

Mask = NDArray[np.bool_]
Offsets = NDArray[np.int64]

DTYPES = {
    Kind.INT: "<i8", Kind.INT8: "i1", Kind.INT16: "<i2", Kind.INT32: "<i4", Kind.INT64: "<i8",
    Kind.UINT: "<u8", Kind.UINT8: "u1", Kind.UINT16: "<u2", Kind.UINT32: "<u4", Kind.UINT64: "<u8",
    Kind.UINTPTR: "<u8", Kind.FLOAT32: "<f4", Kind.FLOAT64: "<f8",
    Kind.COMPLEX64: "<c8", Kind.COMPLEX128: "<c16",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Numbers:
    """Booleans, integers, floats, complex numbers: `numbers` (n,) has the dtype of the same size."""

    type: GoType
    numbers: NDArray[Any]

    def __len__(self) -> int:
        return len(self.numbers)

    def values(self) -> list[GoValue]:
        """Each value as the decoder gives it."""
        return self.numbers.tolist()  # type: ignore[no-any-return]

    @property
    def weight(self) -> int:
        """Bytes that are read when the column is looked at, beside its rows."""
        return 0


@dataclass(frozen=True, eq=False)
class Texts:
    """Strings, or slices of bytes: `addresses` (n,) and `lengths` (n,) int64 in bytes, as their headers say.

    The bytes are read from `memory` when they are asked for: those of value i are `data[offsets[i]:offsets[i + 1]]`,
    which is Arrow's layout. They are cut at MAX_STRING, so that `lengths` may say more; a value that could not be read
    (`missing`), or has a negative length, has none.
    """

    type: GoType
    addresses: Addresses
    lengths: NDArray[np.int64]
    memory: FrozenMemory

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def _found(self) -> tuple[list[Piece], Mask]:
        """Where the bytes lie, and which of all texts have them there."""
        sizes = np.clip(self.lengths, 0, MAX_STRING)
        pieces, there = list(self.memory.pieces(self.addresses, sizes)), np.zeros(len(self), bool)
        for piece in pieces:
            there[piece.which] = True
        return pieces, there

    @cached_property
    def held(self) -> NDArray[np.int64]:
        """(n,) bytes of each that there are."""
        return np.where(self._found[1], np.clip(self.lengths, 0, MAX_STRING), 0)

    @property
    def missing(self) -> Mask:
        """(n,) which have bytes that could not be read."""
        return np.asarray((self.lengths > 0) & ~self._found[1] & ~self.nil)

    @cached_property
    def nil(self) -> Mask:
        """(n,) which are nil slices; no string is."""
        return np.asarray((self.addresses == 0) & (self.type.kind == Kind.SLICE))

    @property
    def cut(self) -> Mask:
        """(n,) which are longer than what is copied of one."""
        return self.lengths > MAX_STRING

    @property
    def sound(self) -> Mask:
        """(n,) which have their bytes, or none because they are empty."""
        return (self.lengths >= 0) & ~self.missing & ~self.nil

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return int(self.held.sum())

    @cached_property
    def offsets(self) -> Offsets:
        """(n + 1,) int64: where the bytes of each begin in `data`, and where the last end."""
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.held, out=offsets[1:])
        return offsets

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of all of them, one behind the other."""
        whole = np.empty(int(self.offsets[-1]), np.uint8)
        for piece in self._found[0]:
            join(piece.data, piece.starts, self.held[piece.which], whole, self.offsets[piece.which])
        return whole

    def each(self) -> list[bytes]:
        """The bytes of each."""
        data, ends = self.data.tobytes(), self.offsets.tolist()
        return [data[start:end] for start, end in pairwise(ends)]

    def instead(self, at: int) -> GoValue:
        """What stands for one that is not `sound`."""
        if self.nil[at]:
            return None
        length = int(self.lengths[at])
        if length < 0:
            return Unreadable(f"a {'slice' if self.type.kind == Kind.SLICE else 'string'} of length {length}")
        return unread(self.memory)

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        name, lengths = self.type.name, self.lengths.tolist()
        values: list[GoValue]
        if self.type.kind == Kind.STRING:
            values = [GoString(data, length) for data, length in zip(self.each(), lengths, strict=True)]
        else:
            values = [GoBytes(name, data, length) for data, length in zip(self.each(), lengths, strict=True)]
        for at in np.flatnonzero(~self.sound).tolist():
            values[at] = self.instead(at)
        return values


@dataclass(frozen=True, eq=False)
class Blobs:
    """Arrays of bytes: `rows` (n, length)."""

    type: GoType
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return 0

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        length = self.type.length
        return [GoBytes(self.type.name, row[:MAX_STRING].tobytes(), length) for row in self.rows]


@dataclass(frozen=True, eq=False)
class Structs:
    """Structs: a column for each field, but for blank ones. `count` is n, as there may be no field."""

    type: GoType
    fields: tuple[tuple[str, Column], ...]
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return sum(column.weight for _, column in self.fields)

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        names = [name for name, _ in self.fields]
        if not names:
            return [GoStruct(self.type.name, ())] * self.count
        parts = zip(*(column.values() for _, column in self.fields), strict=True)
        return [GoStruct(self.type.name, tuple(zip(names, each, strict=True))) for each in parts]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Arrays of anything but bytes: `elements` has those of all n arrays, `type.length` of each."""

    type: GoType
    elements: Column
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return self.elements.weight

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        name, length, parts = self.type.name, self.type.length, self.elements.values()
        return [
            GoSequence(name, tuple(parts[at * length : (at + 1) * length]), length, array=True)
            for at in range(self.count)
        ]


@dataclass(frozen=True, eq=False)
class Pointers:
    """Pointers, channels and unsafe.Pointers: `addresses` (n,), 0 for nil, and the column of what they lead to.

    `targets` (n values; of nil pointers they mean nothing) is None where pointers are not followed.
    """

    type: GoType
    addresses: Addresses
    targets: Column | None

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return self.targets.weight if self.targets is not None else 0

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        name, addresses = self.type.name, self.addresses.tolist()
        if self.targets is None:
            return [GoPointer(name, address) if address else None for address in addresses]
        pairs = zip(addresses, self.targets.values(), strict=True)
        return [GoPointer(name, address, True, target) if address else None for address, target in pairs]


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps inside of values: `addresses` (n,), 0 for nil, `counts` (n,) int64 of those that are `known` (n,)."""

    type: GoType
    addresses: Addresses
    counts: NDArray[np.int64]
    known: Mask

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return 0

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        parts = zip(self.addresses.tolist(), self.counts.tolist(), self.known.tolist(), strict=True)
        return [
            GoMap(self.type.name, address, count if known else None) if address else None
            for address, count, known in parts
        ]


@dataclass(frozen=True, eq=False)
class Partial:
    """Values of which some are not there: `column` has the others only, those that are `known` (n,).

    `instead` stands for those that are missing.
    """

    type: GoType
    column: Column
    known: Mask
    instead: GoValue

    def __len__(self) -> int:
        return len(self.known)

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return self.column.weight

    def scattered(self, parts: list[Any], rest: Any) -> list[Any]:
        """(n) something of each value: `parts` for those that are known, in order, `rest` for the others."""
        if len(parts) == len(self.known):
            return parts
        whole = np.full(len(self.known), rest, object)
        which = np.flatnonzero(self.known)
        for at, part in zip(which.tolist(), parts, strict=True):
            whole[at] = part
        return whole.tolist()

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        return self.scattered(self.column.values(), self.instead)


@dataclass(frozen=True, eq=False)
class Objects:
    """Values that are decoded one by one, when they are asked for: all that no other column is made for."""

    type: GoType
    decode: Callable[[], list[GoValue]]
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def weight(self) -> int:
        """See Numbers.weight."""
        return 0

    @cached_property
    def decoded(self) -> list[GoValue]:
        """The values."""
        return self.decode()

    def values(self) -> list[GoValue]:
        """See Numbers.values."""
        return self.decoded


Column: TypeAlias = Numbers | Texts | Blobs | Structs | Arrays | Pointers | Maps | Partial | Objects


def unread(memory: FrozenMemory) -> Unreadable:
    """What stands for a value whose bytes are not in a copy."""
    return unreadable(memory.missing(0, 0))


class Columns:
    """Makes columns of values, with the bytes that they point to taken from `memory`."""

    def __init__(self, types: TypeTable, memory: FrozenMemory) -> None:
        self.types, self.memory = types, memory
        self._decoder = Decoder(types, memory)
        self._left = 0

    # Which types

    def plain(self, go_type: GoType, limits: Limits = VALUE_LIMITS) -> bool:
        """Whether values of a type have few parts, however they are: no limit of the decoder can cut them.

        Slices, interfaces and functions may have any, so they are not plain, nor is what holds them.
        """
        left = ALWAYS
        try:
            for count in self._parts(go_type, limits):
                left -= count
                if left < 0:
                    return False
        except InspectError:
            return False
        return left >= 0

    def _parts(self, go_type: GoType, limits: Limits) -> Iterator[int]:
        """Yield how many parts a value has, bit by bit; ALWAYS + 1 where nobody knows."""
        yield 1
        kind = go_type.kind
        if limits.nesting < 0:
            return
        if kind == Kind.STRUCT:
            names = [field.name for field in go_type.fields if field.name != "_"]
            if len(names) != len(set(names)):
                yield ALWAYS + 1  # only in a damaged executable
            for field in go_type.fields:
                if field.name != "_":
                    yield from self._parts(self.types.get(field.type_address), limits.inside())
        elif kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            if elem.kind != Kind.UINT8:
                if go_type.length > ALWAYS:
                    yield ALWAYS + 1
                for _ in range(go_type.length):
                    yield from self._parts(elem, limits.inside())
        elif kind == Kind.POINTER:
            if limits.pointers:
                yield from self._parts(self.types.elem(go_type), limits.behind_pointer())
        elif kind == Kind.SLICE:
            if self.types.elem(go_type).kind != Kind.UINT8:
                yield ALWAYS + 1
        elif kind in (Kind.INTERFACE, Kind.FUNC):
            yield ALWAYS + 1

    def size(self, go_type: GoType) -> int:
        """Bytes that a value takes with what pointers of it lead to, beside strings and slices: at least 1."""
        self._left = ALWAYS
        return self._size(go_type, VALUE_LIMITS) + 1

    def _size(self, go_type: GoType, limits: Limits) -> int:
        self._left -= 1
        if self._left < 0 or limits.nesting < 0:
            return 0
        size, kind = go_type.size, go_type.kind
        with suppress(InspectError):
            if kind == Kind.POINTER and limits.pointers:
                size += self._size(self.types.elem(go_type), limits.behind_pointer())
            elif kind == Kind.ARRAY and go_type.size:
                elem = self.types.elem(go_type)
                size += go_type.length * (self._size(elem, limits.inside()) - elem.size)
            elif kind == Kind.STRUCT:
                for field in go_type.fields:
                    part = self.types.get(field.type_address)
                    size += self._size(part, limits.inside()) - part.size if self._left >= 0 else 0
        return size

    # Columns

    def column(self, go_type: GoType, rows: Rows, limits: Limits = VALUE_LIMITS) -> Column:
        """The column of values whose bytes are `rows` (n, size); what has no column of its own becomes Objects."""
        self._left = ALWAYS
        return self._part(go_type, rows, limits)

    def _part(self, go_type: GoType, rows: Rows, limits: Limits) -> Column:
        self._left -= 1
        if self._left < 0:
            return self._objects(go_type, rows, limits)
        try:
            return self._column(go_type, rows, limits)
        except InspectError:
            # What the executable says of the type is damaged: the decoder names the fault.
            return self._objects(go_type, rows, limits)

    def _column(self, go_type: GoType, rows: Rows, limits: Limits) -> Column:
        kind, count = go_type.kind, len(rows)
        if limits.nesting < 0:
            return Objects(go_type, lambda: [TOO_DEEP] * count, count)
        if rows.shape[1] != go_type.size:
            return self._objects(go_type, rows, limits)
        if kind == Kind.BOOL:
            return Numbers(go_type, rows[:, 0] != 0)
        if kind in DTYPES:
            return Numbers(go_type, records(rows, DTYPES[kind]))
        if kind == Kind.STRING:
            header = records(rows, dtype_of(string_header))
            return Texts(go_type, header["data"], header["len"], self.memory)
        if kind == Kind.SLICE and self.types.elem(go_type).kind == Kind.UINT8:
            header = records(rows, dtype_of(slice_header))
            return Texts(go_type, header["data"], header["len"], self.memory)
        if kind == Kind.ARRAY and self.types.elem(go_type).kind == Kind.UINT8:
            return Blobs(go_type, rows)
        if kind == Kind.STRUCT:
            return self._struct(go_type, rows, limits)
        if kind == Kind.ARRAY and self.plain(go_type, limits):
            elem = self.types.elem(go_type)
            parts = np.ascontiguousarray(rows).reshape(count * go_type.length, elem.size)
            return Arrays(go_type, self._part(elem, parts, limits.inside()), count)
        if kind in (Kind.CHAN, Kind.UNSAFE_POINTER):
            return Pointers(go_type, records(rows, "<u8"), None)
        if kind == Kind.POINTER:
            return self._pointers(go_type, records(rows, "<u8"), limits)
        if kind == Kind.MAP:
            return self._maps(go_type, records(rows, "<u8"))
        return self._objects(go_type, rows, limits)

    def _struct(self, go_type: GoType, rows: Rows, limits: Limits) -> Column:
        fields = [field for field in go_type.fields if field.name != "_"]
        if len(fields) > ALWAYS or len({field.name for field in fields}) < len(fields):
            return self._objects(go_type, rows, limits)
        columns = []
        for field in fields:
            part = self.types.get(field.type_address)
            inner = rows[:, field.offset : field.offset + part.size]
            columns.append((field.name, self._part(part, inner, limits.inside())))
        return Structs(go_type, tuple(columns), len(rows))

    def _pointers(self, go_type: GoType, addresses: Addresses, limits: Limits) -> Column:
        if not limits.pointers:
            return Pointers(go_type, addresses, None)
        elem = self.types.elem(go_type)
        rows, held = self.memory.held(addresses, elem.size)
        targets = self._part(elem, rows, limits.behind_pointer())
        return Pointers(go_type, addresses, Partial(elem, targets, held, unread(self.memory)))

    def _maps(self, go_type: GoType, addresses: Addresses) -> Column:
        words, known = self.memory.held(addresses, WORD)
        counts = np.zeros(len(addresses), np.int64)
        counts[known] = records(words, "<i8")
        return Maps(go_type, addresses, counts, known)

    def _objects(self, go_type: GoType, rows: Rows, limits: Limits) -> Column:
        decode = self._decoder.value
        return Objects(go_type, lambda: [decode(go_type, row.tobytes(), limits) for row in rows], len(rows))


def records(rows: Rows, dtype: str | np.dtype[Any]) -> NDArray[Any]:
    """Rows (n, size) as n values of a dtype of that size: a view wherever numpy can make one."""
    if rows.strides[1] != 1:
        rows = np.ascontiguousarray(rows)
    return rows.view(dtype)[:, 0]
