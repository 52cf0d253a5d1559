"""Where a Go program keeps its types: runtime.firstmoduledata and the modules that follow it.

It is found by its symbol, and in a stripped executable by the pointer to the pclntab with which it begins:
the table has a magic number, and of all words that point to it only one begins a structure whose other
fields make sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from construct import Construct, ConstructError, Container

from inspector.errors import Hint, UnreadableMemory, UnsupportedTarget
from inspector.goruntime.moduledata import PCLNTAB_MAGICS, moduledata, pc_header
from inspector.goruntime.releases import NEWEST_KNOWN, Release
from inspector.image.elf import ElfImage, LoadSegment
from inspector.memory.protocol import END_OF_USER_SPACE, Memory

MAX_TYPES_SIZE = 1 << 30
MAX_TEXT_SIZE = (1 << 32) - 1
"""Bytes of code: since 1.18 functions are found by offsets of 32 bits."""
MAX_MODULES = 256
WORD = 8

FIRST_ADDRESS = 4096
"""Nothing is mapped below it."""

_SLICES = ("ftab", "textsectmap", "ptab", "pkghashes", "modulehashes")
"""Slices of every release's module data, on both sides of the fields that came and went."""


_ENDS = ("etypes", "etext", "edata", "ebss")


@dataclass(frozen=True)
class Module:
    """Run-time addresses of one module: its types, its code, and the tables that name its functions.

    `functions` is how many entries `ftab` has; names of functions are counted from `names`, tables by program
    counter from `pctab`. `variables` are the ranges [start, end) of variables that hold pointers, `pointer_masks` the
    bitmaps of their pointers: how many words each is about, and its address.
    """

    types: int
    etypes: int
    text: int
    etext: int
    pclntable: int
    ftab: int
    functions: int
    names: int
    pctab: int
    variables: tuple[tuple[int, int], ...] = ()
    pointer_masks: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(fields: Container) -> Module:
        """The module that a runtime.moduledata describes."""
        # Until 1.15 one table held the names and the rest, too.
        names, pctab = (fields.get(part, fields.pclntable) for part in ("funcnametab", "pctab"))
        addresses = fields.types, fields.etypes, fields.text, fields.etext
        tables = fields.pclntable.data, fields.ftab.data, fields.ftab.len, names.data, pctab.data
        variables = (fields.data, fields.edata), (fields.bss, fields.ebss)
        masks = tuple((mask.n, mask.bytedata) for mask in (fields.gcdatamask, fields.gcbssmask))
        return Module(*addresses, *tables, variables, masks)


def find_modules(image: ElfImage, memory: Memory, release: Release) -> list[Module]:
    """Read the module data of the executable and its plugins; raises UnsupportedTarget, UnreadableMemory."""
    symbol = image.symbol("runtime.firstmoduledata")
    places = [symbol.address] if symbol else _places(image, memory)
    declaration = moduledata(release)
    for place in places:
        modules = []
        try:
            for fields in _chain(memory, declaration, place):
                modules.append(Module.of(fields))
        except UnreadableMemory:
            if symbol:
                raise
        if modules:
            return modules
    if release.unknown and (places or _pclntabs_of(image)):
        raise UnsupportedTarget(
            f"{image.path} was built by {release.version}, and its module data does not have the layout of "
            f"{NEWEST_KNOWN}, the newest release known here: its types are unknown",
            "a newer version of this program may know that release",
        )
    raise UnsupportedTarget(
        f"the module data of {image.path} was not found where {release.version} has it, so its types are unknown",
        Hint("is it the executable that the target runs? name the right one, or an unstripped copy, with {exe}"),
    )


def _chain(memory: Memory, declaration: Construct, place: int) -> Iterator[Container]:
    """The module data at a place and those that it leads to, as long as they make sense."""
    seen: set[int] = set()
    while place and place not in seen and len(seen) < MAX_MODULES:
        seen.add(place)
        fields = _read(memory, declaration, place)
        if fields is None:
            return
        yield fields
        place = fields.next


def _read(memory: Memory, declaration: Construct, place: int) -> Container | None:
    try:
        fields = declaration.parse(memory.read(place, declaration.sizeof()))
    except ConstructError:
        return None
    sound = (
        0 < fields.etypes - fields.types <= MAX_TYPES_SIZE
        and 0 < fields.text < fields.etext
        and fields.minpc <= fields.maxpc
        and fields.noptrdata <= fields.enoptrdata
        and fields.data <= fields.edata
        and fields.bss <= fields.ebss
        and fields.etext - fields.text <= MAX_TEXT_SIZE
        and all(fields[name] <= END_OF_USER_SPACE for name in _ENDS)
        and all(_is_slice(fields[name]) for name in _SLICES)
    )
    return fields if sound else None


def _is_slice(header: Container) -> bool:
    """Whether a slice header makes sense; where a field more or less stands before it, its length comes first."""
    return 0 <= header.len <= header.cap and not 0 < header.data < FIRST_ADDRESS


def _places(image: ElfImage, memory: Memory) -> list[int]:
    """Addresses in writable memory of words that point to a pclntab."""
    tables = {address + image.bias for address in _pclntabs_of(image)}
    places = []
    for segment in image.segments:
        if not segment.writable or not tables:
            continue
        start = segment.address + image.bias
        start += -start % WORD
        size = (segment.address + image.bias + segment.file_size - start) // WORD * WORD
        try:
            words = np.frombuffer(memory.read(start, size), dtype="<u8")
        except UnreadableMemory:
            continue
        hits = np.flatnonzero(np.isin(words, np.array(sorted(tables), dtype=np.uint64)))
        places += [start + int(hit) * WORD for hit in hits]
    return places


def _pclntabs_of(image: ElfImage) -> list[int]:
    return [address for segment in image.segments for address in _pclntabs(image, segment)]


def _pclntabs(image: ElfImage, segment: LoadSegment) -> Iterator[int]:
    """Linked addresses in a segment that begin like a pclntab of an amd64 program."""
    for magic in PCLNTAB_MAGICS:
        wanted = pc_header.build({"magic": magic, "pad1": 0, "pad2": 0, "minLC": 1, "ptrSize": WORD})
        at = image.data.find(wanted, segment.offset, segment.offset + segment.file_size)
        while at >= 0:
            address = segment.address + at - segment.offset
            if address % WORD == 0:
                yield address
            at = image.data.find(wanted, at + 1, segment.offset + segment.file_size)
