"""Reads the package variables and their types from the DWARF that the Go linker writes.

Few of a program's DWARF entries are variables of packages, and reading all of them takes longer than everything else a
census does. So variables are found by their bytes: the location of each is DW_OP_addr with the address that the symbol
table knows. Whatever is found is parsed, and believed when it is a variable of that name.

Types lead to the runtime's own descriptors (DW_AT_go_runtime_type). The linker keeps only descriptors that the program
needs; a struct that lies in a variable needs none, so its fields are taken from the DWARF.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
from numpy.lib.stride_tricks import sliding_window_view

from inspector.errors import InspectError
from inspector.gotypes import dwarf as schema
from inspector.gotypes.gotype import Field, GoType, Kind, why_impossible
from inspector.gotypes.names import normalise, short_form
from inspector.gotypes.table import TypeTable
from inspector.image.elf import ElfImage, Section, Symbol
from inspector.memory.files import DAMAGE

MOST_DEPTH = 64
"""How deep types are nested in one another before the DWARF is taken for damaged."""

MOST_NAMES = 4
"""Damaged variables and types that are named."""

UNNAMED = "struct {"
POINTER_SIZE = 8
NEEDED = frozenset({"info", "types", "abbrev", "str", "line_str", "addr", "str_offsets"})
"""The parts of the DWARF that declare variables and types: .debug_info and so on. Lines and frames are larger."""

OTHERS = (
    "debug_aranges_sec", "debug_frame_sec", "eh_frame_sec", "debug_loc_sec", "debug_ranges_sec", "debug_line_sec",
    "debug_pubtypes_sec", "debug_pubnames_sec", "debug_loclists_sec", "debug_rnglists_sec", "debug_sup_sec",
    "gnu_debugaltlink_sec",
)  # fmt: skip
"""What pyelftools calls the other parts."""

LEAST_UNPACKED, MOST_TIMES = 1 << 26, 8
"""DWARF may become so many bytes when it is unpacked, or so many times the executable: Go's becomes two or three."""

MOST_PARTS = 1 << 16
"""Entries inside of one before the DWARF is taken for damaged: they may lead back to where they came from."""

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
        # Where parts of a program begin the linker has names without a size (runtime.data), which a variable may share.
        by_size = sorted(self._image.data_symbols(), key=lambda symbol: symbol.size > 0)
        symbols = {symbol.address - self._image.bias: symbol for symbol in by_size}
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
            wrong = why_impossible(made, lambda address: self._types.get(address).size)
            if wrong:
                raise ValueError(wrong)
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
            counts = [_number(part, "DW_AT_count") for part in _parts(entry)]
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
        for part in _parts(entry):
            if part.tag != "DW_TAG_member":
                continue
            go_type = self._type(_target(part), depth + 1)
            if go_type is not None:
                offset = _number(part, "DW_AT_data_member_location")
                yield Field(_name(part), go_type.address, offset, bool(_number(part, schema.GO_EMBEDDED)))


def _dwarf_of(image: ElfImage) -> Any:
    """Open the DWARF of an executable; None if it has none. Raises what is in DAMAGE."""
    found = {part: image.section(f".debug_{part}", f".zdebug_{part}") for part in NEEDED}
    if found["info"] is None:
        return None
    room = max(LEAST_UNPACKED, MOST_TIMES * len(image.data))
    parts: dict[str, DebugSectionDescriptor | None] = dict.fromkeys(OTHERS)
    for part, section in found.items():
        data = unpacked(image, section, room) if section is not None else None
        room -= len(data or b"")
        parts[f"debug_{part}_sec"] = _described(part, data) if data is not None else None
    return DWARFInfo(DwarfConfig(little_endian=True, machine_arch="x64", default_address_size=POINTER_SIZE), **parts)


def _described(part: str, data: bytes) -> DebugSectionDescriptor:
    return DebugSectionDescriptor(stream=BytesIO(data), name=part, global_offset=0, size=len(data), address=0)


def unpacked(image: ElfImage, section: Section, room: int) -> bytes:
    """The bytes of a section; compressed ones are unpacked to at most `room` bytes. Raises what is in DAMAGE."""
    data = image.bytes_of(section)
    if section.compressed:
        head = schema.compression.parse(data)
        if head.ch_type != schema.ELFCOMPRESS_ZLIB:
            raise ValueError(f"{section.name} is compressed in an unknown way ({head.ch_type})")
        size, packed = head.ch_size, data[schema.compression.sizeof() :]
    elif section.name.startswith(".z"):
        size, packed = schema.old_compression.parse(data).size, data[schema.old_compression.sizeof() :]
    else:
        return data
    if size > room:
        raise ValueError(f"{section.name} would unpack to {size:,} bytes")
    try:
        # One byte more than there may be: 0 would stand for any number.
        plain = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(f"{section.name} cannot be unpacked: {error}") from None
    if len(plain) != size:
        raise ValueError(f"{section.name} does not unpack to the {size:,} bytes that it announces")
    return plain


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


def _parts(entry: Any) -> Iterator[Any]:
    """The entries inside of one; raises ValueError where there seems to be no end of them."""
    for number, part in enumerate(entry.iter_children()):
        if number >= MOST_PARTS:
            raise ValueError("too many entries in one")
        yield part


def _name(entry: Any) -> str:
    return str(entry.attributes["DW_AT_name"].value.decode(errors="surrogateescape"))


def _number(entry: Any, attribute: int | str) -> int:
    held = entry.attributes.get(attribute)
    return int(held.value) if held is not None else 0


def _target(entry: Any, attribute: int | str = "DW_AT_type") -> int:
    """The offset in .debug_info that a reference leads to."""
    held = entry.attributes[attribute]
    return int(held.value) + (0 if held.form == "DW_FORM_ref_addr" else entry.cu.cu_offset)
