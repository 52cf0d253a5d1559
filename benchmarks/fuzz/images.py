"""Cores and executables that are damaged: real ones, copied once to where bytes can be overwritten and put back."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, cache_dir, cached_core, start
from inspector.coredump.snapshot import write_core
from inspector.target.opening import open_target

FAMILIES = ("classic", "swiss")
SHARED_MEMORY = "/dev/shm"
PIECE = 1 << 20

STRIPPED = "-s -w"
PLAIN_DWARF = "-compressdwarf=false"
"""Flags of the linker: without symbols, and with DWARF whose bytes can be damaged one by one."""


@dataclass(frozen=True)
class Image:
    """A core, its executable, and what the program told of its maps. `twin` has the symbols that `exe` may lack.

    `small` says that a census of it is cheap.
    """

    name: str
    family: str
    core: Path
    exe: Path
    twin: Path
    maps: list[dict[str, Any]]
    small: bool = False

    @property
    def stripped(self) -> bool:
        """Whether names of variables cannot be looked up."""
        return self.exe != self.twin

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return self.core.stat().st_size + self.exe.stat().st_size


@dataclass(frozen=True)
class Change:
    """Bytes of one file of an image, "core" or "exe", that are overwritten; with size 0 the file ends there."""

    file: str
    offset: int
    data: bytes

    def __str__(self) -> str:
        if not self.data:
            return f"{self.file} cut at {self.offset:#x}"
        shown = self.data[:16].hex() + ("..." if len(self.data) > 16 else "")
        return f"{self.file}[{self.offset:#x}:{self.offset + len(self.data):#x}] = {shown}"


class Copies:
    """Writable copies of an image's files. Damage is put into them, and taken back: that costs microseconds."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image = image
        self.paths = {"core": folder / f"{image.name}.core", "exe": folder / f"{image.name}.exe"}
        for name, source in (("core", image.core), ("exe", image.exe)):
            copy_sparse(source, self.paths[name])

    @contextmanager
    def damaged(self, changes: list[Change]) -> Iterator[None]:
        """The files with some bytes overwritten, for the length of the block."""
        undo: list[tuple[Path, int, bytes, int]] = []
        try:
            for change in changes:
                path = self.paths[change.file]
                with path.open("r+b") as file:
                    size = os.fstat(file.fileno()).st_size
                    file.seek(change.offset)
                    undo.append((path, change.offset, file.read(len(change.data) or -1), size))
                    file.seek(change.offset)
                    if change.data:
                        file.write(change.data)
                    else:
                        file.truncate(change.offset)
            yield
        finally:
            for path, offset, data, size in reversed(undo):
                with path.open("r+b") as file:
                    file.seek(offset)
                    file.write(data)
                    file.truncate(size)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file without its holes."""
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        at = 0
        with suppress(OSError):  # ENXIO: only a hole is left
            while at < size:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
                end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
                while at < end:
                    data = os.pread(old.fileno(), min(PIECE, end - at), at)
                    os.pwrite(new.fileno(), data, at)
                    at += len(data)
        new.truncate(size)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for copies, in memory where there is one; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gomap-fuzz-", dir=SHARED_MEMORY if _roomy() else None) as folder:
        yield Path(folder)


def _roomy() -> bool:
    return os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > 1 << 30


def images(family: str) -> list[Image]:
    """The images of a family: every state of a map, with compressed and plain DWARF and stripped; a small program."""
    program, toolchain = ("states", USUAL) if family == "classic" else ("swissstates", SWISS_RELEASES[-1])
    found = []
    for name, flags in (("states", ""), ("plaindwarf", PLAIN_DWARF), ("stripped", STRIPPED)):
        core = cached_core(build(program, toolchain, ldflags=flags))
        twin = build(program, toolchain) if flags == STRIPPED else core.exe
        found.append(Image(f"{family}-{name}", family, core.path, core.exe, twin, core.truth["maps"]))
    for name, flags in (("small", PLAIN_DWARF), ("small-stripped", STRIPPED)):
        found.append(_small(f"{family}-{name}", family, toolchain, flags))
    return found


def _small(name: str, family: str, toolchain: Toolchain, flags: str) -> Image:
    """A small program, and a core that `snapshot` wrote while it ran."""
    exe = build("nested", toolchain, ldflags=flags)
    twin = build("nested", toolchain) if flags == STRIPPED else exe
    folder = cache_dir() / "cores" / f"{exe.parent.name}-by-snapshot"
    folder.mkdir(parents=True, exist_ok=True)
    core, told = folder / "core", folder / "told.json"
    if not told.exists():
        with start(exe) as running, open_target(str(running.pid), memory="direct") as target:
            write_core(target, core, force=True)
            told.write_text(json.dumps(running.truth))
    return Image(name, family, core, exe, twin, json.loads(told.read_text())["maps"], small=True)
