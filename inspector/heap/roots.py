"""Where the references of a program begin: its variables, and which of their words the collector follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.errors import UnreadableMemory
from inspector.heap.spans import Spans
from inspector.heap.specials import kept_by_specials
from inspector.maps.family import Mask
from inspector.memory.protocol import Addresses, Region
from inspector.target.run import Run

WORD = BYTE = 8


@dataclass(frozen=True)
class Root:
    """Memory outside of the heap that leads to objects. `followed` says which of its words do; None for any."""

    region: Region
    followed: Mask | None = None


def variables_of(run: Run) -> list[Root]:
    """The variables of all modules, data and bss (gcdatamask, gcbssmask in runtime/symtab.go).

    The runtime makes the masks when it starts: before, all words count.
    """
    roots = []
    for module in run.types.modules:
        for (start, end), (words, address) in zip(module.variables, module.pointer_masks, strict=True):
            region = Region(start, end)
            roots.append(Root(region, _mask(run, words, address) if words == (end - start) // WORD else None))
    return roots


def _mask(run: Run, words: int, address: int) -> Mask | None:
    try:
        raw = run.memory.read(address, -(-words // BYTE))
    except UnreadableMemory:
        return None
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=words, bitorder="little").astype(bool)


def words_elsewhere(run: Run, spans: Spans) -> Addresses:
    """What else leads to objects: registers of all threads, and special records of spans. Raises BadSpecials."""
    registers = [value for thread in run.threads() for value in thread.general.values()]
    return np.concatenate((np.array(registers, np.uint64), kept_by_specials(run, spans)))
