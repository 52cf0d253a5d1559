"""Turns what the user typed into a value of gdb's, where gdb is needed: for variables of frames and for expressions.

Variables are looked up in the blocks of the selected frame and paths are followed field by field, so nothing depends on
the language that gdb takes from the innermost frame (assembler, in a parked Go program), and nothing of the user's
settings is touched. Package variables are left to `inspector.naming`. gdb evaluates nothing but what the user typed:
names that come from the program are compared, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import gdb

from inspector.errors import UnknownVariable
from inspector.naming.locate import Locator, evaluated, parse_address, shown
from inspector.target.target import Target

CLASSIC_MAP, SWISS_MAP = "hash<", "map<"
"""How DWARF names of what a map variable points to begin (cmd/link/internal/ld/dwarf.go)."""

ESCAPED = "&"
"""How DWARF names of variables that moved to the heap begin: the variable holds a pointer to them."""

_LOCAL = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\d{1,9}\])*)")
_STEP = re.compile(r"\.([^\W\d]\w*)|\[(\d{1,9})\]")
_GLOBAL = re.compile(r"\w[^\s'\"()$&:]*")


@dataclass(frozen=True)
class MapValue:
    """A value of gdb's that is a Go map: its declared type's name, and the address of its header (0 for nil)."""

    declared: str
    address: int


def locate_in_gdb(target: Target, text: str, type_name: str | None) -> str | Locator:
    """Turn an expression into what inspect() takes; an address and a package variable are left as they are.

    A variable of the selected frame goes before a package; what is not a Go name is evaluated as gdb's `print` does.
    Raises UnknownVariable, gdb.error.
    """
    if parse_address(text) is not None:
        return text
    value = frame_value(text)
    if value is None and _GLOBAL.fullmatch(text):
        return text
    return locate_value(target, gdb.parse_and_eval(text) if value is None else value, text, type_name)


def locate_value(target: Target, value: gdb.Value, text: str, type_name: str | None) -> str | Locator:
    """Turn a value, which `text` names, into what inspect() takes."""
    if value.is_optimized_out:
        raise UnknownVariable(
            f"{shown(text)} is optimized out here", "try another frame (up), or build with -gcflags=all='-N -l'"
        )
    found = map_value(value)
    if found:
        return evaluated(target.program.types, text, found.declared, found.address, type_name)
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT):
        return hex(int(value) % (1 << 64))
    raise UnknownVariable(
        f"{shown(text)} is of type {shown(name_of(value.type))}, not a map", "name a map, or a path to one"
    )


def map_value(value: gdb.Value) -> MapValue | None:
    """What a value says of itself when it is a Go map or a pointer to one; None for anything else."""
    if is_map(value.type):
        return MapValue(name_of(value.type), int(value))
    stripped = value.type.strip_typedefs()
    if stripped.code == gdb.TYPE_CODE_PTR and is_map(stripped.target()):
        return map_value(value.dereference())
    return None


def is_map(declared: gdb.Type, *families: str) -> bool:
    """Whether DWARF declares a type as a Go map, of one of these families if any are given."""
    stripped = declared.strip_typedefs()
    if declared.code != gdb.TYPE_CODE_TYPEDEF or stripped.code != gdb.TYPE_CODE_PTR:
        return False
    return (stripped.target().strip_typedefs().name or "").startswith(families or (CLASSIC_MAP, SWISS_MAP))


def is_go_string(declared: gdb.Type) -> bool:
    """Whether DWARF declares a type as Go's string, or as one that is made from it."""
    stripped = declared.strip_typedefs()
    if stripped.code != gdb.TYPE_CODE_STRUCT:
        return False
    fields = stripped.fields()
    # A struct of C's may have such fields, but no uint8.
    return [field.name for field in fields] == ["str", "len"] and str(fields[0].type.target()) == "uint8"


def frame_value(text: str) -> gdb.Value | None:
    """The value of a local or argument of the selected frame, or of a path into one; None if it does not exist."""
    match = _LOCAL.fullmatch(text)
    if match is None:
        return None
    name, path = match.groups()
    for found, value in frame_variables():
        if found == name:
            return _follow(value, path)
    return None


def frame_variables() -> Iterator[tuple[str, gdb.Value]]:
    """Locals and arguments of the selected frame, innermost scope first, each name once."""
    seen = set()
    try:
        frame = gdb.selected_frame()
        block = frame.block()
    except (gdb.error, RuntimeError):
        return
    while block is not None:
        for symbol in block:
            name = symbol.name.removeprefix(ESCAPED)
            if (symbol.is_variable or symbol.is_argument) and name not in seen:
                seen.add(name)
                value = symbol.value(frame)
                yield name, value if name == symbol.name else value.dereference()
        block = block.superblock if not block.function else None


def name_of(go_type: gdb.Type) -> str:
    """A type's name in DWARF."""
    return str(go_type.name or go_type)


def _follow(value: gdb.Value, path: str) -> gdb.Value:
    """Follow ".field[3].field" through pointers, as Go does; raises gdb.error."""
    for field, index in _STEP.findall(path):
        while value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
            value = value.dereference()
        value = value[field] if field else _element(value, int(index))
    return value


def _element(value: gdb.Value, index: int) -> gdb.Value:
    """An element of an array or slice; raises gdb.error."""
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
        length, first = value.type.strip_typedefs().range()[1] + 1, value
    else:
        length, first = int(value["len"]), value["array"]
    if index >= length:
        raise gdb.error(f"index {index} is out of range")
    return first[index]
