"""The release that the runtime itself names: runtime.buildVersion, for programs without build info.

The linker gives the variable its value (cmd/link/internal/ld/data.go: addstrdata), so it is there in every program. Its
symbol says where; in a stripped executable every string header in writable data that leads to a version is looked at.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

from inspector.image.elf import ElfImage

_VERSION = re.compile(rb"(?:devel )?go1\.\d+[\w.+-]*(?: [\w:+. -]*)?(?:[ -]X:[\w,]+)?")
_BEGINNING = re.compile(rb"(?:devel )?go1\.\d")
_NUMBERS = re.compile(r"\d+")

LONGEST = 256
WORD = 8
HEADER = struct.Struct("<QQ")


def runtime_version(image: ElfImage) -> str | None:
    """What runtime.Version() returns in the program; None where no variable holds a version."""
    symbol = image.symbol("runtime.buildVersion")
    if symbol is not None:
        header = image.read_linked(symbol.address - image.bias, HEADER.size)
        text = _text(image, *HEADER.unpack(header)) if header else None
        return text.decode() if text else None
    found = set(_versions(image))
    # Literals may quote older releases. Only what the linker puts into variables ends with a zero.
    ended = {text.decode() for text, zero in found if zero} or {text.decode() for text, _ in found}
    return max(ended, key=lambda text: [int(number) for number in _NUMBERS.findall(text)], default=None)


def _versions(image: ElfImage) -> Iterator[tuple[bytes, bool]]:
    """Strings in variables that are versions, and whether a zero follows them."""
    places = np.array(sorted(set(_beginnings(image))), np.uint64)
    if not len(places):
        return
    for segment in image.segments:
        if not segment.writable:
            continue
        first = -segment.address % WORD
        start, size = segment.offset + first, max(0, segment.file_size - first) // WORD * WORD
        words = np.frombuffer(image.data[start : start + size], np.uint64)
        for at in np.flatnonzero(np.isin(words[:-1], places)).tolist():
            address, length = int(words[at]), int(words[at + 1])
            text = _text(image, address, length)
            if text:
                yield text, image.read_linked(address + length, 1) == b"\0"


def _beginnings(image: ElfImage) -> Iterator[int]:
    """Linked addresses at which the name of a release begins."""
    for segment in image.segments:
        for match in _BEGINNING.finditer(image.data, segment.offset, segment.offset + segment.file_size):
            yield segment.address + match.start() - segment.offset


def _text(image: ElfImage, address: int, length: int) -> bytes | None:
    """The string at an address if it is the name of a release and nothing else."""
    text = image.read_linked(address, length) if 0 < length <= LONGEST else None
    return text if text and _VERSION.fullmatch(text) else None
