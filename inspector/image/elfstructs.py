"""The ELF structures that come in large arrays: the symbol table."""

from __future__ import annotations

from construct import Struct

from inspector.goruntime import scalars as go

symbol = Struct(
    "st_name" / go.uint32,
    "st_info" / go.uint8,
    "st_other" / go.uint8,
    "st_shndx" / go.uint16,
    "st_value" / go.uint64,
    "st_size" / go.uint64,
)
"""Elf64_Sym: 24 bytes."""
