"""An ELF executable on disk: sections, loadable segments, build ids and symbols."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from construct import Container

from inspector.errors import BadExecutable, Hint, NotGo, NotPermitted, UnsupportedTarget
from inspector.goruntime.dtypes import dtype_of
from inspector.image import elfstructs as schema
from inspector.memory import elfheaders
from inspector.memory.files import DAMAGE, map_opened, open_file
from inspector.memory.protocol import END_OF_USER_SPACE

GO_NAME = re.compile(r"[^\W\d][\w./%~@+\-\[\],*()\u00b7;{} <>]*")
"""What names of variables and functions are made of: cmd/link escapes quotes, control characters and the like."""

_TYPE_ARGUMENTS = re.compile(r"\[.*\]")

STT_OBJECT = 1
STT_FUNC = 2


@dataclass(frozen=True)
class Section:
    """A section: its address when linked, its place in the file, its size in bytes, as far as the file holds it."""

    name: str
    address: int
    offset: int
    size: int
    in_file: bool
    compressed: bool = False


@dataclass(frozen=True)
class LoadSegment:
    """A PT_LOAD segment: where its `file_size` bytes at `offset` of the file are mapped when linked."""

    address: int
    offset: int
    file_size: int
    memory_size: int
    writable: bool


@dataclass(frozen=True)
class Symbol:
    """A symbol: name, run-time address, size in bytes (0 when the linker did not say), whether it is code."""

    name: str
    address: int
    size: int
    is_data: bool = True


class ElfImage:
    """An executable opened for reading; `bias` is what the loader added to every linked address.

    `path` is what the reports show; the file really read may have another name
    (/proc/PID/exe). `file` is that file, open until the image is closed. Raises BadExecutable, NotPermitted or
    UnsupportedTarget.
    """

    def __init__(self, opened: str | Path, path: str | None = None) -> None:
        self.path = path or str(opened)
        self.bias = 0
        try:
            self.file = open_file(opened)
            self.data = map_opened(self.file)
        except PermissionError:
            raise NotPermitted(f"no permission to read the executable {self.path}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadExecutable(
                f"cannot open the executable {self.path}: {reason}", Hint("name the right one with {exe}")
            ) from None
        self._parse()

    def _parse(self) -> None:
        if self.data[:4] != b"\x7fELF":
            raise NotGo(
                f"{self.path} is not an ELF executable, so not a Go program for linux",
                Hint("name the right one with {exe}"),
            )
        try:
            header = elfheaders.read_header(self.data)
            self._refuse_other_machines(elfheaders.other_machine(self.data, header))
            self.entry = int(header.e_entry)
            self.is_core = header.e_type == elfheaders.ET_CORE
            self.movable = header.e_type == elfheaders.ET_DYN
            self.sections = list(_sections(self.data, header))
            self.segments = list(_segments(self.data, header))
        except DAMAGE:
            raise BadExecutable(
                f"{self.path} is damaged or cut short: its ELF headers cannot be read", "was it copied whole?"
            ) from None

    def _refuse_other_machines(self, machine: str | None) -> None:
        if machine is not None:
            raise UnsupportedTarget(
                f"{self.path} is a {machine} executable; only linux/amd64 is supported",
                "inspect a target built with GOARCH=amd64",
            )

    def close(self) -> None:
        """Give back the mapping and close the file; where somebody still reads its bytes, the mapping goes later."""
        self.file.close()
        with suppress(BufferError):
            self.data.close()

    def section(self, *names: str) -> Section | None:
        """Return the first section that has one of these names."""
        for name in names:
            for section in self.sections:
                if section.name == name:
                    return section
        return None

    def bytes_of(self, section: Section) -> bytes:
        """Return the file's bytes of a section (empty for .bss and the like)."""
        return self.data[section.offset : section.offset + section.size] if section.in_file else b""

    def read_linked(self, address: int, size: int) -> bytes | None:
        """Return bytes at a linked address as they stand in the file, None when they do not."""
        for segment in self.segments:
            if segment.address <= address and address + size <= segment.address + segment.file_size:
                start = segment.offset + address - segment.address
                return self.data[start : start + size]
        return None

    @cached_property
    def build_ids(self) -> dict[str, bytes]:
        """The bytes of the Go and GNU build id notes, by section name."""
        found = (self.section(name) for name in (".note.go.buildid", ".note.gnu.build-id"))
        return {section.name: self.bytes_of(section) for section in found if section}

    @property
    def stripped(self) -> bool:
        """Whether the symbol table is gone."""
        return self.section(".symtab") is None

    @cached_property
    def _symbols(self) -> tuple[np.ndarray[Any, np.dtype[np.void]], bytes]:
        symtab, strtab = self.section(".symtab"), self.section(".strtab")
        dtype = dtype_of(schema.symbol)
        if symtab is None or strtab is None:
            return np.empty(0, dtype=dtype), b""
        raw = self.bytes_of(symtab)
        return np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype), self.bytes_of(strtab)

    def symbol(self, name: str) -> Symbol | None:
        """Find a symbol by its exact name; None when there is no such symbol or the file is stripped."""
        table, strings = self._symbols
        wanted = name.encode(errors="surrogateescape") + b"\0"
        # Linkers may share tails of names, so every occurrence is looked up, whatever stands before it.
        places = [match.start() for match in re.finditer(re.escape(wanted), strings)]
        rows = table[np.isin(table["st_name"], places) & (table["st_shndx"] != 0)]
        if not len(rows):
            return None
        row = rows[0]
        is_data = int(row["st_info"]) & 0xF != STT_FUNC
        return Symbol(name, int(row["st_value"]) + self.bias, int(row["st_size"]), is_data)

    # Names outside of Go's alphabet are left out. No linker of Go's writes them, and they would end up in hints and
    # completions, which users hand to a debugger or a shell.

    def variables(self) -> list[str]:
        """Names of the data objects of the symbol table, runtime and compiler internals left out."""
        return [symbol.name for symbol in self.data_symbols()]

    def data_symbols(self) -> Iterator[Symbol]:
        """The data objects of the symbol table, compiler internals left out."""
        for name, row in self._named(STT_OBJECT):
            if GO_NAME.fullmatch(name) and ".." not in name:
                yield Symbol(name, int(row["st_value"]) + self.bias, int(row["st_size"]))

    def functions(self) -> list[Symbol]:
        """The functions of the symbol table. Whatever stands in brackets may be in their names: types as arguments."""
        return [
            Symbol(name, int(row["st_value"]) + self.bias, int(row["st_size"]), is_data=False)
            for name, row in self._named(STT_FUNC)
            if GO_NAME.fullmatch(without_type_arguments(name))
        ]

    def _named(self, kind: int) -> Iterator[tuple[str, np.void]]:
        table, strings = self._symbols
        for row in table[(table["st_info"] & 0xF == kind) & (table["st_shndx"] != 0)]:
            yield string_at(strings, int(row["st_name"])), row


