"""Whether bytes can be values of a type: this distinguishes map types whose keys hash alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError, NotReadInTime
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.types import itab
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.memory.gather import gather
from inspector.memory.protocol import Memory, RegionMap, Rows

LONGEST = 1 << 32
"""No string or slice of a sound program is longer than this many bytes."""

WORD = 8
POINTERS = (Kind.POINTER, Kind.CHAN, Kind.FUNC, Kind.MAP, Kind.UNSAFE_POINTER)
MAX_DEPTH = 4

MOST_BYTES = 1 << 22
"""Bytes behind the pointers of one type that are looked at."""

MOST_ELEMENTS = 64
"""Elements of an array that are looked at."""

Mask = NDArray[np.bool_]


class Plausibility:
    """Judges rows of bytes as values of a type; `specific` counts what could have spoken against it."""

    def __init__(self, types: TypeTable, memory: Memory, regions: RegionMap) -> None:
        self.types, self.memory, self.regions = types, memory, regions
        self.specific = 0

    def holds(self, go_type: GoType, rows: Rows, depth: int = 0) -> bool:
        """Whether all rows, of shape (n, size), can be values of the type."""
        if not len(rows) or depth > MAX_DEPTH:
            return True
        kind = go_type.kind
        if kind == Kind.BOOL:
            self.specific += 1
            return bool((rows <= 1).all())
        if kind in POINTERS:
            return self._pointers(go_type, rows, depth)
        if kind == Kind.STRING:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
            return self._run(headers["data"], headers["len"], 1)
        if kind == Kind.SLICE:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.slice_header))[:, 0]
            whole = bool((headers["len"] <= headers["cap"]).all())
            return whole and self._run(headers["data"], headers["len"], self.types.elem(go_type).size)
        if kind == Kind.INTERFACE:
            return self._interfaces(go_type, rows)
        if kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            return not elem.size or self.holds(elem, rows.reshape(-1, elem.size), depth + 1)
        if kind == Kind.STRUCT:
            parts = [(self.types.get(field.type_address), field.offset) for field in go_type.fields]
            return all(self.holds(part, rows[:, at : at + part.size], depth + 1) for part, at in parts)
        return True

    def _run(self, data: NDArray[np.uint64], lengths: NDArray[np.int64], size: int) -> bool:
        self.specific += 2
        if (lengths < 0).any() or (lengths > LONGEST).any():
            return False
        some = (lengths > 0) & (size > 0)
        return bool(self.regions.contains(data[some], lengths[some].astype(np.uint64) * np.uint64(size)).all())

    def _pointers(self, go_type: GoType, rows: Rows, depth: int) -> bool:
        words = np.ascontiguousarray(rows).view(np.uint64)[:, 0]
        words = np.unique(words[words != 0])
        self.specific += 1
        if go_type.kind != Kind.POINTER:
            return bool(self.regions.contains(words, WORD).all())
        elem = self.types.elem(go_type)
        if not self.regions.contains(words, max(elem.size, 1)).all():
            return False
        few = words[: max(1, MOST_BYTES // max(elem.size, 1))]
        targets, ok = gather(self.memory, self.regions, few, elem.size)
        return bool(ok.all()) and self.holds(elem, targets, depth + 1)

    def _interfaces(self, go_type: GoType, rows: Rows) -> bool:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        self.specific += 2
        for tab in np.unique(headers["tab"][headers["tab"] != 0]).tolist():
            try:
                self.types.dynamic(go_type, tab, self.memory)
            except NotReadInTime:
                raise
            except InspectError:
                return False
        return True


class Followable:
    """Judges rows as values of a type by their strings and interfaces alone, row by row, before any is followed.

    `can` (n,) says which rows can be such values at all, `longest` (n,) how many bytes the longest string of each has.
    Of strings nothing is read, of interfaces only the heads of their types.
    """

    def __init__(self, types: TypeTable, memory: Memory, regions: RegionMap, go_type: GoType, rows: Rows) -> None:
        self.types, self.memory, self.regions = types, memory, regions
        self.can: Mask = np.ones(len(rows), dtype=bool)
        self.longest: NDArray[np.int64] = np.zeros(len(rows), np.int64)
        self._look(go_type, rows, 0)

    def _look(self, go_type: GoType, rows: Rows, depth: int) -> None:
        if not go_type.has_pointers or depth > MAX_DEPTH:
            return
        if go_type.kind == Kind.STRING:
            self._strings(rows)
        elif go_type.kind == Kind.INTERFACE:
            self._interfaces(go_type, rows)
        elif go_type.kind == Kind.STRUCT:
            for part in go_type.fields:
                inner = self.types.get(part.type_address)
                self._look(inner, rows[:, part.offset : part.offset + inner.size], depth + 1)
        elif go_type.kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            for at in range(min(go_type.length, MOST_ELEMENTS)):
                self._look(elem, rows[:, at * elem.size : (at + 1) * elem.size], depth + 1)

    def _strings(self, rows: Rows) -> None:
        """A string has to lie in readable memory from its first byte to its last, however long it says it is."""
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
        lengths = headers["len"]
        sizes = np.maximum(lengths, 0).astype(np.uint64)
        self.can &= (lengths == 0) | (lengths > 0) & self.regions.contains(headers["data"], sizes)
        self.longest = np.maximum(self.longest, lengths)

    def _interfaces(self, go_type: GoType, rows: Rows) -> None:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        types = headers["tab"]
        if go_type.methods:
            pairs, ok = gather(self.memory, self.regions, types, itab.sizeof())
            types = np.where(ok, pairs.view(dtype_of(itab))[:, 0]["typ"], np.uint64(0))
        self.can &= (headers["tab"] == 0) | self.types.may_be_types(types, self.memory, self.regions)
