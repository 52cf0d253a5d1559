"""What values and types of gdb's say of Go: their names, which of them are maps, and where paths lead.

gdb runs this, in the plugin and behind the bridge: it imports nothing but gdb and the standard library. Nothing of a
target is evaluated here, names are compared only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gdb

CLASSIC_MAP, SWISS_MAP = "hash<", "map<"
"""How DWARF names of what a map variable points to begin (cmd/link/internal/ld/dwarf.go)."""

SYNC_MAP = "sync.Map"

ESCAPED = "&"
"""How DWARF names of variables that moved to the heap begin: the variable holds a pointer to them."""

TYPE_PARAMETER = ".param"
"""How DWARF names of types begin that stand for the type parameters of generic code."""

SLICE = ["array", "len", "cap"]
"""The fields of a slice in DWARF."""

MOST_EMBEDDED = 32
"""Depth of embedded structs in which a promoted field is looked for."""

MOST_NAMES = 6
"""Fields that an error names."""

_STEP = re.compile(r"\.([^\W\d]\w*)|\[(\d{1,9})\]")


def name_of(declared: Any) -> str:
    """A type's name in DWARF."""
    return str(declared.name or declared)


def plain_name(symbol: Any) -> str:
    """A variable's name as in the source: what lives on the heap is called &name."""
    return str(symbol.name).removeprefix(ESCAPED)


def value_in(symbol: Any, frame: Any) -> Any:
    """The value of a variable, wherever it lives; raises gdb.error, RuntimeError."""
    value = symbol.value(frame)
    return value.dereference() if symbol.name.startswith(ESCAPED) and not value.is_optimized_out else value


def is_map(declared: Any) -> bool:
    """Whether DWARF declares a type as a Go map, of either family."""
    return bool(family_prefix(declared))


def family_prefix(declared: Any) -> str:
    """CLASSIC_MAP or SWISS_MAP where DWARF declares a type as a Go map of that family; empty for any other type."""
    stripped = declared.strip_typedefs()
    if declared.code != gdb.TYPE_CODE_TYPEDEF or stripped.code != gdb.TYPE_CODE_PTR:
        return ""
    name = stripped.target().strip_typedefs().name or ""
    return next((prefix for prefix in (CLASSIC_MAP, SWISS_MAP) if name.startswith(prefix)), "")


def is_sync_map(declared: Any) -> bool:
    """Whether DWARF declares a type as sync.Map: a variable of it is the map itself, and no pointer to one."""
    # The linker writes a typedef of the same name before the struct of every named type.
    stripped = declared.strip_typedefs()
    return bool(stripped.code == gdb.TYPE_CODE_STRUCT and stripped.name == SYNC_MAP)


def points_to_map(declared: Any) -> bool:
    """Whether a type is a pointer to a map variable, or to a sync.Map."""
    stripped = declared.strip_typedefs()
    return stripped.code == gdb.TYPE_CODE_PTR and (is_map(stripped.target()) or is_sync_map(stripped.target()))


def without_parameter(declared: Any) -> Any:
    """What stands for a type parameter in this instance of generic code (.param0 is a typedef)."""
    while declared.code == gdb.TYPE_CODE_TYPEDEF and (declared.name or "").startswith(TYPE_PARAMETER):
        declared = declared.target()
    return declared


def follow(value: Any, path: str) -> Any:
    """The value that ".field[3].field" leads to, through pointers and embedded structs as in Go; raises gdb.error."""
    for field, index in _STEP.findall(path):
        value = _behind(value)
        value = _member(value, field) if field else _element(value, int(index))
    return value


def _behind(value: Any) -> Any:
    """What pointers lead to, or the value itself. A map is no pointer to its header, and so has no fields."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR and not is_map(value.type):
        value = value.dereference()
    return value


def _element(value: Any, index: int) -> Any:
    plain = value.type.strip_typedefs()
    if plain.code == gdb.TYPE_CODE_ARRAY:
        length, first = plain.range()[1] + 1, value
    elif plain.code == gdb.TYPE_CODE_STRUCT and [field.name for field in plain.fields()] == SLICE:
        length, first = int(value["len"]), value["array"]
    else:
        raise gdb.error(f"{name_of(value.type)} is neither an array nor a slice")
    if index >= length:
        raise gdb.error(f"index {index} is out of range: there are {length} elements")
    return first[index]


def _member(value: Any, name: str) -> Any:
    """A field, which may be one of an embedded struct. The shallowest one counts, as in Go."""
    if value.type.strip_typedefs().code != gdb.TYPE_CODE_STRUCT:
        raise gdb.error(f"{name_of(value.type)} has no fields")
    level, seen = [value], set[str]()
    for _ in range(MOST_EMBEDDED):
        found = [each[name] for each in level if any(field.name == name for field in _fields(each))]
        if len(found) > 1:
            raise gdb.error(f"{name} is ambiguous: {len(found)} embedded structs have such a field")
        if found:
            return found[0]
        seen.update(name_of(each.type) for each in level)
        inner = [_behind(each[field.name]) for each in level for field in _fields(each) if _is_embedded(field)]
        level = [each for each in inner if _fields(each) and name_of(each.type) not in seen]
    names = [str(field.name) for field in _fields(value)]
    more = ", ..." if len(names) > MOST_NAMES else ""
    raise gdb.error(f"{name_of(value.type)} has no field {name} (fields: {', '.join(names[:MOST_NAMES])}{more})")


def _fields(value: Any) -> list[Any]:
    plain = value.type.strip_typedefs()
    return list(plain.fields()) if plain.code == gdb.TYPE_CODE_STRUCT else []


def _is_embedded(field: Any) -> bool:
    """Whether a field is called like its own type. DWARF says more (DW_AT_go_embedded_field), but not through gdb."""
    declared = field.type
    if declared.code == gdb.TYPE_CODE_PTR:
        declared = declared.target()
    return str(field.name) == name_of(declared).partition("[")[0].rpartition(".")[2]


def variables_of(block: Any) -> Iterator[Any]:
    """The arguments and variables that a block declares."""
    return (symbol for symbol in block if symbol.is_argument or symbol.is_variable)
