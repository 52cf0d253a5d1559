"""Where the bytes of each kind lie in an image's files: what may be damaged, found in the sound image."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile

from benchmarks.fuzz.images import Image
from inspector.errors import InspectError
from inspector.goroutines.everyone import read_goroutines
from inspector.goruntime import types as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.goroutine import g
from inspector.goruntime.heap import mheap_spans, mspan
from inspector.goruntime.hmap import hmap
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.moduledata import func_head, moduledata
from inspector.goruntime.swissmap import swissmap
from inspector.goruntime.swisstable import swisstable
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.layouts import ClassicLayout, SwissLayout
from inspector.heap.spans import find_spans
from inspector.image.elf import ElfImage, open_image
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target

SEGMENTS = "segments"
"""The kind of damage that replaces the table of program headers as a whole."""

WORD = 8
HEAD = 64
"""Bytes of an ELF header."""
LONGEST = 1 << 12
"""Bytes of what a pointer leads to that take part."""
MOST_TABLES = 64
"""Tables and groups of one map that take part."""
FAR_DOWN = 6
"""How many types are followed from a map's own, one inside the other."""


@dataclass(frozen=True)
class Place:
    """`size` bytes of a file of the image, "core" or "exe"; `map` says which of the image's maps they belong to."""

    file: str
    offset: int
    size: int
    map: int | None = None


@dataclass(frozen=True)
class Certain:
    """A byte that has one possible value: with any other in `others` the map `map` breaks a rule."""

    place: Place
    others: range


@dataclass
class Places:
    """All places of an image by kind; `certain` are those where no damage may be called consistent."""

    kinds: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    certain: list[Certain] = field(default_factory=list)


