"""Bytes of the strings in a map, each string once however often it is there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.scalars import string_header
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.memory.protocol import RegionMap, Rows


def string_bytes(types: TypeTable, regions: RegionMap, values: list[tuple[GoType, Rows]]) -> int:
    """Bytes of the strings in values, each given as a type and rows of shape (n, size).

    Strings in structs and arrays count; what lies behind pointers, interfaces and slices does not.
    """
    headers = [
        np.ascontiguousarray(rows[:, at : at + string_header.sizeof()])
        for go_type, rows in values
        for at in _string_offsets(types, go_type)
    ]
    if not headers:
        return 0
    strings = np.concatenate(headers).view(dtype_of(string_header)).reshape(-1)
    lengths = np.where(strings["len"] > 0, strings["len"], 0).astype(np.uint64)
    sound = regions.contains(strings["data"], lengths)
    first, group = np.unique(strings["data"][sound], return_inverse=True)
    # One string may begin where another does that is a part of it.
    longest = np.zeros(len(first), np.uint64)
    np.maximum.at(longest, group, lengths[sound])
    return int(longest.sum())


def _string_offsets(types: TypeTable, go_type: GoType, at: int = 0) -> Iterator[int]:
    """Where in a value strings are."""
    if go_type.kind == Kind.STRING:
        yield at
    elif go_type.kind == Kind.STRUCT:
        for field in go_type.fields:
            yield from _string_offsets(types, types.get(field.type_address), at + field.offset)
    elif go_type.kind == Kind.ARRAY and go_type.size:
        elem = types.elem(go_type)
        for each in range(at, at + go_type.size, elem.size):
            yield from _string_offsets(types, elem, each)
