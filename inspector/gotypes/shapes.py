"""Shapes: what the types of generic code are called that is compiled once for several types (cmd/compile, noder)."""

from __future__ import annotations

from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.names import SHAPE, normalise
from inspector.gotypes.table import TypeTable

_BEGINNINGS = {
    "*": Kind.POINTER,
    "[]": Kind.SLICE,
    "[": Kind.ARRAY,
    "map[": Kind.MAP,
    "struct": Kind.STRUCT,
    "func": Kind.FUNC,
    "chan": Kind.CHAN,
    "<-chan": Kind.CHAN,
    "interface": Kind.INTERFACE,
}
"""How the names of types begin that are made of others."""


def of_shape(types: TypeTable, candidates: tuple[GoType, ...], declared: str) -> tuple[GoType, ...]:
    """Those map types that a declaration such as map[go.shape.string]go.shape.int can stand for; all if none can."""
    if SHAPE not in declared:
        return candidates
    key, elem = _parts(declared.removeprefix(SHAPE))
    # A map type that is written down in generic code has no name; one that is a type's argument may have one.
    named = declared.startswith(SHAPE)
    fitting = (
        each
        for each in candidates
        if (named or each.name.startswith("map[")) and _fits(key, types.key(each)) and _fits(elem, types.elem(each))
    )
    return tuple(fitting) or candidates


def _parts(name: str) -> tuple[str, str]:
    """The names of the key's and the element's type of a map."""
    depth = 0
    for at, character in enumerate(name):
        depth += (character == "[") - (character == "]")
        if depth == 0 and character == "]":
            return name[len("map[") : at], name[at + 1 :]
    return name, ""


def _fits(declared: str, go_type: GoType) -> bool:
    if SHAPE not in declared:
        return normalise(declared) == go_type.name
    shape = declared.removeprefix(SHAPE)
    if shape == go_type.kind.name.lower():
        return True
    return go_type.kind == next((kind for start, kind in _BEGINNINGS.items() if shape.startswith(start)), None)
