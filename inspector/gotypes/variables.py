"""Reads the package variables and their types from the DWARF that the Go linker writes.

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
from inspector.memory.files import DAMAGE, map_opened

MOST_DEPTH = 64
"""How deep types are nested in one another before the DWARF is taken for damaged."""

MOST_NAMES = 4
"""Damaged variables and types that are named."""

UNNAMED = "struct {"
POINTER_SIZE = 8
NEEDED = frozenset({"info", "types", "abbrev", "str", "line_str", "addr", "str_offsets"})
"""The parts of the DWARF that declare variables and types: .debug_info and so on. Lines and frames are larger."""

PLAIN = frozenset(range(Kind.BOOL, Kind.ARRAY)) | {
    Kind.CHAN, Kind.FUNC, Kind.MAP, Kind.STRING, Kind.UNSAFE_POINTER
}  # fmt: skip
"""Kinds that lead to no other type which could be followed without a descriptor. A map without one is always nil."""


@dataclass(frozen=True)
class Variable:
    """A package variable: its name as in Go, its run-time address, its type."""

    name: str
    address: int
    type: GoType


class Declarations:
    """What the DWARF of an executable declares. Types without a descriptor are added to `types` when they are read.

    Damaged entries are left out, and remembered for `damage`.
    """

    def __init__(self, image: ElfImage, types: TypeTable) -> None:
        self._image, self._types = image, types
        self._known: dict[int, GoType | None] = {}
        self._left: list[int] = []
        self._damaged: dict[str, None] = {}
        self._dwarf: Any = None
        self._unreadable = ""
        try:
            self._dwarf = _dwarf_of(image)
        except (*DAMAGE, OSError) as error:
            self._unreadable = f"the debug information of {image.path} cannot be read: {error or type(error).__name__}"

    @property
    def damage(self) -> str:
        """What could not be read so far, as a sentence; empty where everything could."""
        if self._unreadable or not self._damaged:
            return self._unreadable
        count = len(self._damaged)
        some = ", ".join(list(self._damaged)[:MOST_NAMES]) + (", ..." if count > MOST_NAMES else "")
        places = "1 place" if count == 1 else f"{count} places"
        return f"the debug information of {self._image.path} is damaged at {places}: {some}"

    def lacking(self, name: str) -> str:
        """Why a variable has no known type, as a sentence."""
        if self._unreadable:
            return self._unreadable
        if name in self._damaged:
            return f"the debug information of {name} is damaged"
        if self._dwarf is None:
            return f"{name} has no debug information (linked with -w)"
        return f"the debug information of {self._image.path} does not describe {name}"

    def variables(self) -> list[Variable]:
        """All variables of packages whose types hold pointers; those whose types cannot be read are left out."""
        symbols = {symbol.address - self._image.bias: symbol for symbol in self._image.data_symbols()}
        found = []
        for offset, symbol in self._places(symbols):
            go_type = self._declared(offset, symbol)
            while self._left:
                self.get(schema.WITHOUT_DESCRIPTOR + self._left.pop())
            if go_type is not None and go_type.has_pointers:
                found.append(Variable(symbol.name.replace("%2e", "."), symbol.address, go_type))
        return found

    def type_of(self, symbol: Symbol) -> GoType | None:
        """The declared type of one variable, without a look at any other; None where the DWARF does not have it."""
        places = self._places({symbol.address - self._image.bias: symbol})
        return next((found for at, _ in places if (found := self._declared(at, symbol)) is not None), None)

    def get(self, address: int) -> GoType:
        """The type at the address of a descriptor, or at the one that stands for a declaration; raises BadType."""
        offset = address - schema.WITHOUT_DESCRIPTOR
        if offset < 0:
            return self._types.get(address)
        try:
            found = self._type(offset, 0)
        except DAMAGE:
            self._damaged[f"the type at {offset:#x} of .debug_info"] = None
            found = None
        if found is None:
            # A type that cannot be read stands for a value that leads nowhere.
            self._types.adopt(GoType(address, Kind.UINT8, 0, "a type that the DWARF does not describe"))
        return self._types.get(address)

    def _places(self, symbols: dict[int, Symbol]) -> Iterator[tuple[int, Symbol]]:
        """Offsets in .debug_info where the entry of a symbol may begin: its name stands before its location."""
        if self._dwarf is None or not symbols:
            return
        data = self._dwarf.debug_info_sec.stream.getvalue()
        for at, address in _one_place(data, *symbols) if len(symbols) == 1 else _all_places(data, symbols):
            symbol = symbols[address]
            spelled = symbol.name.encode(errors="surrogateescape") + b"\0"
            if data[at - len(spelled) : at] == spelled:
                yield at - len(spelled) - schema.ABBREVIATION_SIZE, symbol

    def _declared(self, offset: int, symbol: Symbol) -> GoType | None:
        """The type of the variable whose entry is at an offset, if it is that of a symbol."""
        try:
            entry = self._dwarf.get_DIE_from_refaddr(offset)
            if entry.tag != "DW_TAG_variable" or _name(entry) != symbol.name:
                return None
            return self._type(_target(entry), 0)
        except DAMAGE:
            self._damaged[symbol.name] = None
            return None

    # Types

    def _type(self, offset: int, depth: int) -> GoType | None:
        """The type whose entry is at an offset; None for one that cannot be read."""
        if offset not in self._known:
            self._known[offset] = None  # a type that holds itself ends here
            if depth < MOST_DEPTH:
                self._known[offset] = self._convert(offset, depth)
        return self._known[offset]

    def _convert(self, offset: int, depth: int) -> GoType | None:
        entry = self._dwarf.get_DIE_from_refaddr(offset)
        described = self._described(entry)
        if described is not None:
            return described
        kind = _number(entry, schema.GO_KIND)
        if entry.tag == "DW_TAG_typedef" and not kind:
            under = self._type(_target(entry), depth + 1)
            return replace(under, name=short_form(_name(entry))) if under and not under.named else under
        made = self._made(entry, kind, depth)
        if made is not None:
            self._types.adopt(made)
        return made

    def _described(self, entry: Any) -> GoType | None:
        """The runtime's own descriptor of a type, if the linker kept one and it says the same."""
        offset, kind = _number(entry, schema.GO_RUNTIME_TYPE), _number(entry, schema.GO_KIND)
        if not offset or not kind:
            return None
        module = self._types.modules[0]
        for address in (module.types + offset, offset + self._image.bias):
            if not self._types.is_static(address):
                continue
            try:
                found = self._types.get(address)
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
            types = [self._types.get(field.type_address) for field in fields]
            pointers = any(each.has_pointers for each in types)
            if common.name.startswith(UNNAMED):
                # The linker writes the package before names that are not exported; reflect does not.
                parts = (f"{field.name} {each.name}" for field, each in zip(fields, types, strict=True))
                common = replace(common, name=f"{UNNAMED} {'; '.join(parts)} }}")
            return replace(common, fields=fields, has_pointers=pointers)
        if kind == Kind.ARRAY:
            elem = self._type(_target(entry), depth + 1)
            counts = [_number(part, "DW_AT_count") for part in entry.iter_children()]
            if elem is None or len(counts) != 1:
                return None
            return replace(common, elem_address=elem.address, length=counts[0], has_pointers=elem.has_pointers)
        if kind in (Kind.POINTER, Kind.SLICE):
            elem_address = self._pointed_to(_target(entry, "DW_AT_type" if kind == Kind.POINTER else schema.GO_ELEM))
            size = POINTER_SIZE if kind == Kind.POINTER else size
            return replace(common, size=size, elem_address=elem_address, has_pointers=True)
        if kind == Kind.INTERFACE:
            plain = _name(self._dwarf.get_DIE_from_refaddr(_target(entry))) == "runtime.eface"
            return replace(common, size=2 * POINTER_SIZE, methods=0 if plain else 1, has_pointers=True)
        return replace(common, size=size or POINTER_SIZE) if kind in PLAIN else None

    def _pointed_to(self, offset: int) -> int:
        """The address of a type that is read later: it may lead back to the one that is being read."""
        for _ in range(MOST_DEPTH):
            entry = self._dwarf.get_DIE_from_refaddr(offset)
            described = self._described(entry)
            if described is not None:
                return described.address
            if entry.tag != "DW_TAG_typedef" or _number(entry, schema.GO_KIND):
                break
            offset = _target(entry)
        self._left.append(offset)
        return schema.WITHOUT_DESCRIPTOR + offset

    def _fields(self, entry: Any, depth: int) -> Iterator[Field]:
        for part in entry.iter_children():
            if part.tag != "DW_TAG_member":
                continue
            go_type = self._type(_target(part), depth + 1)
            if go_type is not None:
                offset = _number(part, "DW_AT_data_member_location")
                yield Field(_name(part), go_type.address, offset, bool(_number(part, schema.GO_EMBEDDED)))


