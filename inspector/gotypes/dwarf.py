"""What the Go linker adds to DWARF, and how it writes the entry of a package variable (cmd/internal/dwarf)."""

from __future__ import annotations

from construct import Const, Int64ub, Struct

from inspector.goruntime import scalars as go

GO_KIND = 0x2900
GO_ELEM = 0x2902
GO_EMBEDDED = 0x2903
GO_RUNTIME_TYPE = 0x2904
"""Attributes: the kind of a type, what it is made of, whether a field is embedded, the place of the descriptor."""

LOCATION_HEAD = bytes([9, 3])
"""A location of 9 bytes: DW_OP_addr and an address."""

location = Struct("head" / Const(LOCATION_HEAD), "address" / go.uint64)

ABBREVIATION_SIZE = 1
"""Bytes before the name: the number of the abbreviation of variables is small."""

WITHOUT_DESCRIPTOR = 1 << 62
"""Types that are known from the DWARF alone are named by this and their place there: no address is so large."""

ELFCOMPRESS_ZLIB = 1

compression = Struct("ch_type" / go.uint32, "reserved" / go.uint32, "ch_size" / go.uint64, "ch_addralign" / go.uint64)
"""Elf64_Chdr, which stands before the bytes of a compressed section: 24 bytes."""

old_compression = Struct("magic" / Const(b"ZLIB"), "size" / Int64ub)
"""What stands before the bytes of .zdebug_info and the like, in which Go's linker compressed DWARF until 1.18."""
