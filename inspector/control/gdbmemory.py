"""Memory that gdb alone can read. Whoever asks whether a memory is gdb's need not load what starts gdb."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from inspector.errors import GdbDied, GdbError, UnreadableMemory
from inspector.memory import procfs
from inspector.memory.deadline import Deadline
from inspector.memory.grouping import read_grouped
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Region, Rows

if TYPE_CHECKING:
    from inspector.control.gdbmi import GdbBridge

CHUNK = 1 << 14
"""Bytes asked for in one MI read at most: its answer is hex in text, so more than this goes through a file."""
DUMPED = 1 << 25
"""Bytes dumped by one command, which must not take longer than a command may."""


class GdbMemory:
    """Memory read through gdb alone: a process it holds, or a core it has open.

    `pid` names the process, None for a core. Reads work while the bridge is attached or has a core.
    """

    name = "gdb-mi"

    def __init__(self, bridge: GdbBridge, pid: int | None) -> None:
        self.bridge = bridge
        self.pid = pid
        self._deadline = Deadline()

    def within(self, deadline: Deadline) -> GdbMemory:
        """The same memory, read only as long as a deadline allows: everything then raises NotReadInTime."""
        bound = copy.copy(self)
        bound._deadline = deadline
        return bound

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`; raises UnreadableMemory, GdbError."""
        if not 0 <= address < END_OF_USER_SPACE or size < 0:
            raise UnreadableMemory(address, size, "no such address")
        out = bytearray()
        while len(out) < size:
            self._deadline.ask(size - len(out))
            piece = min(DUMPED, size - len(out))
            read = self._dumped if piece > CHUNK else self._chunk
            out += read(address + len(out), piece, address, size)
        return memoryview(bytes(out))

    def _dumped(self, at: int, size: int, address: int, whole: int) -> bytes:
        try:
            data = self.bridge.taken(f"dump binary memory {{}} {at} {at + size}")
        except GdbDied:
            raise
        except GdbError as error:
            raise UnreadableMemory(address, whole, error.message.removeprefix("gdb: ")) from None
        if len(data) != size:
            raise UnreadableMemory(address, whole, "gdb can read only part of it")
        return data

    def _chunk(self, at: int, size: int, address: int, whole: int) -> bytes:
        try:
            answer = self.bridge.command(f"-data-read-memory-bytes {at} {size}")
        except GdbDied:
            raise
        except GdbError as error:
            raise UnreadableMemory(address, whole, error.message.removeprefix("gdb: ")) from None
        blocks = answer.get("memory", [])
        data = bytes.fromhex(blocks[0]["contents"]) if blocks and int(blocks[0]["begin"], 16) == at else b""
        if len(data) != size:
            raise UnreadableMemory(address, whole, "gdb can read only part of it")
        return data

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory, GdbError."""
        return read_grouped(self.read, addresses, size)

    def regions(self) -> list[Region]:
        """Return the mappings of the process, or the sections that gdb has of core and executable."""
        if self.pid is not None:
            return procfs.mappings(self.pid)
        found = re.findall(r"(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)", self.bridge.console("info files"))
        # gdb numbers the segments of a core, and names only the sections of files.
        named = ((start, end, "" if name.startswith("load") else name) for start, end, name in found)
        return [Region(int(start, 16), int(end, 16), name) for start, end, name in named]
