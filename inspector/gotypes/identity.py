"""Go's == over arrays of values: equal values get equal numbers.

Source: cmd/compile/internal/compare, runtime/alg.go (strequal, interequal, f64equal).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of, grouped
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_NESTING, MAX_STRING
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Rows

UNEQUAL = -1
"""The number of a value that equals nothing known: NaN, or one that could not be read."""

Numbers = NDArray[np.int64]


def identify(types: TypeTable, memory: FrozenMemory, go_type: GoType, rows: Rows, indirect: bool = False) -> Numbers:
    """Number values of shape (n, size) so that a == b exactly where the numbers are equal.

    `indirect` rows hold pointers to the values. Bytes behind pointers come from `memory`.
    """
    identity = _Identity(types, memory)
    return identity.behind(go_type, rows, 0) if indirect else identity.of(go_type, rows, 0)


class _Identity:
    def __init__(self, types: TypeTable, memory: FrozenMemory) -> None:
        self.types, self.memory = types, memory

    def behind(self, go_type: GoType, rows: Rows, depth: int) -> Numbers:
        # Each value is looked at once, however often it is pointed to: an array of interfaces may hold itself.
        pointers, which = np.unique(np.ascontiguousarray(rows).view(np.uint64)[:, 0], return_inverse=True)
        numbers = np.full(len(pointers), UNEQUAL, dtype=np.int64)
        values, held = self.memory.held(pointers, go_type.size)
        numbers[held] = self.of(go_type, values, depth)
        return numbers[which]

    def of(self, go_type: GoType, rows: Rows, depth: int) -> Numbers:
        kind = go_type.kind
        if depth > MAX_NESTING or not len(rows):
            return np.full(len(rows), UNEQUAL, dtype=np.int64)
        if kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.COMPLEX64, Kind.COMPLEX128):
            return _floats(rows, np.float32 if kind in (Kind.FLOAT32, Kind.COMPLEX64) else np.float64)
        if kind == Kind.STRING:
            return self._strings(rows)
        if kind == Kind.STRUCT:
            parts = [f for f in go_type.fields if f.name != "_"]
            columns = [(self.types.get(f.type_address), f.offset) for f in parts]
            numbers = [self.of(t, rows[:, at : at + t.size], depth + 1) for t, at in columns]
            return _join(np.stack(numbers, axis=1) if numbers else np.empty((len(rows), 0), np.int64))
        if kind == Kind.ARRAY and not self.types.elem(go_type).regular_memory:
            elem = self.types.elem(go_type)
            values = self.of(elem, np.ascontiguousarray(rows).reshape(-1, elem.size), depth + 1)
            return _join(values.reshape(len(rows), -1))
        if kind == Kind.INTERFACE:
            return self._interfaces(go_type, rows, depth)
        return _number(rows)

    def _strings(self, rows: Rows) -> Numbers:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
        numbers = np.full(len(rows), UNEQUAL, dtype=np.int64)
        offset = 0
        for length, group in grouped(headers["len"]):
            if not 0 <= length <= MAX_STRING:
                continue
            if len(group) == 1:
                numbers[group], offset = offset, offset + 1  # no other string can equal it, whatever it holds
                continue
            data, held = self.memory.held(headers["data"][group], length)
            numbers[group[held]] = _number(data) + offset
            offset += len(group)
        return numbers

    def _interfaces(self, go_type: GoType, rows: Rows, depth: int) -> Numbers:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        numbers = np.full(len(rows), UNEQUAL, dtype=np.int64)
        tabs, which = np.unique(headers["tab"], return_inverse=True)
        dynamic = np.array([self._dynamic_type(go_type, tab) for tab in tabs.tolist()], dtype=np.uint64)[which]
        offset = 0
        for address, group in grouped(dynamic):
            own = self._dynamic(address, headers["data"][group], depth)
            numbers[group] = np.where(own == UNEQUAL, UNEQUAL, own + offset)
            offset += len(group)
        return numbers

    def _dynamic_type(self, go_type: GoType, tab: int) -> int:
        """Address of the dynamic type, which two itabs may share; the tab itself where that is not known."""
        if not tab or not go_type.methods:
            return tab
        try:
            return self.types.dynamic(go_type, tab, self.memory).address
        except InspectError:
            return tab

    def _dynamic(self, address: int, data: NDArray[Any], depth: int) -> Numbers:
        if not address:
            return np.zeros(len(data), dtype=np.int64)
        try:
            dynamic = self.types.get(address)
        except InspectError:
            return np.full(len(data), UNEQUAL, dtype=np.int64)
        words = np.ascontiguousarray(data).view(np.uint8).reshape(-1, 8)
        return (self.of if dynamic.direct_iface else self.behind)(dynamic, words, depth + 1)


def _number(rows: Rows) -> Numbers:
    """Number equal rows of bytes equally; numbers are smaller than the number of rows."""
    if rows.shape[1] == 0:
        return np.zeros(len(rows), dtype=np.int64)
    raw = np.ascontiguousarray(rows)
    width = raw.shape[1]
    plain = raw.view(f"<u{width}") if width in (1, 2, 4, 8) else raw.view(np.dtype((np.void, width)))
    return np.unique(plain[:, 0], return_inverse=True)[1].astype(np.int64)


def _floats(rows: Rows, part: type[np.floating[Any]]) -> Numbers:
    values = np.ascontiguousarray(rows).view(part)
    # +0 and -0 are equal and differ in bytes; adding zero makes them one.
    with np.errstate(invalid="ignore"):  # a NaN that signals
        numbers = _number((values + part(0)).view(np.uint8).reshape(len(rows), -1))
    numbers[np.isnan(values).any(axis=1)] = UNEQUAL
    return numbers


def _join(table: Numbers) -> Numbers:
    """Number the rows of a table, of shape (n, parts): equal where all parts are, unequal where one of them is."""
    if not table.shape[1]:
        return np.zeros(len(table), dtype=np.int64)
    numbers = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    numbers[(table == UNEQUAL).any(axis=1)] = UNEQUAL
    return numbers
