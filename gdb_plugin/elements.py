"""The element that a lookup found, as a value of gdb's."""

from __future__ import annotations

from typing import TypeAlias

import gdb

from gdb_plugin.strings import string_value
from gdb_plugin.types import find_type, key_and_elem, value_at
from inspector.errors import InspectError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.render import go_form
from inspector.gotypes.values import GoFunc, GoInterface, GoMap, GoPointer, GoString, GoValue
from inspector.inspection.one_key import KeyAnswer
from inspector.target.target import Target

WORD = 8

Given: TypeAlias = gdb.Value | bool | int | float | str
"""What a function of gdb's may return."""


def element_of(target: Target, answer: KeyAnswer, declared: gdb.Type | None) -> Given:
    """The element where it lies in the map, with its type: what gdb can print, cast, follow and take the address of.

    `declared` is the map's own type in gdb, if a value was given. Strings are given as text, which $_streq compares;
    what has no type in gdb (a program linked with -w) is given as a number or as text, too.
    """
    types, go_type, lookup = target.program.types, answer.ref.type, answer.lookup
    if isinstance(lookup.value, GoInterface):
        return _inside(target, types.elem(go_type), lookup.elem_address, lookup.value.value)
    # Of generic code only the caller knows the types: what the map was found to be says more than its declaration.
    known = find_type(types, go_type) or declared
    if known is None or go_type.layout is None or isinstance(lookup.value, GoString):
        return plain_value(lookup.value)
    try:
        return _typed(lookup.elem_address, key_and_elem(known, go_type.layout)[1], lookup.value)
    except (gdb.error, KeyError):
        return plain_value(lookup.value)


def _inside(target: Target, interface: GoType, address: int, inside: GoValue) -> Given:
    """The value in an interface (runtime.iface, runtime.eface): it lies behind the second word, or in it."""
    types, memory = target.program.types, target.memory
    try:
        tab, data = (int.from_bytes(memory.read(at, WORD), "little") for at in (address, address + WORD))
        dynamic = types.dynamic(interface, tab, memory)
    except InspectError:
        return plain_value(inside)
    known = None if dynamic.kind == Kind.STRING else find_type(types, dynamic)
    if known is None:
        return plain_value(inside)
    return _typed(address + WORD if dynamic.direct_iface else data, known, inside)


def _typed(address: int, declared: gdb.Type, value: GoValue) -> Given:
    if isinstance(value, GoFunc):
        # A func value is a pointer to its closure, which DWARF does not describe.
        return plain_value(value)
    return value_at(address, declared)


def plain_value(value: GoValue) -> Given:
    """A value without its type: a number, a truth value, an address, or text."""
    if value is None:
        return 0
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, GoString):
        return string_value(value.data)
    if isinstance(value, (GoPointer, GoFunc, GoMap)):
        return value.address
    return go_form(value)
