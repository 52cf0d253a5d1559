"""Package variables with their types, out of the DWARF that the Go linker writes.

Few of a program's DWARF entries are variables of packages, and reading all of them takes longer than everything else a
census does. So variables are found by their bytes: the location of each is DW_OP_addr with the address that the symbol
table knows. Whatever is found is parsed, and believed when it is a variable of that name.

Types lead to the runtime's own descriptors (DW_AT_go_runtime_type). The linker keeps only descriptors that the program
needs; a struct that lies in a variable needs none, so its fields are taken from the DWARF.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.lib.stride_tricks import sliding_window_view

from inspector.errors import InspectError
from inspector.gotypes import dwarf as schema
from inspector.gotypes.gotype import Field, GoType, Kind
from inspector.gotypes.names import normalise, short_form
from inspector.gotypes.table import TypeTable
from inspector.image.elf import ElfImage, Symbol
from inspector.memory.files import DAMAGE, map_file

MOST_DEPTH = 64
"""How deep types are nested in one another before the DWARF is taken for damaged."""


@dataclass(frozen=True)
class Variable:
    """A package variable: its name as in Go, its run-time address, its type."""

    name: str
    address: int
    type: GoType


def package_variables(image: ElfImage, types: TypeTable) -> list[Variable]:
    """The variables of packages whose types hold pointers; empty where there is no DWARF, or no symbol table.

    Types without a descriptor of their own are added to `types`. What cannot be made out is left out.
    """
    try:
        # The sections come out of a file of its own: pyelftools moves the place that it reads at.
        with closing(map_file(image.opened)) as data:
            elf = ELFFile(data)
            if not elf.has_dwarf_info():
                return []
            return list(_Reader(elf.get_dwarf_info(), image, types).variables())
    except (*DAMAGE, OSError):
        return []


class _Reader:
    def __init__(self, dwarf: Any, image: ElfImage, types: TypeTable) -> None:
        self.dwarf, self.image, self.types = dwarf, image, types
        self.known: dict[int, GoType | None] = {}

    def variables(self) -> Iterator[Variable]:
        symbols = {symbol.address - self.image.bias: symbol for symbol in self.image.data_symbols()}
        for offset, symbol in self._places(symbols):
            try:
                entry = self.dwarf.get_DIE_from_refaddr(offset)
                if entry.tag != "DW_TAG_variable" or _name(entry) != symbol.name:
                    continue
                go_type = self._type(_target(entry), 0)
            except DAMAGE:
                continue
            if go_type is not None and go_type.has_pointers:
                yield Variable(symbol.name.replace("%2e", "."), symbol.address, go_type)

    def _places(self, symbols: dict[int, Symbol]) -> Iterator[tuple[int, Symbol]]:
        """Offsets in .debug_info where the entry of a symbol may begin: its name stands before its location."""
        data = self.dwarf.debug_info_sec.stream.getvalue()
        raw = np.frombuffer(data, np.uint8)
        size = schema.location.sizeof()
        if len(raw) < size or not symbols:
            return
        windows = sliding_window_view(raw, size)
        head = np.frombuffer(schema.LOCATION_HEAD, np.uint8)
        hits = np.flatnonzero((raw[: len(windows)] == head[0]) & (windows[:, 1] == head[1]))
        located = np.ascontiguousarray(windows[hits, len(head) :]).view("<u8")[:, 0]
        known = np.isin(located, np.array(list(symbols), np.uint64))
        for at, address in zip(hits[known].tolist(), located[known].tolist(), strict=True):
            symbol = symbols[address]
            spelled = symbol.name.encode(errors="surrogateescape") + b"\0"
            if data[at - len(spelled) : at] == spelled:
                yield at - len(spelled) - schema.ABBREVIATION_SIZE, symbol

    # Types

    def _type(self, offset: int, depth: int) -> GoType | None:
        """The type whose entry is at an offset; None for one that cannot be made out."""
        if offset not in self.known:
            self.known[offset] = None  # a type that leads back to itself ends here
            if depth < MOST_DEPTH:
                self.known[offset] = self._convert(offset, depth)
        return self.known[offset]

    def _convert(self, offset: int, depth: int) -> GoType | None:
        entry = self.dwarf.get_DIE_from_refaddr(offset)
        described = self._described(entry)
        if described is not None:
            return described
        kind = _number(entry, schema.GO_KIND)
        if entry.tag == "DW_TAG_typedef" and not kind:
            under = self._type(_target(entry), depth + 1)
            return replace(under, name=short_form(_name(entry))) if under and not under.named else under
        made = self._made(entry, kind, depth)
        if made is not None:
            self.types.adopt(made)
        return made

    def _described(self, entry: Any) -> GoType | None:
        """The runtime's own descriptor of a type, if the linker kept one and it says the same."""
        offset, kind = _number(entry, schema.GO_RUNTIME_TYPE), _number(entry, schema.GO_KIND)
        if not offset or not kind:
            return None
        module = self.types.modules[0]
        for address in (module.types + offset, offset + self.image.bias):
            if not self.types.is_static(address):
                continue
            try:
                found = self.types.get(address)
            except InspectError:
                continue
            if found.kind == kind and normalise(found.name) == short_form(normalise(_name(entry))):
                return found
        return None

    def _made(self, entry: Any, kind: int, depth: int) -> GoType | None:
        """A type without a descriptor, as far as it can lead to others."""
        size = _number(entry, "DW_AT_byte_size")
        common = GoType(
            schema.WITHOUT_DESCRIPTOR + entry.offset, Kind(kind or Kind.UINT8), size, short_form(_name(entry))
        )
        if kind == Kind.STRUCT:
            fields = tuple(self._fields(entry, depth))
            pointers = any(self.types.get(field.type_address).has_pointers for field in fields)
            return replace(common, fields=fields, has_pointers=pointers)
        if kind == Kind.ARRAY:
            elem = self._type(_target(entry), depth + 1)
            counts = [_number(part, "DW_AT_count") for part in entry.iter_children()]
            if elem is None or len(counts) != 1:
                return None
            return replace(common, elem_address=elem.address, length=counts[0], has_pointers=elem.has_pointers)
        if kind in (Kind.POINTER, Kind.SLICE):
            elem = self._type(_target(entry, "DW_AT_type" if kind == Kind.POINTER else schema.GO_ELEM), depth + 1)
            size = POINTER_SIZE if kind == Kind.POINTER else size
            return replace(common, size=size, elem_address=elem.address, has_pointers=True) if elem else None
        if kind == Kind.INTERFACE:
            plain = _name(self.dwarf.get_DIE_from_refaddr(_target(entry))) == "runtime.eface"
            return replace(common, size=2 * POINTER_SIZE, methods=0 if plain else 1, has_pointers=True)
        return None

    def _fields(self, entry: Any, depth: int) -> Iterator[Field]:
        for part in entry.iter_children():
            if part.tag != "DW_TAG_member":
                continue
            go_type = self._type(_target(part), depth + 1)
            if go_type is not None:
                offset = _number(part, "DW_AT_data_member_location")
                yield Field(_name(part), go_type.address, offset, bool(_number(part, schema.GO_EMBEDDED)))


POINTER_SIZE = 8


def _name(entry: Any) -> str:
    return str(entry.attributes["DW_AT_name"].value.decode(errors="surrogateescape"))


def _number(entry: Any, attribute: int | str) -> int:
    held = entry.attributes.get(attribute)
    return int(held.value) if held is not None else 0


def _target(entry: Any, attribute: int | str = "DW_AT_type") -> int:
    """The offset in .debug_info that a reference leads to."""
    held = entry.attributes[attribute]
    return int(held.value) + (0 if held.form == "DW_FORM_ref_addr" else entry.cu.cu_offset)
