"""What the linker wrote about a Go executable: its release and the settings it was built with.

Source: debug/buildinfo and cmd/link/internal/ld/data.go (buildinfo).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inspector.errors import NotGo, UnsupportedTarget
from inspector.goruntime.releases import NEWEST_KNOWN, Release
from inspector.image.elf import ElfImage
from inspector.image.version import runtime_version

UPX = b"UPX!"
"""What stands behind the program headers of an executable that UPX has packed (l_magic)."""
HEADERS = 1024
"""Bytes at the beginning of a file that are looked through for it."""

MAGIC = b"\xff Go buildinf:"
ALIGNMENT = 16
HEADER_SIZE = 32
INLINE_STRINGS = 2
SENTINEL_SIZE = 16
"""modinfo is framed by two marks of 16 bytes."""


@dataclass(frozen=True)
class BuildInfo:
    """The release, and the key=value settings of the build ("GOEXPERIMENT", "-trimpath", ...).

    `by_runtime` says that there is no build info, and the release is what the runtime calls itself.
    """

    release: Release
    settings: dict[str, str]
    by_runtime: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know of where the release comes from, and of what is known of it."""
        notes = []
        if self.by_runtime:
            notes.append(
                f"the executable has no build info: that {self.release.version} built it is what its runtime "
                "reports (runtime.buildVersion)"
            )
        if self.release.unknown:
            notes.append(
                f"{self.release.version} is newer than {NEWEST_KNOWN}, the newest release known here: "
                "the layouts of its structures are assumed to be unchanged"
            )
        return tuple(notes)


def read_build_info(image: ElfImage) -> BuildInfo:
    """Decode the build info, or take the runtime's own version where there is none; raises NotGo, UnsupportedTarget."""
    blob = _find(image)
    if blob is None:
        return _by_runtime(image)
    version, modinfo = _inline(blob) if blob[15] & INLINE_STRINGS else _pointed(image, blob)
    settings = _settings(modinfo)
    experiments = frozenset(e for e in settings.get("GOEXPERIMENT", "").split(",") if e)
    return BuildInfo(Release.parse(version, experiments), settings)


def _by_runtime(image: ElfImage) -> BuildInfo:
    if not image.sections and image.data.find(UPX, 0, HEADERS) >= 0:
        raise NotGo(
            f"{image.path} is packed with UPX: what the process runs is not in that file, so it is not known whether "
            "it is Go",
            "unpack it with `upx -d` and start that instead",
        )
    if not image.section(".gopclntab", ".data.rel.ro.gopclntab", ".note.go.buildid"):
        raise NotGo(
            f"{image.path} was not built by the Go toolchain: it has no Go build info",
            "give the pid or core of the Go program itself, not of a shell or wrapper around it",
        )
    version = runtime_version(image)
    if version is None:
        raise UnsupportedTarget(
            f"{image.path} is a Go program of unknown release: it has neither build info (.go.buildinfo) nor a "
            "version of the runtime's own (runtime.buildVersion)",
            "toolchains older than go1.13 wrote no build info, and some packers remove both",
        )
    return BuildInfo(Release.parse(version), {}, by_runtime=True)


def _find(image: ElfImage) -> bytes | None:
    section = image.section(".go.buildinfo")
    places = [(section.offset, section.size)] if section else []
    places += [(segment.offset, segment.file_size) for segment in image.segments if segment.writable]
    for offset, size in places:
        at = image.data.find(MAGIC, offset, offset + size)
        while at >= 0:
            if (at - offset) % ALIGNMENT == 0 and at + HEADER_SIZE <= offset + size:
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
