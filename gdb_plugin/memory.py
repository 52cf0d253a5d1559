"""The memory of the inferior that is selected in gdb, whatever it is: a process, a core, something remote."""

from __future__ import annotations

import re

import gdb

from inspector.errors import UnreadableMemory, UnsupportedTarget
from inspector.memory import procfs
from inspector.memory.grouping import read_grouped
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Region, Rows

_MAPPING = re.compile(r"\s*(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+(?:\s+([r-][w-][x-][ps]))?\s*(.*)")
"""A line of `info proc mappings`; gdb shows permissions since 12."""

_SECTION = re.compile(r"\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)")
"""A line of `info files`."""


class InferiorMemory:
    """Memory read through gdb, in bulk. gdb reads of the selected inferior, so it must stay selected.

    `connection` is what gdb calls the way to it: "native", "core", "remote" and others.
    """

    name = "gdb"

    def __init__(self, inferior: gdb.Inferior, connection: str) -> None:
        self.inferior, self.connection = inferior, connection

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`; raises UnreadableMemory."""
        if not 0 <= address < END_OF_USER_SPACE or size < 0:
            raise UnreadableMemory(address, size, "no such address")
        try:
            # gdb's own view has no element format; this is a view of bytes, without a copy.
            return memoryview(self.inferior.read_memory(address, size)).cast("B") if size else memoryview(b"")
        except gdb.error:
            raise UnreadableMemory(address, size, "gdb cannot access it") from None

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory."""
        return read_grouped(self.read, addresses, size)

    def regions(self) -> list[Region]:
        """Return what is mapped, as the kernel, the core or the remote side reports it; raises UnsupportedTarget."""
        if self.connection == "native":
            return procfs.mappings(self.inferior.pid)
        found = _core_sections() if self.connection == "core" else _remote_mappings()
        if not found:
            raise UnsupportedTarget(
                f"gdb does not report what this {self.connection} target has mapped (info proc mappings)",
                "inspect a live process, a core dump (gcore writes one), or a process under gdbserver",
            )
        return found


def _core_sections() -> list[Region]:
    found = _SECTION.finditer(gdb.execute("info files", to_string=True))
    return [
        # gdb numbers the segments of a core, and names only the sections of files.
        Region(int(start, 16), int(end, 16), "" if name.startswith("load") else name)
        for start, end, name in (match.groups() for match in found)
    ]


def _remote_mappings() -> list[Region]:
    try:
        # Names of files may have every other line break in them.
        lines = gdb.execute("info proc mappings", to_string=True).split("\n")
    except gdb.error:
        return []
    found = (match.groups() for match in map(_MAPPING.fullmatch, lines) if match)
    return [
        Region(int(start, 16), int(end, 16), name, (permissions or "rw")[1] == "w")
        for start, end, permissions, name in found
        if (permissions or "r").startswith("r") and not name.startswith("[vvar")
    ]
