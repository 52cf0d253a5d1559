"""Values in interfaces among a program's variables: where a stripped program still says what type something has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.errors import InspectError, UnreadableMemory
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.memory.protocol import Memory, RegionMap
from inspector.schemas.types import itab

WORD = 8
LARGEST_RANGE = 1 << 30


def interface_values(types: TypeTable, memory: Memory, regions: RegionMap) -> Iterator[tuple[GoType, int]]:
    """What two neighbouring words in the variables of all modules say as an interface: a type, and where its value is.

    Two words may look like that by chance: what they lead to has to be sound.
    """
    known: dict[int, GoType | None] = {}
    for module in types.modules:
        for start, end in module.variables:
            if not 0 < end - start <= LARGEST_RANGE:
                continue
            try:
                words = np.frombuffer(memory.read(start, (end - start) // WORD * WORD), np.uint64)
            except UnreadableMemory:
                continue
            tabs, data = words[:-1], words[1:]
            likely = np.flatnonzero(regions.contains(tabs, itab.sizeof()) & regions.contains(data, WORD))
            for at in likely.tolist():
                tab = int(tabs[at])
                if tab not in known:
                    known[tab] = _dynamic_type(types, memory, tab)
                dynamic = known[tab]
                if dynamic is not None:
                    # A value that an interface holds directly lies in its second word.
                    yield dynamic, start + (at + 1) * WORD if dynamic.direct_iface else int(data[at])


def _dynamic_type(types: TypeTable, memory: Memory, tab: int) -> GoType | None:
    """The type that the first word of an interface names: by its descriptor, or by an itab."""
    try:
        if types.is_static(tab):
            return types.get(tab)
        pair = itab.parse(memory.read(tab, itab.sizeof()))
        if not (types.is_static(pair.typ) and types.is_static(pair.inter)):
            return None
        return types.get(pair.typ) if types.get(pair.inter).kind == Kind.INTERFACE else None
    except InspectError:
        return None
