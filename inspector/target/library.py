"""Go's runtime in a library of a process whose executable is not Go (go build -buildmode=c-shared).

The library is the mapped file that has Go's build info. Where it was loaded is known from its lowest mapping: a library
has no entry point that the kernel would know.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.errors import BadExecutable, InspectError
from inspector.image.buildinfo import read_build_info
from inspector.image.elf import ElfImage, open_image
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Memory
from inspector.target.program import PAGE, build_matches

if TYPE_CHECKING:
    from inspector.memory.corefile import CoreFile

DELETED = " (deleted)"
MOST_FILES = 4096
"""Mapped files that are looked at; a process maps a few hundred libraries at most."""


@dataclass(frozen=True)
class MappedFile:
    """A mapped file: [start, end) is its lowest mapping, which shows it from `offset` bytes on."""

    start: int
    end: int
    offset: int
    path: str

    def bias(self, image: ElfImage) -> int | None:
        """What the loader added to the addresses of a library that this file may be; None where it cannot be it."""
        if not image.segments:
            return None
        first = min(image.segments, key=lambda segment: segment.address)
        bias = self.start - self.offset - (first.address - first.offset)
        return bias if bias >= 0 and bias % PAGE == 0 and image.movable else None


def library_of_process(process: ProcessMemory) -> ElfImage | None:
    """The Go library of a process, with its bias; None where there is none. Raises NotPermitted, NoSuchTarget."""
    regions = sorted(process.regions(), key=lambda region: region.start)
    files = (MappedFile(region.start, region.end, 0, region.name) for region in regions)

    def opened(file: MappedFile) -> ElfImage | None:
        # The kernel's own link is that file, deleted or not, but only root may follow it.
        for place in (f"/proc/{process.pid}/map_files/{file.start:x}-{file.end:x}", _in_root(process.pid, file.path)):
            if os.access(place, os.R_OK):
                return open_image(place, file.path)
        return None

    return _first(files, opened, process)


def library_of_core(core: CoreFile) -> ElfImage | None:
    """The same for a core, whose libraries must be where the process had them."""
    return _first(_files_of(core), lambda file: open_image(file.path.removesuffix(DELETED)), core)


def lies_in_core(image: ElfImage, core: CoreFile) -> bool:
    """Whether a core had a library mapped: its build id is there. Sets the bias of the image then."""
    return any(_lies_there(image, file, core) for file in _distinct(_files_of(core)))


def note_of(image: ElfImage, whose: str) -> str:
    """What the user has to know of a target whose Go runtime is in a library."""
    return f"the executable of {whose} is not Go: the runtime that is inspected is in its library {image.path}"


def _files_of(core: CoreFile) -> Iterator[MappedFile]:
    for mapping in sorted(core.mappings, key=lambda mapping: mapping.start):
        yield MappedFile(mapping.start, mapping.end, mapping.offset, mapping.path)


def _in_root(pid: int, path: str) -> str:
    return f"/proc/{pid}/root{path}"


def _distinct(files: Iterable[MappedFile]) -> Iterator[MappedFile]:
    """The lowest mapping of each file, of no more than MOST_FILES."""
    seen: set[str] = set()
    for file in files:
        if file.path.startswith("/") and file.path not in seen and len(seen) < MOST_FILES:
            seen.add(file.path)
            yield file


def _first(
    files: Iterable[MappedFile], opened: Callable[[MappedFile], ElfImage | None], memory: Memory
) -> ElfImage | None:
    """The first file that is a Go library and that the memory shows at its place."""
    for file in _distinct(files):
        image = None
        # Whatever else is mapped is data, or a library of another language.
        with suppress(InspectError):
            image = opened(file)
            if image is not None:
                read_build_info(image)
                if _lies_there(image, file, memory):
                    return image
        if image is not None:
            image.close()
    return None


def _lies_there(image: ElfImage, file: MappedFile, memory: Memory) -> bool:
    """Set the bias of an image by where a file was mapped; returns whether the build id in memory is the image's."""
    bias = file.bias(image)
    if bias is None:
        return False
    before, image.bias = image.bias, bias
    with suppress(BadExecutable):
        if build_matches(memory, image, file.path):
            return True
    image.bias = before
    return False
