"""The bytes of all keys and elements of one map, out of its slots and from where they are stored apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Rows

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Values:
    """Values of one type: `rows` (k, size), and `known` (k,), which are there; the others are zeros."""

    type: GoType
    rows: Rows
    known: Mask

    def __len__(self) -> int:
        return len(self.rows)


def values_of(
    types: TypeTable, map_type: GoType, keys: Rows, elems: Rows, memory: FrozenMemory
) -> tuple[Values, Values]:
    """The keys and elements of k entries, whose slots are `keys` and `elems`, of shape (k, slot size)."""
    layout = map_type.layout
    assert layout is not None
    return (
        _values(types.key(map_type), keys, layout.indirect_key, memory),
        _values(types.elem(map_type), elems, layout.indirect_elem, memory),
    )


def _values(go_type: GoType, slots: Rows, indirect: bool, memory: FrozenMemory) -> Values:
    if not indirect:
        return Values(go_type, slots[:, : go_type.size], np.ones(len(slots), bool))
    pointers = np.ascontiguousarray(slots).view(np.uint64)[:, 0] if len(slots) else np.empty(0, np.uint64)
    held, known = memory.held(pointers, go_type.size)
    rows = np.zeros((len(slots), go_type.size), np.uint8)
    rows[known] = held
    return Values(go_type, rows, known)
