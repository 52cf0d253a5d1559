"""What never changes while a process lives: its executable, its types, the keys of its hash functions."""

from __future__ import annotations

import logging
import mmap
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inspector.errors import BadExecutable, Hint, InspectError, NotGo, UnreadableMemory
from inspector.goruntime.releases import Release
from inspector.gotypes.table import TypeTable
from inspector.gotypes.variables import Declarations
from inspector.hashing.keys import HashKeys, find_hash_keys
from inspector.image.buildinfo import BuildInfo, read_build_info
from inspector.image.elf import ElfImage
from inspector.image.moduledata import find_modules
from inspector.maps.families import family_of
from inspector.maps.family import Family
from inspector.memory.chunks import Chunks
from inspector.memory.protocol import END_OF_USER_SPACE, Memory

logger = logging.getLogger(__name__)

PAGE = 4096
"""Everything is mapped in whole pages."""


@dataclass
class Program:
    """The program that a target runs. Types and hash keys are read through `memory` when they are first asked for.

    `in_library` says that `image` is not the executable but a library of the process (library.py).
    """

    image: ElfImage
    build: BuildInfo
    memory: Memory
    in_library: bool = False

    def __post_init__(self) -> None:
        # Loaded now, as long as no process is held.
        _ = self.family

    @property
    def release(self) -> Release:
        """The Go release that it was built with."""
        return self.build.release

    @property
    def family(self) -> Family:
        """The family of all its maps."""
        return family_of(self.release)

    @cached_property
    def types(self) -> TypeTable:
        """Its type descriptors; raises UnsupportedTarget, UnreadableMemory."""
        modules = find_modules(self.image, self.memory, self.release)
        table = TypeTable(self.memory, modules, self.release)
        logger.debug("%d modules, %d map types", len(modules), len(table.map_types))
        return table

    @cached_property
    def declarations(self) -> Declarations:
        """What the executable's DWARF declares, read when it is first asked for."""
        return Declarations(self.image, self.types)

    @cached_property
    def hash_keys(self) -> HashKeys | None:
        """The random keys of its hash functions; None where they are not found."""
        found = find_hash_keys(self.image, self.memory, self.types)
        logger.debug("hash keys %s", "found" if found else "not found")
        return found


def built(image: ElfImage) -> BuildInfo:
    """Read which Go release built an executable.

    Raises NotGo, UnsupportedTarget.
    """
    return read_build_info(image)


def is_go(image: ElfImage) -> bool:
    """Whether the Go toolchain built an executable, of whatever release."""
    try:
        read_build_info(image)
    except NotGo:
        return False
    except InspectError:
        return True
    return True


def bias_of(image: ElfImage, entry: int, whose: str) -> int:
    """What the loader added to the linked addresses; raises BadExecutable when it cannot have done so."""
    bias = entry - image.entry
    if not 0 <= bias < END_OF_USER_SPACE or bias % PAGE or (bias and not image.movable):
        raise BadExecutable(
            f"{image.path} is not the executable of {whose}: their entry points differ",
            Hint("name the right one with {exe}"),
        )
    return bias


def require_same_build(image: ElfImage, expected: dict[str, bytes], whose: str) -> None:
    """Raise BadExecutable when a build id note of an executable differs from the `expected` one of that name."""
    for name, note in image.build_ids.items():
        if name in expected and expected[name] != note:
            raise BadExecutable(
                f"{image.path} is not the executable of {whose}: their build ids differ",
                Hint("name the right one with {exe}"),
            )


def build_matches(memory: Memory, image: ElfImage, whose: str) -> bool:
    """Compare the build id notes in the target's own pages with the file's; True when one was compared.

    Raises BadExecutable when they differ.
    """
    compared = False
    held: dict[str, bytes] = {}
    for name, note in image.build_ids.items():
        section = image.section(name)
        assert section is not None
        try:
            held[name] = bytes(memory.read(section.address + image.bias, len(note)))
            compared = True
        except UnreadableMemory:
            continue
    require_same_build(image, held, whose)
    return compared


def lay_over(memory: Chunks, image: ElfImage, data: mmap.mmap) -> None:
    """Give a copy of a process's memory what it lacks of the executable's segments that never change.

    `data` maps the file of the executable.
    """
    file_bytes = np.frombuffer(data, dtype=np.uint8)
    for segment in image.segments:
        # Writable segments change at run time: what the copy lacks of them is lost, not as in the file.
        if not segment.writable:
            memory.overlay(segment.address + image.bias, file_bytes, segment.offset, segment.file_size)
