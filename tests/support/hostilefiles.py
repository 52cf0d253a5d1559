"""ELF files whose headers say what is not so, made of real cores and executables."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

EHDR, PHDR, SHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ"), struct.Struct("<IIQQQQIIQQ")
PT_LOAD = 1
PN_XNUM = 0xFFFF
PHOFF, SHOFF, PHNUM, SHENTSIZE = 32, 40, 56, 58
"""Places of fields in the header of a 64-bit file."""


@dataclass(frozen=True)
class Header:
    """A program header."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int

    def packed(self) -> bytes:
        return PHDR.pack(
            self.kind, self.flags, self.offset, self.address, 0, self.file_size, self.memory_size, 4096
        )  # fmt: skip


def headers(data: bytes | bytearray) -> list[Header]:
    """The program headers of a file."""
    start, count = struct.unpack_from("<Q", data, PHOFF)[0], struct.unpack_from("<H", data, PHNUM)[0]
    found = [PHDR.unpack_from(data, start + PHDR.size * number) for number in range(count)]
    return [Header(*(field for at, field in enumerate(fields) if at not in (4, 7))) for fields in found]


def with_segments(original: Path, to: Path, changed: Callable[[int, Header], Header]) -> Path:
    """A copy of a file whose PT_LOAD headers were changed, by their number."""
    data = bytearray(original.read_bytes())
    start, loads = struct.unpack_from("<Q", data, PHOFF)[0], 0
    for number, header in enumerate(headers(data)):
        if header.kind == PT_LOAD:
            at = start + PHDR.size * number
            data[at : at + PHDR.size] = changed(loads, header).packed()
            loads += 1
    to.write_bytes(data)
    return to


def with_more_segments(original: Path, to: Path, more: list[Header], size: int = 0) -> Path:
    """A copy of a file with more program headers, which go to its end; `size` bytes long, with a hole, if given."""
    data = original.read_bytes()
    every = b"".join(header.packed() for header in [*headers(data), *more])
    with to.open("wb") as file:
        file.write(data)
        start = file.seek(0, 2)
        file.write(every)
        if size:
            file.truncate(size)
        _put(file, PHOFF, "<Q", start)
        _put(file, PHNUM, "<H", len(every) // PHDR.size)
    return to


def with_many_segments(original: Path, to: Path, count: int | None = None) -> Path:
    """A copy whose number of program headers stands in its first section (PN_XNUM): the true one, or another."""
    data = original.read_bytes()
    true = struct.unpack_from("<H", data, PHNUM)[0]
    with to.open("wb") as file:
        file.write(data)
        start = file.seek((len(data) + 7) // 8 * 8)
        file.write(SHDR.pack(0, 0, 0, 0, 0, 0, 0, true if count is None else count, 0, 0))
        _put(file, SHOFF, "<Q", start)
        _put(file, PHNUM, "<HHHH", PN_XNUM, SHDR.size, 1, 0)
    return to


def with_many_sections(original: Path, to: Path, count: int) -> Path:
    """A copy of an executable that claims to have many sections, in a hole of the file that has room for them."""
    data = original.read_bytes()
    with to.open("wb") as file:
        file.write(data)
        start = file.seek((len(data) + 7) // 8 * 8)
        file.write(SHDR.pack(0, 0, 0, 0, 0, count, 0, 0, 0, 0))
        file.truncate(start + SHDR.size * count)
        _put(file, SHOFF, "<Q", start)
        _put(file, SHENTSIZE, "<HHH", SHDR.size, 0, 0)
    return to


def without_sections(original: Path, to: Path) -> Path:
    """A copy of an executable without section headers and what only they lead to, as sstrip leaves it."""
    data = bytearray(original.read_bytes())
    end = max(header.offset + header.file_size for header in headers(data))
    struct.pack_into("<Q", data, SHOFF, 0)
    struct.pack_into("<HHH", data, SHENTSIZE, 0, 0, 0)
    to.write_bytes(data[:end])
    to.chmod(0o755)
    return to


def marked_by_upx(original: Path, to: Path) -> Path:
    """A copy of an executable with the mark that UPX leaves behind its program headers (struct l_info)."""
    data = bytearray(original.read_bytes())
    behind = struct.unpack_from("<Q", data, PHOFF)[0] + PHDR.size * len(headers(data))
    struct.pack_into("<I4sHBB", data, behind, 0x12345678, b"UPX!", 0x0D0C, 0x0E, 0x16)
    to.write_bytes(data)
    to.chmod(0o755)
    return to


def moved(header: Header, address: int) -> Header:
    return replace(header, address=address)


def _put(file, at: int, layout: str, *values: int) -> None:
    file.seek(at)
    file.write(struct.pack(layout, *values))
