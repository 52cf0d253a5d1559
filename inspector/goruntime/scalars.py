"""Go's scalar types as they lie in memory on linux/amd64."""

from __future__ import annotations

from construct import Int8ul, Int16ul, Int32sl, Int32ul, Int64sl, Int64ul, Struct

uint8 = Int8ul
uint16 = Int16ul
uint32 = Int32ul
uint64 = Int64ul
int32 = Int32sl
int = Int64sl
uintptr = Int64ul
pointer = Int64ul

slice_header = Struct("data" / pointer, "len" / int, "cap" / int)
"""runtime.slice: 24 bytes."""

string_header = Struct("data" / pointer, "len" / int)
"""runtime.stringStruct: 16 bytes."""

interface_header = Struct("tab" / pointer, "data" / pointer)
"""runtime.iface (tab is an *itab) and runtime.eface (tab is a *_type): 16 bytes."""
