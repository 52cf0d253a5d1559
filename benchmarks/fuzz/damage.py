"""Random damage: how bytes of a place are overwritten."""

from __future__ import annotations

import random

from benchmarks.fuzz.images import Change, Copies
from benchmarks.fuzz.places import SEGMENTS, Certain, Place, Places
from benchmarks.fuzz.segments import damage_segments

WIDTHS = (1, 1, 1, 2, 4, 8, 8)
MOST_CHANGES = 4
EDGES = (
    0, 1, 2, 7, 8, 9, 16, 63, 64, 255, 256, 4095, 4096, 0xFFFF, 1 << 16, (1 << 20) - 1, 1 << 24, 1 << 27, (1 << 31) - 1,
    1 << 31, (1 << 32) - 1, 1 << 32, 1 << 36, 1 << 40, 1 << 46, (1 << 47) - 8, 1 << 47, 1 << 62, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip
"""Sizes, counts and addresses at which checks go wrong."""

CUT = 0.02
"""How many of the damaged headers and notes are a file that ends early instead."""


def damage(chance: random.Random, kind: str, places: Places, copies: Copies) -> list[Change]:
    """Overwrite one to four pieces of one place of a kind, most often one."""
    place = chance.choice(places.kinds[kind])
    if kind == SEGMENTS:
        return damage_segments(chance, place, copies)
    if kind in ("elf", "programheaders", "notes") and chance.random() < CUT:
        return [Change(place.file, chance.randrange(copies.paths[place.file].stat().st_size), b"")]
    count = 1 if chance.random() < 0.7 else chance.randint(2, MOST_CHANGES)
    return [_change(chance, place, copies) for _ in range(count)]


def certain_damage(chance: random.Random, certain: Certain, copies: Copies) -> list[Change]:
    """Give a byte a value that it cannot have."""
    place = certain.place
    before = _read(copies, place.file, place.offset, 1)[0]
    after = chance.choice([value for value in certain.others if value != before])
    return [Change(place.file, place.offset, bytes([after]))]


def _change(chance: random.Random, place: Place, copies: Copies) -> Change:
    width = min(chance.choice(WIDTHS), place.size)
    at = chance.randrange(place.size - width + 1)
    if place.size >= 8 and chance.random() < 0.8:
        at = at // width * width
    offset = place.offset + at
    before = _read(copies, place.file, offset, width)
    number, most = int.from_bytes(before, "little"), 1 << 8 * width
    ways = [
        lambda: chance.randrange(most),
        lambda: number ^ 1 << chance.randrange(8 * width),
        lambda: chance.choice(EDGES),
        lambda: number + chance.choice((-1, 1, 8, -8, 4096, number)),
        # What stands elsewhere in the same place: a pointer that leads to something of another kind.
        lambda: int.from_bytes(
            _read(copies, place.file, place.offset + chance.randrange(place.size - width + 1), width), "little"
        ),
    ]
    return Change(place.file, offset, (chance.choice(ways)() % most).to_bytes(width, "little"))


def _read(copies: Copies, file: str, offset: int, size: int) -> bytes:
    with copies.paths[file].open("rb") as opened:
        opened.seek(offset)
        return opened.read(size).ljust(size, b"\0")
