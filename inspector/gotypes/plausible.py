"""Whether bytes can be values of a type: what tells map types apart whose keys hash alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of
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
            except InspectError:
                return False
        return True


def followable(types: TypeTable, regions: RegionMap, go_type: GoType, rows: Rows, depth: int = 0) -> Mask:
    """Which rows (n, size) can be values of a type, by their strings and interfaces alone, before any is followed.

    Nothing is read. A string has to lie in readable memory from its first byte to its last, however long it says it is.
    """
    can = np.ones(len(rows), dtype=bool)
    if not go_type.has_pointers or depth > MAX_DEPTH:
        return can
    if go_type.kind == Kind.STRING:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
        sizes = np.maximum(headers["len"], 0).astype(np.uint64)
        return np.asarray((headers["len"] >= 0) & ((sizes == 0) | regions.contains(headers["data"], sizes)))
    if go_type.kind == Kind.INTERFACE:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        return np.asarray((headers["tab"] == 0) | regions.contains(headers["tab"], WORD))
    if go_type.kind == Kind.STRUCT:
        for part in go_type.fields:
            inner = types.get(part.type_address)
            can &= followable(types, regions, inner, rows[:, part.offset : part.offset + inner.size], depth + 1)
    if go_type.kind == Kind.ARRAY and go_type.length:
        elem = types.elem(go_type)
        each = followable(types, regions, elem, rows.reshape(-1, elem.size), depth + 1)
        can &= each.reshape(len(rows), -1).all(axis=1)
    return can