class _Elf(ELFFile):  # type: ignore[misc]  # pyelftools comes without types
    """An ELF file of whose DWARF only the needed parts are there, so that nothing else is unpacked."""

    def get_section_by_name(self, name: str) -> Any:
        """A section; None for a part of the DWARF that is not needed."""
        part = name.removeprefix(".z").removeprefix(".").removeprefix("debug_")
        is_dwarf = "debug_" in name or name == ".eh_frame"
        return None if is_dwarf and part not in NEEDED else super().get_section_by_name(name)


def _dwarf_of(image: ElfImage) -> Any:
    """Open the DWARF of an executable; None if it has none. Raises what is in DAMAGE."""
    # The sections come out of a mapping of their own: pyelftools moves the place that it reads at.
    with closing(map_opened(image.file)) as data:
        elf = _Elf(data)
        return elf.get_dwarf_info() if elf.has_dwarf_info() else None


def _all_places(data: bytes, symbols: dict[int, Symbol]) -> Iterator[tuple[int, int]]:
    """Where locations stand that lead to one of the symbols: (offset, linked address)."""
    raw = np.frombuffer(data, np.uint8)
    size = schema.location.sizeof()
    if len(raw) < size:
        return
    windows = sliding_window_view(raw, size)
    head = np.frombuffer(schema.LOCATION_HEAD, np.uint8)
    hits = np.flatnonzero((raw[: len(windows)] == head[0]) & (windows[:, 1] == head[1]))
    located = np.ascontiguousarray(windows[hits, len(head) :]).view("<u8")[:, 0]
    known = np.isin(located, np.array(list(symbols), np.uint64))
    yield from zip(hits[known].tolist(), located[known].tolist(), strict=True)


def _one_place(data: bytes, address: int) -> Iterator[tuple[int, int]]:
    """Where locations stand that lead to one address: (offset, linked address)."""
    spelled = schema.location.build({"address": address})
    at = data.find(spelled)
    while at >= 0:
        yield at, address
        at = data.find(spelled, at + 1)


def _name(entry: Any) -> str:
    return str(entry.attributes["DW_AT_name"].value.decode(errors="surrogateescape"))


def _number(entry: Any, attribute: int | str) -> int:
    held = entry.attributes.get(attribute)
    return int(held.value) if held is not None else 0


def _target(entry: Any, attribute: int | str = "DW_AT_type") -> int:
    """The offset in .debug_info that a reference leads to."""
    held = entry.attributes[attribute]
    return int(held.value) + (0 if held.form == "DW_FORM_ref_addr" else entry.cu.cu_offset)
