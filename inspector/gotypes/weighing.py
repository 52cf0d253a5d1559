"""How many bytes values hold: their own, those of their strings and slices, and the same one pointer further.

Over arrays of values, from copies of what they point to (inspector.gotypes.reach).
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of, grouped
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_NESTING
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import RegionMap, Rows

Sizes = NDArray[np.uint64]

STEPS = 1
"""Pointers and interfaces that are followed one behind the other."""

WORD = 8

COUNTED = (
    "Counted are the bytes of a key or an element itself, of its strings and of the arrays of its slices (their "
    "capacity), and the same of what its pointers and interfaces lead to, one step far. Maps and channels in it are "
    "not followed. Memory that entries share counts for each of them."
)
"""What `Weigher.weigh` counts, for users."""


class Weigher:
    """Weighs values with what they point to taken from `memory`; `regions` is what was readable of the target.

    `missed` counts pointers whose targets are not there: they count nothing, so sizes are lower bounds then.
    """

    def __init__(self, types: TypeTable, memory: FrozenMemory, regions: RegionMap) -> None:
        self.types, self.memory, self.regions = types, memory, regions
        self.missed = 0

    def weigh(self, go_type: GoType, rows: Rows) -> Sizes:
        """(n,) bytes of each of the values, whose own bytes are `rows` (n, size); see COUNTED.

        What was not copied, and strings and slices that reach beyond what is mapped, count nothing.
        """
        return np.uint64(go_type.size) + self._beyond(go_type, rows, STEPS, MAX_NESTING)

    def _beyond(self, go_type: GoType, rows: Rows, steps: int, depth: int) -> Sizes:
        """(n,) bytes that values hold elsewhere."""
        nothing = np.zeros(len(rows), np.uint64)
        if not len(rows) or not go_type.has_pointers or not depth:
            return nothing
        kind = go_type.kind
        if kind == Kind.STRING:
            return self._bytes_at(scalars.string_header, "len", rows, 1)
        if kind == Kind.SLICE:
            return self._bytes_at(scalars.slice_header, "cap", rows, self.types.elem(go_type).size)
        if kind == Kind.STRUCT:
            for field in go_type.fields:
                part = self.types.get(field.type_address)
                nothing += self._beyond(part, rows[:, field.offset : field.offset + part.size], steps, depth - 1)
            return nothing
        if kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            parts = np.ascontiguousarray(rows).reshape(-1, elem.size)
            of_elems = self._beyond(elem, parts, steps, depth - 1).reshape(len(rows), -1)
            return np.asarray(of_elems.sum(axis=1), np.uint64)
        if kind == Kind.POINTER and steps:
            return self._behind(self.types.elem(go_type), _words(rows), steps, depth)
        return self._interfaces(go_type, rows, steps, depth) if kind == Kind.INTERFACE else nothing

    def _bytes_at(self, header: object, count: str, rows: Rows, size: int) -> Sizes:
        headers = np.ascontiguousarray(rows).view(dtype_of(header))[:, 0]
        counts = headers[count]
        # A count that its bytes would overflow is larger than any memory.
        fits = (counts > 0) & (counts < (1 << 47) // max(size, 1))
        sizes = np.where(fits, counts, 0).astype(np.uint64) * np.uint64(size)
        return np.where(self.regions.contains(headers["data"], sizes), sizes, np.uint64(0))

    def _behind(self, go_type: GoType, pointers: NDArray[np.uint64], steps: int, depth: int) -> Sizes:
        """What pointers lead to: each target is weighed once, however many lead to it."""
        targets, which = np.unique(pointers, return_inverse=True)
        rows, held = self.memory.held(targets, go_type.size)
        sizes = np.zeros(len(targets), np.uint64)
        sizes[held] = np.uint64(go_type.size) + self._beyond(go_type, rows, steps - 1, depth - 1)
        sizes[targets == 0] = 0
        self.missed += int(np.count_nonzero(~held & (targets != 0)))
        return sizes[which]

    def _interfaces(self, go_type: GoType, rows: Rows, steps: int, depth: int) -> Sizes:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        sizes = np.zeros(len(rows), np.uint64)
        for tab, group in grouped(headers["tab"]):
            with suppress(InspectError):
                if tab:
                    sizes[group] = self._dynamic(
                        self.types.dynamic(go_type, tab, self.memory), headers, group, steps, depth
                    )
        return sizes

    def _dynamic(
        self, dynamic: GoType, headers: NDArray[np.void], group: NDArray[np.int64], steps: int, depth: int
    ) -> Sizes:
        words = np.ascontiguousarray(headers["data"][group])
        if dynamic.direct_iface:
            # The word is the value itself, a pointer that is followed as one in a field is.
            return self._beyond(dynamic, words.view(np.uint8).reshape(-1, WORD), steps, depth - 1)
        return self._behind(dynamic, words, steps, depth) if steps else np.zeros(len(group), np.uint64)


def _words(rows: Rows) -> NDArray[np.uint64]:
    return np.ascontiguousarray(rows).view(np.uint64)[:, 0]
