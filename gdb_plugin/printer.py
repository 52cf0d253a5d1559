"""The pretty-printer: a Go map as its entries, each once, in every state of a growth or a split."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import gdb

from gdb_plugin.expressions import is_go_string, locate_value
from gdb_plugin.opening import open_inferior
from gdb_plugin.types import key_and_elem, value_at
from inspector.control.gdbvalues import is_map, name_of
from inspector.errors import InspectError
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.inspection.one_map import Inspection, inspect

LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""

PARAMETER = "gomap pretty-print"


class MapPrinter:
    """Prints one map. gdb asks for the title, then for keys and elements in turn."""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def display_hint(self) -> str:
        """Children are keys and elements in turn."""
        return "map"

    @cached_property
    def _inspection(self) -> Inspection | str:
        """The answer, or why it is missing."""
        try:
            target = open_inferior()
            return inspect(target, locate_value(target, self._value, "the map", None), None, 0)
        except (InspectError, gdb.error) as error:
            return str(error)

    def to_string(self) -> str:
        """The type and the count, and what is wrong with the map."""
        found = self._inspection
        # gdb prints what this returns as it is.
        name = plain(name_of(self._value.type))
        if isinstance(found, str):
            return f"{name} at {int(self._value):#x} <{plain(found)}>"
        if found.snapshot is None:
            return f"{name}(nil)"
        verdict = found.judgement.verdict
        doubt = "" if verdict == "consistent" else f", {verdict}: see info gomap"
        return f"{name}({number_of(found.snapshot.header.count, 'entry')}{doubt})"

    def children(self) -> Iterator[tuple[str, gdb.Value]]:
        """Keys and elements in turn, where they lie in memory."""
        found = self._inspection
        if isinstance(found, str) or found.snapshot is None:
            return
        layout, slots = found.ref.type.layout, found.snapshot.slots()
        assert layout is not None
        key_type, elem_type = key_and_elem(self._value.type, layout)
        places = zip(slots.key_values.tolist(), slots.elem_values.tolist(), strict=True)
        for number, (key, elem) in enumerate(places):
            yield f"[{2 * number}]", value_at(key, key_type)
            yield f"[{2 * number + 1}]", value_at(elem, elem_type)


class StringPrinter:
    """Prints a Go string as text, which gdb does by itself in frames of Go only."""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def display_hint(self) -> str:
        """Front ends quote it."""
        return "string"

    def to_string(self) -> gdb.LazyString | str:
        """The text, as much of it as gdb is set to print."""
        length = int(self._value["len"])
        if length <= 0:
            return ""
        text = self._value["str"]
        # gdb prints what reverses the direction of a text as it is, unless it is told that the text is ASCII.
        encoding = {"encoding": "ascii"} if _reverses(text, _printed(length)) else {}
        return text.lazy_string(length=length, **encoding)


def _printed(length: int) -> int:
    """How many bytes of a string gdb prints at the most."""
    limit = gdb.parameter("print elements")
    return min(length, LONGEST_CHARACTER * limit) if limit else length


def _reverses(text: gdb.Value, length: int) -> bool:
    """Whether a string has characters beyond ASCII that are not printable, such as those that reverse its direction."""
    try:
        data = bytes(gdb.selected_inferior().read_memory(int(text), length))
    except (gdb.error, OverflowError):
        return False
    return not all(char.isprintable() or char.isascii() for char in data.decode(errors="ignore"))


def find_printer(value: gdb.Value) -> MapPrinter | StringPrinter | None:
    """The printer for a value, if it is a map or a string and can be read."""
    if value.is_optimized_out:
        return None
    if is_go_string(value.type):
        return StringPrinter(value)
    return MapPrinter(value) if is_map(value.type) else None


def turn_on() -> None:
    """Register the printer with every file, before others: Go's own script would be asked first else."""
    for objfile in _objfiles():
        if find_printer not in objfile.pretty_printers:
            objfile.pretty_printers.insert(0, find_printer)


def turn_off() -> None:
    """Leave every file as it was."""
    for objfile in _objfiles():
        if find_printer in objfile.pretty_printers:
            objfile.pretty_printers.remove(find_printer)


def keep_on(_: gdb.NewObjFileEvent) -> None:
    """Files that are loaded later get the printer too, while it is on."""
    if gdb.parameter(PARAMETER):
        turn_on()


def _objfiles() -> Iterator[gdb.Objfile]:
    for space in gdb.progspaces():
        yield from space.objfiles()
