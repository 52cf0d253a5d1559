"""The pretty-printer: a Go map as its entries, each once, in every state of a growth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import gdb

from gdb_plugin.expressions import CLASSIC_MAP, is_map, locate_value, name_of
from gdb_plugin.opening import open_inferior
from gdb_plugin.strings import string_value
from inspector.bulk import dtype_of
from inspector.errors import InspectError
from inspector.gotypes.values import GoString, GoValue
from inspector.inspection import Entry, Inspection, inspect
from inspector.schemas.bmap import bmap

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
        """The answer, or why there is none."""
        try:
            target = open_inferior()
            return inspect(target, locate_value(target, self._value, "the map", None), None, None)
        except (InspectError, gdb.error) as error:
            return str(error)

    def to_string(self) -> str:
        """The type and the count, and what is wrong with the map."""
        found = self._inspection
        name = name_of(self._value.type)
        if isinstance(found, str):
            return f"{name} at {int(self._value):#x} <{found}>"
        if found.snapshot is None:
            return f"{name}(nil)"
        verdict = found.judgement.verdict
        doubt = "" if verdict == "consistent" else f", {verdict}: see info gomap"
        return f"{name}({found.snapshot.header.count} entries{doubt})"

    def children(self) -> Iterator[tuple[str, object]]:
        """Keys and elements in turn, as gdb's own values where their type is known."""
        found = self._inspection
        if isinstance(found, str):
            return
        cells = _Cells(self._value, found) if found.snapshot else None
        for number, entry in enumerate(found.entries()):
            assert cells is not None
            yield f"[{2 * number}]", cells.key(entry)
            yield f"[{2 * number + 1}]", cells.elem(entry)


class _Cells:
    """Where keys and elements lie in memory, as values of gdb's."""

    def __init__(self, value: gdb.Value, inspection: Inspection) -> None:
        assert inspection.snapshot is not None
        layout = inspection.snapshot.layout
        bucket = value.type.strip_typedefs().target()["buckets"].type.strip_typedefs().target()
        self._key_type, self._elem_type = (bucket[name].type.target() for name in ("keys", "values"))
        places = dtype_of(bmap(layout.key_slot, layout.elem_slot)).fields
        assert places is not None
        self._keys, self._elems = places["keys"][1], places["elems"][1]
        self._layout = layout

    def key(self, entry: Entry) -> object:
        """The key of an entry."""
        at = entry.address + self._keys + entry.cell * self._layout.key_slot
        return _shown(entry.key, self._key_type, at, self._layout.indirect_key)

    def elem(self, entry: Entry) -> object:
        """The element of an entry."""
        at = entry.address + self._elems + entry.cell * self._layout.elem_slot
        return _shown(entry.value, self._elem_type, at, self._layout.indirect_elem)


def _shown(decoded: GoValue, slot_type: gdb.Type, address: int, indirect: bool) -> object:
    """A string as its text, which not every language of gdb's would print; everything else as it lies in memory."""
    if isinstance(decoded, GoString):
        return string_value(decoded.data)
    slot = gdb.Value(address).cast(slot_type.pointer()).dereference()
    return slot.dereference() if indirect else slot


def find_printer(value: gdb.Value) -> MapPrinter | None:
    """The printer for a value, if it is a classic map that can be read."""
    if not is_map(value.type) or value.is_optimized_out:
        return None
    name = value.type.strip_typedefs().target().strip_typedefs().name
    return MapPrinter(value) if str(name).startswith(CLASSIC_MAP) else None


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
