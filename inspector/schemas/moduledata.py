"""runtime.moduledata, the linker's summary of one module."""

from __future__ import annotations

from functools import cache

from construct import Construct, Struct

from inspector.releases import Release
from inspector.schemas import scalars as go


@cache
def _moduledata(cov: bool, gofunc: bool) -> Construct:
    return Struct(
        "pcHeader" / go.pointer,
        "funcnametab" / go.slice_header,
        "cutab" / go.slice_header,
        "filetab" / go.slice_header,
        "pctab" / go.slice_header,
        "pclntable" / go.slice_header,
        "ftab" / go.slice_header,
        "findfunctab" / go.uintptr,
        "minpc" / go.uintptr,
        "maxpc" / go.uintptr,
        "text" / go.uintptr,
        "etext" / go.uintptr,
        "noptrdata" / go.uintptr,
        "enoptrdata" / go.uintptr,
        "data" / go.uintptr,
        "edata" / go.uintptr,
        "bss" / go.uintptr,
        "ebss" / go.uintptr,
        "noptrbss" / go.uintptr,
        "enoptrbss" / go.uintptr,
        # Coverage counters stand here since 1.20.
        *(["covctrs" / go.uintptr, "ecovctrs" / go.uintptr] if cov else []),
        "end" / go.uintptr,
        "gcdata" / go.uintptr,
        "gcbss" / go.uintptr,
        "types" / go.uintptr,
        "etypes" / go.uintptr,
        # go.func.* moved out of the text symbol in 1.18.
        *(["rodata" / go.uintptr, "gofunc" / go.uintptr] if gofunc else []),
        "textsectmap" / go.slice_header,
        "typelinks" / go.slice_header,
        "itablinks" / go.slice_header,
    )


def moduledata(release: Release) -> Construct:
    """The leading fields of runtime.moduledata (runtime/symtab.go) as far as types need them."""
    return _moduledata(cov=release.at_least(1, 20), gofunc=release.at_least(1, 18))
