"""Which function of the runtime assigns to maps of a type (mapfast in cmd/compile/internal/walk/walk.go)."""

from __future__ import annotations

from inspector.goruntime.releases import MAX_INLINE_SIZE
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.maps.swiss.mirror.assigning import FAST32, FAST64, FAST64PTR, FASTSTR, GENERIC

MOST_WRAPPERS = 64
"""Structs of one field and arrays of one element that are taken off at most to find the string in them."""


def assign_function(types: TypeTable, map_type: GoType) -> str:
    """The function that compiled code calls, without its package; reflect takes `mapassign` or `mapassign_faststr`."""
    if types.elem(map_type).size > MAX_INLINE_SIZE:
        return GENERIC
    key = types.key(map_type)
    if key.regular_memory and key.size == 4:
        return FAST32
    if key.regular_memory and key.size == 8:
        return FAST64PTR if key.has_pointers else FAST64
    return FASTSTR if _is_string(types, key) else GENERIC


def _is_string(types: TypeTable, key: GoType) -> bool:
    """Whether a key is a string, or a struct or an array of nothing but one."""
    for _ in range(MOST_WRAPPERS):
        if key.kind == Kind.STRUCT and len(key.fields) == 1 and key.fields[0].name != "_":
            key = types.get(key.fields[0].type_address)
        elif key.kind == Kind.ARRAY and key.length == 1:
            key = types.elem(key)
        else:
            break
    return key.kind == Kind.STRING
