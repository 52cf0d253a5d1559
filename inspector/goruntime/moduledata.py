"""runtime.moduledata, the linker's summary of one module."""

from __future__ import annotations

from functools import cache

from construct import Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

PCLNTAB_MAGICS = (0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1)
"""First word of runtime.pcHeader: Go 1.2 to 1.15, 1.16 and 1.17, 1.18 and 1.19, since 1.20."""

pc_header = Struct(
    "magic" / go.uint32,
    "pad1" / go.uint8,
    "pad2" / go.uint8,
    "minLC" / go.uint8,  # smallest instruction: 1 on amd64
    "ptrSize" / go.uint8,
)
"""The head of the table that maps program counters to functions (runtime.pcHeader, debug/gosym)."""

bitvector = Struct("n" / go.int32, "pad" / go.int32, "bytedata" / go.pointer)
"""runtime.bitvector: 16 bytes."""


def _functions(entry: Construct) -> tuple[Construct, Construct]:
    """runtime.functab and the head of runtime._func, whose entries are addresses or offsets."""
    head = Struct(
        "entry" / entry,
        "nameoff" / go.int32,
        "args" / go.int32,
        "deferreturn" / go.uint32,
        # Where the pctab says how large the frame is at each instruction.
        "pcsp" / go.uint32,
    )
    return Struct("entry" / entry, "funcoff" / entry), head


_ABSOLUTE, _RELATIVE = _functions(go.uintptr), _functions(go.uint32)


def functab(release: Release) -> Construct:
    """runtime.functab: where a function begins, and where its _func is in the pclntable."""
    return (_RELATIVE if release.relative_functions else _ABSOLUTE)[0]


def func_head(release: Release) -> Construct:
    """The first fields of runtime._func: the name is an offset into the names, pcsp one into the pctab."""
    return (_RELATIVE if release.relative_functions else _ABSOLUTE)[1]


@cache
def _moduledata(minor: int) -> Construct:
    return Struct(
        *_tables(minor),
        *_segments(minor),
        "textsectmap" / go.slice_header,
        # Since 1.27 types and itabs lie side by side, and nothing lists them.
        *(["typelinks" / go.slice_header, "itablinks" / go.slice_header] if minor < 27 else []),
        "ptab" / go.slice_header,
        "pluginpath" / go.string_header,
        "pkghashes" / go.slice_header,
        # The initialisation tasks came with 1.21.
        *(["inittasks" / go.slice_header] if minor >= 21 else []),
        "modulename" / go.string_header,
        "modulehashes" / go.slice_header,
        # hasmain, and since 1.23 bad, in one word.
        "hasmain" / go.uint64,
        "gcdatamask" / bitvector,
        "gcbssmask" / bitvector,
        "typemap" / go.pointer,
        *([] if minor >= 23 else ["bad" / go.uint64]),
        "next" / go.pointer,
    )


def _tables(minor: int) -> list[Construct]:
    """The function tables: one pclntable until 1.15, split into parts in 1.16."""
    if minor < 16:
        tables = ["pclntable", "ftab", "filetab"]
    else:
        tables = ["funcnametab", "cutab", "filetab", "pctab", "pclntable", "ftab"]
    head = ["pcHeader" / go.pointer] if minor >= 16 else []
    return [*head, *(name / go.slice_header for name in tables), "findfunctab" / go.uintptr]


def _segments(minor: int) -> list[Construct]:
    """Where text, data and types begin and end."""
    names = ["minpc", "maxpc", "text", "etext", "noptrdata", "enoptrdata", "data", "edata"]
    names += ["bss", "ebss", "noptrbss", "enoptrbss"]
    # Coverage counters stand here since 1.20, go.func.* moved out of the text in 1.18.
    names += ["covctrs", "ecovctrs"] if minor >= 20 else []
    names += ["end", "gcdata", "gcbss"]
    # typedesclen covers the types that typelinks used to list; those that follow them up to etypes are types, too.
    names += ["types", "etypes"] if minor < 27 else ["types", "typedesclen", "etypes", "itaboffset", "itabsize"]
    names += ["rodata", "gofunc"] if minor >= 18 else []
    names += ["epclntab"] if minor >= 26 else []
    return [name / go.uintptr for name in names]


def moduledata(release: Release) -> Construct:
    """runtime.moduledata of a release (runtime/symtab.go), up to the pointer to the next module."""
    return _moduledata(release.number[1])
