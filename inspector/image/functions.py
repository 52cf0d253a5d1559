"""Functions by their code addresses, through the tables that a stripped executable keeps (runtime/symtab.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from construct import ConstructError

from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.moduledata import func_head, functab
from inspector.goruntime.releases import Release
from inspector.image.moduledata import Module
from inspector.memory.protocol import Memory

MAX_NAME = 4096
PAGE = 4096
MAX_FUNCTIONS = 1 << 24
MAX_TABLE = 1 << 16
"""Bytes of a function's pcsp table that are read at most."""


@dataclass(frozen=True)
class Function:
    """A function: where it begins, its name, and where the pctab gives the size of its frame."""

    entry: int
    name: str
    pcsp: int


class FunctionTable:
    """Names of functions; can be pickled with those it was asked for so far."""

    def __init__(self, memory: Memory, modules: list[Module], release: Release) -> None:
        self._memory: Memory | None = memory
        self._modules, self._release = modules, release
        self._known: dict[int, str | None] = {}
        self._tables: dict[int, np.ndarray[Any, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memory": None, "_tables": {}}

    def learn(self, entries: Iterable[int]) -> None:
        """Look names up while the target can be read, for `name` to give them later."""
        for entry in entries:
            self.name(entry)

    def name(self, entry: int) -> str | None:
        """The function that begins at an address, as runtime.Func.Name gives it; None where none begins."""
        if entry not in self._known:
            if self._memory is None:
                return None
            try:
                self._known[entry] = self._look_up(self._memory, entry)
            except (UnreadableMemory, ConstructError):
                self._known[entry] = None
        return self._known[entry]

    def _look_up(self, memory: Memory, entry: int) -> str | None:
        function = self.containing(memory, entry)
        return function.name if function is not None and function.entry == entry else None

    def containing(self, memory: Memory, pc: int) -> Function | None:
        """The function that holds an instruction (runtime.findfunc); raises UnreadableMemory, ConstructError."""
        module = next((m for m in self._modules if m.text <= pc < m.etext), None)
        if module is None or not 0 < module.functions <= MAX_FUNCTIONS:
            return None
        table = self._table(memory, module)
        base = module.text if self._release.relative_functions else 0
        at = int(np.searchsorted(table["entry"], pc - base, side="right")) - 1
        if at < 0:
            return None
        declaration = func_head(self._release)
        head = declaration.parse(memory.read(module.pclntable + int(table["funcoff"][at]), declaration.sizeof()))
        name = printed(_string(memory, module.names + head.nameoff))
        return Function(base + int(table["entry"][at]), name, module.pctab + head.pcsp)

    def _table(self, memory: Memory, module: Module) -> np.ndarray[Any, Any]:
        if module.ftab not in self._tables:
            dtype = dtype_of(functab(self._release))
            data = memory.read(module.ftab, module.functions * dtype.itemsize)
            self._tables[module.ftab] = np.frombuffer(data, dtype)
        return self._tables[module.ftab]


def printed(name: str) -> str:
    """A name with its type arguments left out, as funcNameForPrint does."""
    start, end = name.find("["), name.rfind("]")
    return f"{name[:start]}[...]{name[end + 1 :]}" if 0 <= start < end else name


def _string(memory: Memory, address: int) -> str:
    """The zero-terminated string at an address, cut at MAX_NAME bytes."""
    data = b""
    while b"\0" not in data and len(data) < MAX_NAME:
        # Up to the end of a page: what follows may not be mapped.
        at = address + len(data)
        data += bytes(memory.read(at, PAGE - at % PAGE))
    return data.partition(b"\0")[0].decode(errors="surrogateescape")
