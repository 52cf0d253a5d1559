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
OWN = {Kind.BOOL: 1, **dict.fromkeys(POINTERS, 1), Kind.STRING: 2, Kind.SLICE: 2, Kind.INTERFACE: 2}
"""How much in a value of a kind itself can speak against it."""

MAX_DEPTH = 4

MOST_BYTES = 1 << 22
"""Bytes behind the pointers of one type that are looked at."""

MOST_ELEMENTS = 64
"""Elements of an array that are looked at."""

Mask = NDArray[np.bool_]


class Plausibility:
    """Judges rows of bytes as values of a type, row by row."""

    def __init__(self, types: TypeTable, memory: Memory, regions: RegionMap) -> None:
        self.types, self.memory, self.regions = types, memory, regions
        self._specific: dict[tuple[int, int], int] = {}

    def specific(self, go_type: GoType, depth: int = 0) -> int:
        """How much there is in a value of a type that can speak against it: the higher, the more a value proves."""
        key = go_type.address, depth
        if depth > MAX_DEPTH:
            return 0
        if key not in self._specific:
            self._specific[key] = OWN.get(go_type.kind, 0) + self._specific_inside(go_type, depth + 1)
        return self._specific[key]

    def _specific_inside(self, go_type: GoType, depth: int) -> int:
        if go_type.kind in (Kind.POINTER, Kind.ARRAY):
            return self.specific(self.types.elem(go_type), depth)
        if go_type.kind == Kind.STRUCT:
            return sum(self.specific(self.types.get(field.type_address), depth) for field in go_type.fields)
        return 0

    def of(self, go_type: GoType, rows: Rows, depth: int = 0) -> Mask:
        """(n,) which rows, of shape (n, size), can be values of the type."""
        if not len(rows) or depth > MAX_DEPTH:
            return np.ones(len(rows), dtype=bool)
        kind = go_type.kind
        if kind == Kind.BOOL:
            return np.asarray((rows <= 1).all(axis=1))
        if kind in POINTERS:
            return self._pointers(go_type, rows, depth)
        if kind == Kind.STRING:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
            return self._run(headers["data"], headers["len"], 1)
        if kind == Kind.SLICE:
            headers = np.ascontiguousarray(rows).view(dtype_of(scalars.slice_header))[:, 0]
            whole: Mask = headers["len"] <= headers["cap"]
            return whole & self._run(headers["data"], headers["len"], self.types.elem(go_type).size)
        if kind == Kind.INTERFACE:
            return self._interfaces(go_type, rows)
        if kind == Kind.ARRAY:
            return self._array(self.types.elem(go_type), rows, depth)
        good = np.ones(len(rows), dtype=bool)
        for field in go_type.fields if kind == Kind.STRUCT else ():
            part = self.types.get(field.type_address)
            good &= self.of(part, rows[:, field.offset : field.offset + part.size], depth + 1)
        return good

    def _array(self, elem: GoType, rows: Rows, depth: int) -> Mask:
        if not elem.size or not rows.shape[1]:
            return np.ones(len(rows), dtype=bool)
        good = self.of(elem, np.ascontiguousarray(rows).reshape(-1, elem.size), depth + 1)
        return np.asarray(good.reshape(len(rows), -1).all(axis=1))

    def _run(self, data: NDArray[np.uint64], lengths: NDArray[np.int64], size: int) -> Mask:
        possible = (lengths >= 0) & (lengths <= LONGEST)
        bytes_ = np.where(possible, lengths, 0).astype(np.uint64) * np.uint64(size)
        return np.asarray(possible & ((bytes_ == 0) | self.regions.contains(data, bytes_)))

    def _pointers(self, go_type: GoType, rows: Rows, depth: int) -> Mask:
        words, which = np.unique(np.ascontiguousarray(rows).view(np.uint64)[:, 0], return_inverse=True)
        elem = self.types.elem(go_type) if go_type.kind == Kind.POINTER else None
        size = WORD if elem is None else max(elem.size, 1)
        good = (words == 0) | self.regions.contains(words, size)
        if elem is not None:
            some = np.flatnonzero(good & (words != 0))[: max(1, MOST_BYTES // size)]
            targets, ok = gather(self.memory, self.regions, words[some], elem.size)
            good[some] = ok & self.of(elem, targets, depth + 1)
        return np.asarray(good[which])

    def _interfaces(self, go_type: GoType, rows: Rows) -> Mask:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        tabs, which = np.unique(headers["tab"], return_inverse=True)
        good = np.ones(len(tabs), dtype=bool)
        for at in np.flatnonzero(tabs).tolist():
            try:
                self.types.dynamic(go_type, int(tabs[at]), self.memory)
            except NotReadInTime:
                raise
            except InspectError:
                good[at] = False
        return np.asarray(good[which])


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
