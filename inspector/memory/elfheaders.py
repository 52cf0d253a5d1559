"""The headers of an ELF file, read as arrays: a million of them take no time. What they say is held against the file.

Whatever is read through them later (segments, sections, notes) therefore lies in the file.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from construct import Bytes, Construct, Container, Struct
from numpy.typing import NDArray

from inspector.goruntime import scalars as c
from inspector.goruntime.dtypes import dtype_of

IDENT_OF_AMD64 = b"\x7fELF\x02\x01"
"""How a 64-bit little-endian file begins."""
EM_X86_64 = 62
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
EXECUTABLE = (ET_EXEC, ET_DYN, ET_EXEC << 8, ET_DYN << 8)
"""Types of executables. The bytes of numbers may stand in the other order where the machine is another one."""
PT_LOAD, PT_NOTE = 1, 4
PF_W = 2
PN_XNUM = 0xFFFF
"""e_phnum of a file with so many program headers or more: section header 0 then has their number in sh_info."""
SHT_NOBITS = 8
SHF_COMPRESSED = 1 << 11
END_OF_ADDRESSES = (1 << 64) - 4096
"""Where the last page begins, which is never mapped: the end of what is mapped is always an address itself."""

MOST_SECTIONS = 1 << 16
"""Sections that an executable has at most; a Go program has about thirty. To look at each of more may take hours."""

elf_header = Struct(
    "e_ident" / Bytes(16),
    "e_type" / c.uint16,
    "e_machine" / c.uint16,
    "e_version" / c.uint32,
    "e_entry" / c.uint64,
    "e_phoff" / c.uint64,
    "e_shoff" / c.uint64,
    "e_flags" / c.uint32,
    "e_ehsize" / c.uint16,
    "e_phentsize" / c.uint16,
    "e_phnum" / c.uint16,
    "e_shentsize" / c.uint16,
    "e_shnum" / c.uint16,
    "e_shstrndx" / c.uint16,
)
"""Elf64_Ehdr: 64 bytes."""

program_header = Struct(
    "p_type" / c.uint32,
    "p_flags" / c.uint32,
    "p_offset" / c.uint64,
    "p_vaddr" / c.uint64,
    "p_paddr" / c.uint64,
    "p_filesz" / c.uint64,
    "p_memsz" / c.uint64,
    "p_align" / c.uint64,
)
"""Elf64_Phdr: 56 bytes."""

section_header = Struct(
    "sh_name" / c.uint32,
    "sh_type" / c.uint32,
    "sh_flags" / c.uint64,
    "sh_addr" / c.uint64,
    "sh_offset" / c.uint64,
    "sh_size" / c.uint64,
    "sh_link" / c.uint32,
    "sh_info" / c.uint32,
    "sh_addralign" / c.uint64,
    "sh_entsize" / c.uint64,
)
"""Elf64_Shdr: 64 bytes."""

Headers = NDArray[np.void]


def read_header(data: mmap.mmap) -> Container:
    """The header of an ELF file; raises what is in inspector.memory.files.DAMAGE."""
    return elf_header.parse(data[: elf_header.sizeof()])


def other_machine(data: mmap.mmap, header: Container) -> str | None:
    """What a file is built for ("32-bit big-endian MIPS") if that is not amd64; raises what is in DAMAGE."""
    if data[: len(IDENT_OF_AMD64)] == IDENT_OF_AMD64 and header.e_machine == EM_X86_64:
        return None
    # It knows names of machines, and nothing else that is needed here: 6 ms for a refusal alone.
    from elftools.elf.elffile import ELFFile

    elf: Any = ELFFile(data)
    return f"{elf.elfclass}-bit {'' if elf.little_endian else 'big-endian '}{elf.get_machine_arch()}"


def program_headers(data: mmap.mmap, header: Container) -> Headers:
    """All program headers, as rows of program_header; raises ValueError where the file does not hold them."""
    count = header.e_phnum
    if count == PN_XNUM and header.e_shoff:
        count = int(_table(data, header.e_shoff, header.e_shentsize, 1, section_header)[0]["sh_info"])
    return _table(data, header.e_phoff, header.e_phentsize, count, program_header)


def section_headers(data: mmap.mmap, header: Container) -> Headers:
    """All section headers, as rows of section_header.

    Raises ValueError where the file does not hold them, or where they are too many.
    """
    count = header.e_shnum
    if not count and header.e_shoff:
        count = int(_table(data, header.e_shoff, header.e_shentsize, 1, section_header)[0]["sh_size"])
    if count > MOST_SECTIONS:
        raise ValueError(f"{count} sections are too many")
    return _table(data, header.e_shoff, header.e_shentsize, count, section_header)


def held(data: mmap.mmap, offset: int, size: int) -> tuple[int, int]:
    """The part (offset, size) of a range of a file that the file really has."""
    offset = min(offset, len(data))
    return offset, min(size, len(data) - offset)


def _table(data: mmap.mmap, offset: int, size: int, count: int, declaration: Construct) -> Headers:
    dtype = dtype_of(declaration)
    if not count:
        return np.empty(0, dtype)
    if size != dtype.itemsize or offset + count * size > len(data):
        raise ValueError(f"{count} headers of {size} bytes at {offset:#x} are not in the file")
    return np.frombuffer(data[offset : offset + count * size], dtype)
