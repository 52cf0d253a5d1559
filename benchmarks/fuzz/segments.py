"""Lies about what lies where: whole program headers of a core are added, moved and put in another order."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.fuzz.images import Change, Copies
from benchmarks.fuzz.places import Place

HEADER = struct.Struct("<IIQQQQQQ")
"""Elf64_Phdr."""

PT_LOAD = 1
PN_XNUM = 0xFFFF
PAGE = 4096
E_PHOFF, E_SHOFF, E_PHNUM, E_SHNUM = 32, 40, 56, 60
"""Offsets in an ELF header."""

SECTION = struct.Struct("<IIQQQQIIQQ")
"""Elf64_Shdr, of which the first has the number of program headers where it is too large for e_phnum."""

COUNTS = (1, 2, 3, 17, 255, 1000, 5000, 70_000)
"""How many segments more there are that map the same bytes."""

NEAR_THE_END = (*((1 << 64) - near for near in (1, 8, PAGE - 1, PAGE, 1 << 20, 1 << 47)), 1 << 63, (1 << 63) - 1)
"""Sizes and addresses that wrap around, or have the sign of a number below zero."""


@dataclass(frozen=True)
class Segment:
    """A program header, field by field."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    in_file: int
    in_memory: int
    alignment: int

    def packed(self) -> bytes:
        """The header's bytes; numbers wrap around as they do in a register."""
        words = (self.offset, self.address, self.physical, self.in_file, self.in_memory, self.alignment)
        return HEADER.pack(self.kind, self.flags, *(word % (1 << 64) for word in words))


Lie = Callable[[random.Random, list[Segment], list[Segment]], list[Segment]]
"""Makes other segments of all there are, and of those of them that are loaded."""


def damage_segments(chance: random.Random, table: Place, copies: Copies) -> list[Change]:
    """Replace the table of program headers by one that lies in one to three ways."""
    with copies.paths[table.file].open("rb") as file:
        file.seek(table.offset)
        rows = file.read(table.size)
        end = file.seek(0, 2)
    segments = [Segment(*each) for each in HEADER.iter_unpack(rows)]
    for lie in chance.sample(LIES, chance.choice((1, 1, 1, 2, 3))):
        segments = lie(chance, segments, [each for each in segments if each.kind == PT_LOAD])
    raw = b"".join(each.packed() for each in segments)
    if len(raw) <= table.size:
        return [Change(table.file, table.offset, raw), _number(table.file, E_PHNUM, len(segments), 2)]
    changes = [Change(table.file, end, raw), _number(table.file, E_PHOFF, end, 8)]
    count = min(len(segments), PN_XNUM)
    changes.append(_number(table.file, E_PHNUM, count, 2))
    if count == PN_XNUM:
        first = SECTION.pack(0, 0, 0, 0, 0, 0, 0, len(segments), 0, 0)
        changes += [Change(table.file, end + len(raw), first), _number(table.file, E_SHOFF, end + len(raw), 8)]
        changes.append(Change(table.file, E_SHNUM - 2, struct.pack("<HH", SECTION.size, 1)))
    return changes


def _number(file: str, offset: int, value: int, size: int) -> Change:
    return Change(file, offset, value.to_bytes(size, "little"))


def _alias(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """The bytes of one segment at many other addresses, too: side by side, with gaps, or one over the other."""
    one = chance.choice(loads)
    start = chance.choice((one.address, one.address + one.in_memory, 0, PAGE, 0xC000000000, chance.randrange(1 << 47)))
    stride = chance.choice((PAGE, one.in_memory, one.in_memory // 2, 2 * one.in_memory + PAGE, 8, 0))
    count = chance.choice(COUNTS)
    more = [replace(one, address=start + number * stride) for number in range(count)]
    return [*segments, *more] if chance.random() < 0.5 else [*more, *segments]


def _overlap(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """Some segments a little lower or higher, so that they lie over their neighbours."""
    some = set(chance.sample(loads, chance.randint(1, len(loads))))
    ways = (8, PAGE, -PAGE, 1 << 20, -(1 << 20), 1)
    return [replace(s, address=s.address + chance.choice(ways)) if s in some else s for s in segments]


def _reorder(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """Another order than that of their addresses."""
    return segments[::-1] if chance.random() < 0.3 else chance.sample(segments, len(segments))


def _swap(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """Two segments with each other's bytes."""
    one, other = chance.choice(loads), chance.choice(loads)
    offsets = {one: other.offset, other: one.offset}
    return [replace(s, offset=offsets.get(s, s.offset)) for s in segments]


def _collapse(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """All segments with the bytes of one of them."""
    one = chance.choice(loads)
    return [replace(s, offset=one.offset) if s.kind == PT_LOAD else s for s in segments]


def _swell(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """Some segments with sizes and places near the end of what 64 bits can say."""
    some = set(chance.sample(loads, min(len(loads), chance.randint(1, 3))))

    def swollen(one: Segment) -> Segment:
        names = chance.sample(("offset", "address", "in_file", "in_memory"), chance.randint(1, 4))
        return replace(one, **{name: chance.choice(NEAR_THE_END) for name in names})

    return [swollen(each) if each in some else each for each in segments]


def _stretch(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """One segment from its address to far behind its bytes, over all that comes after it."""
    one = chance.choice(loads)
    size = chance.choice((1 << 30, 1 << 36, 1 << 46, (1 << 47) - one.address))
    in_file = chance.choice((one.in_file, size))
    return [replace(s, in_memory=size, in_file=in_file) if s is one else s for s in segments]


def _twice(chance: random.Random, segments: list[Segment], loads: list[Segment]) -> list[Segment]:
    """Each segment twice, the second time with other bytes."""
    return [*segments, *(replace(each, offset=chance.choice(loads).offset) for each in loads)]


LIES: tuple[Lie, ...] = (_alias, _alias, _overlap, _reorder, _swap, _collapse, _swell, _stretch, _twice)
