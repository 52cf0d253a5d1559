"""The ELF structures that a core is made of when it is written (elf.h, linux/elfcore.h).

What is read from cores, too, is declared in memory/prstatus.py (registers) and memory/elfnotes.py.
"""

from __future__ import annotations

from construct import Const, Padding, Struct

from inspector.goruntime import scalars as c

ET_CORE, EM_X86_64 = 4, 62
PT_LOAD, PT_NOTE = 1, 4
PF_X, PF_W, PF_R = 1, 2, 4

PN_XNUM = 0xFFFF
"""e_phnum of a file with so many program headers or more: section header 0 then has their number in sh_info."""

NT_X86_XSTATE = 0x202

ident = Struct(
    "magic" / Const(b"\x7fELF"),
    "class" / Const(2, c.uint8),
    "data" / Const(1, c.uint8),
    "version" / Const(1, c.uint8),
    "padding" / Padding(9),
)
"""e_ident of a 64-bit little-endian file: 16 bytes."""

header = Struct(
    "e_ident" / ident,
    "e_type" / Const(ET_CORE, c.uint16),
    "e_machine" / Const(EM_X86_64, c.uint16),
    "e_version" / Const(1, c.uint32),
    "e_entry" / Const(0, c.uint64),
    "e_phoff" / c.uint64,
    "e_shoff" / c.uint64,
    "e_flags" / Const(0, c.uint32),
    "e_ehsize" / Const(64, c.uint16),
    "e_phentsize" / Const(56, c.uint16),
    "e_phnum" / c.uint16,
    "e_shentsize" / c.uint16,
    "e_shnum" / c.uint16,
    "e_shstrndx" / Const(0, c.uint16),
)
"""Elf64_Ehdr of a core: 64 bytes."""

segment_header = Struct(
    "p_type" / c.uint32,
    "p_flags" / c.uint32,
    "p_offset" / c.uint64,
    "p_vaddr" / c.uint64,
    "p_paddr" / Const(0, c.uint64),
    "p_filesz" / c.uint64,
    "p_memsz" / c.uint64,
    "p_align" / c.uint64,
)
"""Elf64_Phdr: 56 bytes."""

section_header = Struct(
    "names" / Padding(8),
    "places" / Padding(24),
    "sh_size" / c.uint64,
    "sh_link" / c.uint32,
    "sh_info" / c.uint32,
    "rest" / Padding(16),
)
"""Elf64_Shdr of section 0, which only says how many headers there are: 64 bytes."""

prstatus_end = Struct("pr_fpvalid" / c.int32, "padding" / Padding(4))
"""What follows the registers in struct elf_prstatus: 8 bytes."""