def without_type_arguments(name: str) -> str:
    """The name of a generic function with three dots for its types, which may be structs with any text for tags."""
    return _TYPE_ARGUMENTS.sub("[...]", name)


def _sections(data: mmap.mmap, header: Container) -> Iterator[Section]:
    rows = elfheaders.section_headers(data, header)
    names = b""
    if header.e_shstrndx < len(rows):
        strings = rows[header.e_shstrndx]
        at, size = elfheaders.held(data, int(strings["sh_offset"]), int(strings["sh_size"]))
        names = data[at : at + size]
    for row in rows:
        size = int(row["sh_size"])
        offset, held = elfheaders.held(data, int(row["sh_offset"]), size)
        in_file = int(row["sh_type"]) != elfheaders.SHT_NOBITS
        compressed = bool(int(row["sh_flags"]) & elfheaders.SHF_COMPRESSED)
        name = string_at(names, int(row["sh_name"]))
        yield Section(name, int(row["sh_addr"]), offset, held if in_file else size, in_file, compressed)


def _segments(data: mmap.mmap, header: Container) -> Iterator[LoadSegment]:
    """The loadable segments, but for those that lie where no process has memory; raises ValueError."""
    rows = elfheaders.program_headers(data, header)
    for row in rows[rows["p_type"] == elfheaders.PT_LOAD]:
        address, size = int(row["p_vaddr"]), int(row["p_memsz"])
        if address + max(size, int(row["p_filesz"])) > elfheaders.END_OF_ADDRESSES:
            raise ValueError(f"a segment at {address:#x} of {size} bytes is larger than the address space")
        if address + size <= END_OF_USER_SPACE:
            offset, held = elfheaders.held(data, int(row["p_offset"]), min(size, int(row["p_filesz"])))
            yield LoadSegment(address, offset, held, size, bool(int(row["p_flags"]) & elfheaders.PF_W))


def string_at(strings: bytes, at: int) -> str:
    """The zero-terminated string at an offset of a string table; empty where there is none."""
    end = strings.find(b"\0", at)
    return strings[at : end if end >= 0 else len(strings)].decode(errors="surrogateescape")


def open_image(path: str | os.PathLike[str], shown: str | None = None) -> ElfImage:
    """Open an executable and make sure it is not a core; raises as ElfImage does."""
    image = ElfImage(str(path), shown)
    if image.is_core:
        with closing(image):
            raise BadExecutable(
                f"{image.path} is a core dump, not an executable", Hint("name the program that crashed with {exe}")
            )
    return image
