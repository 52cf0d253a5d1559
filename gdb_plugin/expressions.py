"""Turns what the user typed into what inspect() takes: a name that `inspector.naming` knows, or a value of gdb's.

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

from inspector.control.gdbvalues import (
    follow,
    is_map,
    is_sync_map,
    name_of,
    plain_name,
    points_to_map,
    value_in,
    variables_of,
)
from inspector.errors import UnknownType, UnknownVariable, UsageError
from inspector.gotypes.gotype import GoType
from inspector.gotypes.names import normalise, short_form
from inspector.gotypes.paths import MOST_DEREFERENCES
from inspector.gotypes.syncmaps import find_sync_map
from inspector.gotypes.table import TypeTable
from inspector.naming.frames import parse_frame_name
from inspector.naming.grammar import Named, outside_strings, parse_name, parse_path
from inspector.naming.locate import Locator, evaluated, is_name, not_a_map, parse_address, walked_from
from inspector.naming.walk import Place
from inspector.settings import shown
from inspector.target.run import Run
from inspector.target.target import Target

_QUOTED = re.compile(r"'([^']+)'((?:[.\[].*)?)", re.DOTALL)
"""A Go name in quotes, as `print` wants it, and the path behind it."""

_WORDS = re.compile(r"\w[^\s'\"()$&:]*")
_QUALIFIED = re.compile(r"[(*]*[^\W\d][\w/%~@+·-]*\.[\w(]")
"""What no expression of gdb's is meant by, but a name of Go's: it is a word, or begins with a package."""

INTERFACES = ("runtime.iface", "runtime.eface")
LOOK_UP = 'look the entry up: print $gomap_get (m, "key")'

_OF_GDB = ("$", "&", "->", "::")


@dataclass(frozen=True)
class MapValue:
    """A value of gdb's that is a Go map: its declared type's name, and the address of its header (0 for nil)."""

    declared: str
    address: int


def locate_in_gdb(target: Target, text: str, type_name: str | None) -> str | Locator:
    """Turn what was typed into what inspect() takes; an address, and names that need no gdb, are left as they are.

    The first of these that a text is counts: an address; a variable of the selected frame, with a path; a package
    variable, with a path, or an address that is converted to a type; a variable of some goroutine's function; what gdb
    evaluates. What begins with a star is evaluated first, as gdb and names mean different things by it.
    Raises UnknownVariable, UnknownType, gdb.error.
    """
    quoted = _QUOTED.fullmatch(text)
    name = "".join(quoted.groups()) if quoted else text
    if parse_address(name) is not None:
        return name
    starred = _is_starred(name)
    found = None if starred else _in_selected_frame(target, name, type_name)
    if found is not None:
        return found
    known = is_name(Run(target, None), name)
    if not starred and (known or _is_in_a_frame(name) or _is_never_for_gdb(name)):
        return name
    try:
        return locate_value(target, gdb.parse_and_eval(text), text, type_name)
    except (gdb.error, UnknownVariable) as error:
        if known or (isinstance(error, gdb.error) and _is_meant_as_name(name)):
            # What is wrong with it is said there.
            return name
        raise


def _in_selected_frame(target: Target, text: str, type_name: str | None) -> str | Locator | None:
    """A local or argument of the selected frame, or a path from one.

    None if it does not exist, and for a path that is an expression of gdb's: s.parts[i].
    """
    try:
        named = parse_name(text) or Named(text, ())
        first, dot, fields = named.head.partition(".")
        steps = (*parse_path(dot + fields), *named.steps)
    except UsageError:
        return None
    value = next((value for name, value in frame_variables() if name == first), None) if first else None
    if value is None:
        return None
    reached = first
    for number, step in enumerate(steps):
        if _leads_through_memory(value):
            start = _place_of(target.program.types, reached, value)
            return walked_from(text, start, steps[number:], type_name, target.program.types)
        if not step.plain:
            return None
        value, reached = follow(value, step.text), reached + step.text
    return locate_value(target, value, text, type_name)


def _leads_through_memory(value: gdb.Value) -> bool:
    """Whether gdb knows no way on from a value, or from what it points to: a map's entries, what an interface holds."""
    declared = value.type
    for _ in range(MOST_DEREFERENCES):
        if declared.strip_typedefs().code != gdb.TYPE_CODE_PTR or is_map(declared):
            break
        declared = declared.strip_typedefs().target()
    return is_map(declared) or is_sync_map(declared) or name_of(declared.strip_typedefs()) in INTERFACES


