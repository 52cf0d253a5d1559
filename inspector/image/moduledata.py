"""Where a Go program keeps its types: runtime.firstmoduledata, found by its symbol."""

from __future__ import annotations

from dataclasses import dataclass

from construct import ConstructError

from inspector.errors import UnsupportedTarget
from inspector.image.elf import ElfImage
from inspector.memory.protocol import Memory
from inspector.releases import Release
from inspector.schemas.moduledata import moduledata

MAX_TYPES_SIZE = 1 << 30


@dataclass(frozen=True)
class Module:
    """The run-time address ranges of one module that decoding types needs: [types, etypes)."""

    types: int
    etypes: int


def find_modules(image: ElfImage, memory: Memory, release: Release) -> list[Module]:
    """Read the module data of the executable; raises UnsupportedTarget, UnreadableMemory."""
    symbol = image.symbol("runtime.firstmoduledata")
    if symbol is None:
        raise UnsupportedTarget(
            f"{image.path} has no symbol table, so its types cannot be found yet",
            "use a build without -ldflags=-s, or name its unstripped twin with --exe",
        )
    declaration = moduledata(release)
    try:
        fields = declaration.parse(memory.read(symbol.address, declaration.sizeof()))
    except ConstructError as error:
        raise UnsupportedTarget(f"the module data of {image.path} cannot be decoded: {error}") from None
    module = Module(fields.types, fields.etypes)
    if not 0 < module.etypes - module.types <= MAX_TYPES_SIZE:
        raise UnsupportedTarget(
            f"the module data of {image.path} makes no sense (types at {module.types:#x}..{module.etypes:#x})",
            "is it the executable that the target runs? name the right one with --exe",
        )
    return [module]
