"""The executable a target runs: its ELF structure, Go release, symbols and module data."""

from inspector.image.buildinfo import BuildInfo, read_build_info
from inspector.image.elf import ElfImage, LoadSegment
from inspector.image.moduledata import Module, find_modules

__all__ = ["BuildInfo", "ElfImage", "LoadSegment", "Module", "find_modules", "read_build_info"]