def _place_of(types: TypeTable, name: str, value: gdb.Value) -> Place:
    """Where the value of a variable lies, or what it points to, from where a path through maps leads on."""
    if value.is_optimized_out:
        raise _optimized_out(name)
    address = None if value.address is None else int(value.address)
    for _ in range(MOST_DEREFERENCES):
        if value.type.strip_typedefs().code != gdb.TYPE_CODE_PTR or is_map(value.type):
            break
        address, value = int(value) % (1 << 64), value.dereference()
    if address == 0:
        raise UnknownVariable(f"{name} is nil")
    go_type = _go_type(types, value.type)
    if address is None or go_type is None:
        why = "is in a register" if address is None else f"is of an unknown type, {shown(name_of(value.type))}"
        raise UnknownVariable(f"{name} {why}, so no path leads on through its entries", LOOK_UP)
    return Place(name, address, go_type)


def _go_type(types: TypeTable, declared: gdb.Type) -> GoType | None:
    """The runtime's type of a type of gdb's, whose name has the whole import path; None where there is none."""
    if is_sync_map(declared):
        return find_sync_map(types)
    whole = normalise(name_of(declared))
    try:
        found = types.find_map_type(whole) if is_map(declared) else types.find_type(short_form(whole))
    except UnknownType:
        return None
    same = found.size == declared.sizeof and whole in (normalise(types.qualified_name(found)), normalise(found.name))
    return found if same else None


def _is_starred(text: str) -> bool:
    """Whether a star stands before the whole of a text: by *p gdb means what p points to, and a name means p itself."""
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return text.startswith("*") and not _is_never_for_gdb(text) and not any(quote in text for quote in '"`')


def _is_never_for_gdb(text: str) -> bool:
    """Whether a text can be nothing but a name, although nothing is known by it.

    gdb would call functions of the program for it: malloc for a key in quotes, what lies at the address for a type.
    """
    try:
        named = parse_name(text)
    except UsageError:
        named = None
    if named is not None and (named.address is not None or any(step.short or step.assertion for step in named.steps)):
        return True
    return bool(_QUALIFIED.match(text)) and any(quote in text for quote in '"`')


def _is_meant_as_name(text: str) -> bool:
    """Whether a text that gdb cannot evaluate was meant as a name of Go's, so that its naming says what is wrong."""
    if _WORDS.fullmatch(text):
        return True
    return bool(_QUALIFIED.match(text)) and not any(_stands_in(text, sign) for sign in _OF_GDB)


def _stands_in(text: str, sign: str) -> bool:
    return sign in text and outside_strings(text, sign[0])


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
        raise _optimized_out(text)
    if is_sync_map(value.type) and value.address is None:
        raise UnknownVariable(f"{shown(text)} is a copy of a sync.Map", "name the variable itself")
    found = map_value(value)
    if found:
        return evaluated(target.program.types, text, found.declared, found.address, type_name)
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT):
        return hex(int(value) % (1 << 64))
    raise not_a_map(shown(text), name_of(value.type))


def _optimized_out(text: str) -> UnknownVariable:
    return UnknownVariable(
        f"{shown(text)} is optimized out here", "try another frame (up), or build with -gcflags=all='-N -l'"
    )


def map_value(value: gdb.Value) -> MapValue | None:
    """What a value says of itself when it is a Go map, a sync.Map, or a pointer to one; None for anything else."""
    if is_sync_map(value.type):
        return None if value.address is None else MapValue(name_of(value.type), int(value.address))
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
