"""An ELF executable on disk: sections, loadable segments, build ids and symbols."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile

from inspector.errors import BadExecutable, Hint, NotGo, NotPermitted, UnsupportedTarget
from inspector.goruntime.dtypes import dtype_of
from inspector.image import elfstructs as schema
from inspector.memory.files import DAMAGE, map_opened, open_file

GO_NAME = re.compile(r"[^\W\d][\w./%~@+\-\[\],*()\u00b7;{} <>]*")
"""What names of variables and functions are made of: cmd/link escapes quotes, control characters and the like."""

_TYPE_ARGUMENTS = re.compile(r"\[.*\]")

SHT_NOBITS = "SHT_NOBITS"
STT_OBJECT = 1
STT_FUNC = 2


@dataclass(frozen=True)
class Section:
    """A section: its address when linked, its place in the file, its size in bytes."""

    name: str
    address: int
    offset: int
    size: int
    in_file: bool


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
            elf = ELFFile(self.data)
            self._refuse_other_machines(elf)
            self.entry = int(elf["e_entry"])
            self.is_core = elf["e_type"] == "ET_CORE"
            self.movable = elf["e_type"] == "ET_DYN"
            self.sections = list(_sections(elf))
            self.segments = list(_segments(elf))
        except DAMAGE:
            raise BadExecutable(
                f"{self.path} is damaged or cut short: its ELF headers cannot be read", "was it copied whole?"
            ) from None

    def _refuse_other_machines(self, elf: Any) -> None:
        if elf.elfclass != 64 or elf["e_machine"] != "EM_X86_64":
            machine = elf.get_machine_arch()
            raise UnsupportedTarget(
                f"{self.path} is a {elf.elfclass}-bit {machine} executable; only linux/amd64 is supported",
                "inspect a target built with GOARCH=amd64",
            )

    def close(self) -> None:
        """Give back the mapping and close the file."""
        self.data.close()
        self.file.close()

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
            at = int(row["st_name"])
            yield strings[at : strings.index(b"\0", at)].decode(errors="surrogateescape"), row


def without_type_arguments(name: str) -> str:
    """The name of a generic function with three dots for its types, which may be structs with any text for tags."""
    return _TYPE_ARGUMENTS.sub("[...]", name)


def _sections(elf: Any) -> Iterator[Section]:
    for section in elf.iter_sections():
        yield Section(
            section.name,
            section["sh_addr"],
            section["sh_offset"],
            section["sh_size"],
            section["sh_type"] != SHT_NOBITS,
        )


def _segments(elf: Any) -> Iterator[LoadSegment]:
    for segment in elf.iter_segments("PT_LOAD"):
        yield LoadSegment(
            segment["p_vaddr"],
            segment["p_offset"],
            segment["p_filesz"],
            segment["p_memsz"],
            bool(segment["p_flags"] & 2),
        )


def open_image(path: str | os.PathLike[str], shown: str | None = None) -> ElfImage:
    """Open an executable and make sure it is not a core; raises as ElfImage does."""
    image = ElfImage(str(path), shown)
    if image.is_core:
        with closing(image):
            raise BadExecutable(
                f"{image.path} is a core dump, not an executable", Hint("name the program that crashed with {exe}")
            )
    return image
