"""Turns what the user typed into a value of gdb's, where gdb is needed: for variables of frames and for expressions.

Variables are looked up in the blocks of the selected frame and paths are followed field by field, so nothing depends on
the language that gdb takes from the innermost frame (assembler, in a parked Go program), and nothing of the user's
settings is touched. Package variables, and variables that are named with their functions, are left to
`inspector.naming`. gdb evaluates nothing but what the user typed:
names that come from the program are compared, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import gdb

from inspector.control.gdbvalues import follow, is_map, name_of, plain_name, points_to_map, value_in, variables_of
from inspector.errors import UnknownVariable, UsageError
from inspector.naming.frames import parse_frame_name
from inspector.naming.locate import MOST_PARTS, Locator, evaluated, not_a_map, parse_address, shown
from inspector.target.target import Target

_LOCAL = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\d{1,9}\])*)")
_PATH = re.compile(r"""(?:\.[^\W\d]\w*|\[(?:[^]"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\])*""")
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
    if value is None and (_GLOBAL.fullmatch(text) or _is_of_package(target, text) or _is_in_a_frame(text)):
        return text
    return locate_value(target, gdb.parse_and_eval(text) if value is None else value, text, type_name)


def _is_of_package(target: Target, text: str) -> bool:
    """Whether a text is a package variable with a path behind it, which may hold keys of maps in quotes."""
    ends = [at for at, letter in enumerate(text) if letter in ".["][:MOST_PARTS]
    symbols = (at for at in ends if target.program.image.symbol(text[:at]) is not None)
    return any(_PATH.fullmatch(text, at) for at in symbols)


def _is_in_a_frame(text: str) -> bool:
    """Whether a text names a variable of some goroutine's function: main.handler@18:sessions."""
    if ":" not in text or "?" in text:
        return False
    try:
        parse_frame_name(text)
    except UsageError:
        return False
    return True


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
    raise not_a_map(shown(text), name_of(value.type))


def map_value(value: gdb.Value) -> MapValue | None:
    """What a value says of itself when it is a Go map or a pointer to one; None for anything else."""
    if is_map(value.type):
        return MapValue(name_of(value.type), int(value))
    return map_value(value.dereference()) if points_to_map(value.type) else None


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
            return follow(value, path)
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
        for symbol in variables_of(block):
            name = plain_name(symbol)
            if name not in seen:
                seen.add(name)
                yield name, value_in(symbol, frame)
        block = block.superblock if not block.function else None