class _Finder:
    """Finds places. What the core does not hold is looked for in the executable."""

    def __init__(self, image: Image, target: Target, twin: ElfImage) -> None:
        self.image, self.target, self.twin = image, target, twin
        self.run = Run(target, None)
        self.types, self.release = target.program.types, target.program.release
        self.found = Places()
        self._seen: set[int] = set()
        with image.core.open("rb") as file:
            elf = ELFFile(file)
            self.loads = [(s["p_vaddr"], s["p_filesz"], s["p_offset"]) for s in elf.iter_segments("PT_LOAD")]
            self.notes = [(s["p_offset"], s["p_filesz"]) for s in elf.iter_segments("PT_NOTE")]
            self.core_headers = (elf["e_phoff"], elf["e_phnum"] * elf["e_phentsize"])

    def add(self, kind: str, address: int, size: int, of_map: int | None = None) -> Place | None:
        """Add what lies at an address."""
        ranges = [("core", *each) for each in self.loads]
        ranges += [("exe", s.address, s.file_size, s.offset) for s in self.target.program.image.segments]
        for file, start, held, offset in ranges:
            if start <= address < start + held:
                place = Place(file, offset + address - start, min(size, start + held - address), of_map)
                if place.size > 0:
                    self.found.kinds[kind].append(place)
                    return place
        return None

    def add_bytes(self, kind: str, file: str, offset: int, size: int, of_map: int | None = None) -> None:
        """Add bytes of a file."""
        if size > 0:
            self.found.kinds[kind].append(Place(file, offset, size, of_map))

    # Maps

    def maps(self) -> None:
        """Headers, buckets or groups, tables, directories and extras, and what decides of them without doubt."""
        for number, told in enumerate(self.image.maps):
            if not int(told["address"], 16):
                continue
            try:
                go_type = self.types.find_map_type(told["type"])
            except InspectError:
                continue
            known = not any(word in told["type"] + told["name"] for word in ("float", "complex", "interface", "nan"))
            if isinstance(go_type.layout, SwissLayout) and told.get("swiss"):
                self._swiss(number, told, go_type.layout, known)
            elif isinstance(go_type.layout, ClassicLayout) and told.get("header"):
                self._classic(number, told, go_type.layout, known)
            self._descriptors(go_type, number)

    def _classic(self, number: int, told: dict[str, Any], layout: ClassicLayout, known: bool) -> None:
        header = told["header"]
        place = self.add("header", int(told["address"], 16), hmap(self.release).sizeof(), number)
        size = layout.bucket_size << header["B"]
        for name, length in (("buckets", size), ("oldbuckets", size if header["flags"] & 8 else size // 2)):
            if header[name]:
                self._cells("buckets", int(header[name], 16), length, layout.bucket_size, number)
        if header["extra"]:
            self.add("extra", int(header["extra"]["address"], 16), mapextra.sizeof(), number)
        if place and header["count"]:
            self.found.certain.append(Certain(Place(place.file, place.offset, 1, number), range(256)))
        if known and header["buckets"] and not header["oldbuckets"]:
            self._tophashes(number, int(header["buckets"], 16), layout.bucket_size, header["B"])

    def _tophashes(self, number: int, buckets: int, size: int, b: int) -> None:
        marks = self.release.marks
        for index in range(min(1 << b, MOST_TABLES)):
            row = self.target.memory.read(buckets + index * size, 8)
            for cell, top in enumerate(row):
                place = (
                    self.add("tophash", buckets + index * size + cell, 1, number) if top >= marks.min_tophash else None
                )
                if place:
                    self.found.certain.append(Certain(place, range(marks.min_tophash, 256)))

    def _swiss(self, number: int, told: dict[str, Any], layout: SwissLayout, known: bool) -> None:
        words = told["swiss"]
        place = self.add("header", int(told["address"], 16), swissmap(self.release).sizeof(), number)
        if place and words["header"]["used"]:
            self.found.certain.append(Certain(Place(place.file, place.offset, 1, number), range(256)))
        if words["directory"]:
            self.add("directory", int(words["header"]["dirPtr"], 16), len(words["directory"]) * WORD, number)
        for table in words["tables"][:MOST_TABLES]:
            self.add("tables", int(table["address"], 16), swisstable.sizeof(), number)
            length = (table["lengthMask"] + 1) * layout.group_size
            self._cells("groups", int(table["groups"], 16), length, layout.group_size, number)
            self._controls(number, int(table["groups"], 16), table["slots"] or (), layout, known)
        if words["group"]:
            self._cells("groups", int(words["group"]["address"], 16), layout.group_size, layout.group_size, number)
            self._controls(number, int(words["group"]["address"], 16), words["group"]["slots"] or (), layout, known)

    def _cells(self, kind: str, start: int, length: int, size: int, number: int) -> None:
        """Each bucket or group is as likely to be hit by its first bytes as by its keys and elements."""
        for at in range(0, min(length, MOST_TABLES * size), size):
            self.add(kind, start + at, size, number)
            self.add(kind, start + at, min(WORD, size), number)

    def _controls(
        self, number: int, groups: int, slots: Iterable[dict[str, Any]], layout: SwissLayout, known: bool
    ) -> None:
        for slot in slots if known else ():
            address = groups + slot["group"] * layout.group_size + slot["slot"]
            place = self.add("control", address, 1, number) if slot["reflexive"] else None
            if place:
                self.found.certain.append(Certain(place, range(128)))

    def _descriptors(self, go_type: GoType, number: int, depth: int = 0) -> None:
        """A map type's descriptor, those of the types it is made of, and their names."""
        if depth > FAR_DOWN or go_type.address in self._seen:
            return
        self._seen.add(go_type.address)
        sizes: dict[Kind, Callable[[], int]] = {
            Kind.MAP: schema.maptype(self.release).sizeof,
            Kind.STRUCT: schema.struct_type.sizeof,
            Kind.ARRAY: schema.array_type.sizeof,
            Kind.INTERFACE: schema.interface_type.sizeof,
        }
        self.add("types", go_type.address, sizes.get(go_type.kind, schema.elem_type.sizeof)(), number)
        if go_type.fields:
            header = struct.unpack("<QQ", self.target.memory.read(go_type.address + schema.rtype.sizeof() + WORD, 16))
            self.add("types", header[0], header[1] * schema.struct_field.sizeof(), number)
        parts = [go_type.key_address, go_type.elem_address, go_type.cells_address]
        for address in parts + [each.type_address for each in go_type.fields]:
            if address:
                self._descriptors(self.types.get(address), number, depth + 1)

    # What the runtime knows of itself

    def runtime(self) -> None:
        """Module data, function tables, spans, goroutines, hash keys."""
        module = self.types.modules[0]
        self._symbol("moduledata", "runtime.firstmoduledata", moduledata(self.release).sizeof())
        self.add("pclntab", module.pclntable, LONGEST)
        self.add("pclntab", module.ftab, LONGEST)
        table = self.types.functions
        for goroutine in self._goroutines():
            function = table.containing(self.target.memory, int(goroutine["sched"]["pc"]))
            if function is not None:
                self.add("pclntab", function.pcsp, 64)
        self._functions(module.pclntable, module.ftab, module.functions)
        for name in ("runtime.aeskeysched", "internal/runtime/maps.aeskeysched"):
            self._symbol("hashkeys", name, 128)
        for name in ("runtime.hashkey", "internal/runtime/maps.hashkey", "runtime.useAeshash"):
            self._symbol("hashkeys", name, 32)
        spans = find_spans(self.run)
        if spans is not None:
            size = mspan(self.release).sizeof()
            for row in spans.spans:
                self.add("spans", int(row["record"]), size)
                self.add("spans", int(row["allocBits"]), WORD)
            head = mheap_spans(self.release)
            self.add("spans", spans.head, head.sizeof())
            slice_of = dtype_of(head).fields["allspans"][1]  # type: ignore[index]
            data, length = struct.unpack("<QQ", self.target.memory.read(spans.head + slice_of, 16))
            self.add("spans", data, length * WORD)

    def _functions(self, pclntable: int, ftab: int, count: int) -> None:
        size = func_head(self.release).sizeof()
        pair = "<II" if self.release.relative_functions else "<QQ"
        for index in range(0, count, max(1, count // 64)):
            row = self.target.memory.read(ftab + index * struct.calcsize(pair), struct.calcsize(pair))
            self.add("pclntab", pclntable + struct.unpack(pair, row)[1], size)

    def _goroutines(self) -> np.ndarray[Any, np.dtype[np.void]]:
        symbol = self.twin.symbol("runtime.allgs")
        assert symbol is not None
        self.add("goroutines", symbol.address, 3 * WORD)
        data, length = struct.unpack("<QQ", self.target.memory.read(symbol.address, 16))
        self.add("goroutines", data, length * WORD)
        for at in range(length):
            pointer = int.from_bytes(self.target.memory.read(data + at * WORD, WORD), "little")
            self.add("goroutines", pointer, g(self.release).sizeof())
        rows = read_goroutines(self.run, symbol.address)
        for row in rows:
            self.add("goroutines", int(row["sched"]["sp"]), 512)
        return rows

    def _symbol(self, kind: str, name: str, least: int) -> None:
        symbol = self.twin.symbol(name)
        if symbol is not None:
            self.add(kind, symbol.address, max(symbol.size, least if kind == "moduledata" else symbol.size))

    # Files

    def files(self) -> None:
        """Headers, notes, debug information, symbols and build info."""
        self.add_bytes("elf", "core", 0, HEAD)
        self.add_bytes("elf", "exe", 0, HEAD)
        self.add_bytes("programheaders", "core", *self.core_headers)
        self.add_bytes(SEGMENTS, "core", *self.core_headers)
        for offset, size in self.notes:
            self.add_bytes("notes", "core", offset, size)
            self.add_bytes("notes", "core", offset, min(size, 512))
        image = self.target.program.image
        with self.image.exe.open("rb") as file:
            elf = ELFFile(file)
            self.add_bytes("programheaders", "exe", elf["e_phoff"], elf["e_phnum"] * elf["e_phentsize"])
            self.add_bytes("sectionheaders", "exe", elf["e_shoff"], elf["e_shnum"] * elf["e_shentsize"])
        for section in image.sections:
            if not section.in_file:
                continue
            if "debug_" in section.name:
                # The tables of abbreviations and the beginnings of sections decide over all that follows.
                head = min(section.size, 256)
                for size in (head, head, section.size):
                    self.add_bytes("dwarf", "exe", section.offset, size)
            elif section.name == ".go.buildinfo":
                self.add_bytes("buildinfo", "exe", section.offset, min(section.size, LONGEST))
            elif "note" in section.name:
                self.add_bytes("notes", "exe", section.offset, section.size)
            elif section.name in (".symtab", ".strtab", ".shstrtab"):
                self.add_bytes("symbols", "exe", section.offset, section.size)
        self._variables()

    def _variables(self) -> None:
        """The symbols and the debug information of variables that are asked for by name."""
        symtab = self.target.program.image.section(".symtab")
        info = self.target.program.image.section(".debug_info")
        image = self.target.program.image
        for number, told in enumerate(self.image.maps):
            symbol = image.symbol(told["variable"]) if symtab and told["variable"] else None
            if symbol is None or symtab is None:
                continue
            at = image.bytes_of(symtab).find(struct.pack("<QQ", symbol.address, symbol.size))
            if at >= 0:
                self.add_bytes("symbols", "exe", symtab.offset + at - 8, 24, number)
            at = image.bytes_of(info).find(told["variable"].encode() + b"\0") if info else -1
            if info and at >= 0:
                self.add_bytes("dwarf", "exe", info.offset + at - 1, len(told["variable"]) + 16, number)


def find_places(image: Image) -> Places:
    """All places of an image."""
    with (
        open_target(str(image.core), exe=str(image.exe), memory="direct") as target,
        closing(open_image(image.twin)) as twin,
    ):
        finder = _Finder(image, target, twin)
        finder.maps()
        finder.runtime()
        finder.files()
        return finder.found
