"""The strings in many values: where the text of each lies, and how long it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError
from inspector.goruntime.dtypes import dtype_of, grouped
from inspector.goruntime.scalars import interface_header, string_header
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_NESTING
from inspector.gotypes.table import TypeTable
from inspector.memory.gather import gather
from inspector.memory.protocol import Memory, RegionMap, Rows

LARGEST = 1 << 20
"""Bytes of a value in an interface that is looked at."""


def string_headers(
    types: TypeTable, memory: Memory, regions: RegionMap, go_type: GoType, rows: Rows, depth: int = MAX_NESTING
) -> Iterator[NDArray[np.void]]:
    """Yield the headers of the strings in values of shape (n, size), as arrays of runtime.stringStruct.

    Strings in structs, arrays and interfaces are found; what lies behind pointers and in slices is not. Nothing raises
    for bad memory.
    """
    if not len(rows) or not go_type.has_pointers or not depth:
        return
    if go_type.kind == Kind.STRING:
        yield np.ascontiguousarray(rows).view(dtype_of(string_header))[:, 0]
    elif go_type.kind == Kind.STRUCT:
        for field in go_type.fields:
            part = types.get(field.type_address)
            inner = rows[:, field.offset : field.offset + part.size]
            yield from string_headers(types, memory, regions, part, inner, depth - 1)
    elif go_type.kind == Kind.ARRAY and go_type.size:
        elem = types.elem(go_type)
        parts = np.ascontiguousarray(rows).reshape(-1, elem.size)
        yield from string_headers(types, memory, regions, elem, parts, depth - 1)
    elif go_type.kind == Kind.INTERFACE:
        headers = np.ascontiguousarray(rows).view(dtype_of(interface_header))[:, 0]
        for tab, group in grouped(headers["tab"]):
            with suppress(InspectError):
                dynamic = types.dynamic(go_type, tab, memory) if tab else None
                if (
                    dynamic is not None
                    and not dynamic.direct_iface
                    and dynamic.has_pointers
                    and dynamic.size <= LARGEST
                ):
                    # An interface in an interface's value leads on, but a value may not lead back to itself.
                    places = np.ascontiguousarray(headers["data"][group])
                    inner, ok = gather(memory, regions, places, dynamic.size)
                    yield from string_headers(types, memory, regions, dynamic, inner[ok], min(depth - 1, 2))
