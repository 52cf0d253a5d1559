"""What the linker wrote about a Go executable: its release and the settings it was built with.

Source: debug/buildinfo and cmd/link/internal/ld/data.go (buildinfo).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inspector.errors import NotGo, UnsupportedTarget
from inspector.goruntime.releases import Release
from inspector.image.elf import ElfImage

MAGIC = b"\xff Go buildinf:"
ALIGNMENT = 16
HEADER_SIZE = 32
INLINE_STRINGS = 2
SENTINEL_SIZE = 16
"""modinfo is framed by two marks of 16 bytes."""


@dataclass(frozen=True)
class BuildInfo:
    """The release, and the key=value settings of the build ("GOEXPERIMENT", "-trimpath", ...)."""

    release: Release
    settings: dict[str, str]


def read_build_info(image: ElfImage) -> BuildInfo:
    """Find and decode the build info; raises NotGo, UnsupportedTarget."""
    blob = _find(image)
    if blob is None:
        if image.section(".gopclntab", ".data.rel.ro.gopclntab", ".note.go.buildid"):
            raise UnsupportedTarget(
                f"{image.path} is a Go program without build info, so its Go release is unknown",
                "toolchains older than go1.13 wrote none, and some packers remove it",
            )
        raise NotGo(
            f"{image.path} was not built by the Go toolchain: it has no Go build info",
            "give the pid or core of the Go program itself, not of a shell or wrapper around it",
        )
    version, modinfo = _inline(blob) if blob[15] & INLINE_STRINGS else _pointed(image, blob)
    settings = _settings(modinfo)
    experiments = frozenset(e for e in settings.get("GOEXPERIMENT", "").split(",") if e)
    return BuildInfo(Release.parse(version, experiments), settings)


def _find(image: ElfImage) -> bytes | None:
    section = image.section(".go.buildinfo")
    places = [(section.offset, section.size)] if section else []
    places += [(segment.offset, segment.file_size) for segment in image.segments if segment.writable]
    for offset, size in places:
        at = image.data.find(MAGIC, offset, offset + size)
        while at >= 0:
            if (at - offset) % ALIGNMENT == 0:
                return image.data[at : offset + size]
            at = image.data.find(MAGIC, at + 1, offset + size)
    return None


def _inline(blob: bytes) -> tuple[str, bytes]:
    """Since 1.18 both strings follow the header, each behind its length as a varint."""
    version, rest = _varint_string(blob[HEADER_SIZE:])
    modinfo, _ = _varint_string(rest)
    return version.decode(errors="replace"), modinfo


def _varint_string(data: bytes) -> tuple[bytes, bytes]:
    length = shift = used = 0
    for byte in data[:10]:
        length |= (byte & 0x7F) << shift
        shift += 7
        used += 1
        if byte < 0x80:
            break
    return data[used : used + length], data[used + length :]


def _pointed(image: ElfImage, blob: bytes) -> tuple[str, bytes]:
    """Until 1.17 the header holds the addresses of two Go strings."""

    def string_at(address: int) -> bytes:
        header = image.read_linked(address, 16)
        if header is None:
            return b""
        data, length = struct.unpack("<QQ", header)
        return image.read_linked(data, length) or b""

    version, modinfo = struct.unpack_from("<QQ", blob, 16)
    return string_at(version).decode(errors="replace"), string_at(modinfo)


def _settings(modinfo: bytes) -> dict[str, str]:
    text = modinfo[SENTINEL_SIZE:-SENTINEL_SIZE].decode(errors="replace")
    settings = {}
    for line in text.splitlines():
        if line.startswith("build\t"):
            key, _, value = line.removeprefix("build\t").partition("=")
            settings[key] = value.strip('"')
    return settings
