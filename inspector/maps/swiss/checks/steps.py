"""The steps of a write that may leave a rule broken for a moment."""

from __future__ import annotations

from typing import Literal

Step = Literal[
    "maps.Map.growToSmall",
    "maps.Map.putSlotSmall",
    "maps.Map.deleteSmall",
    "maps.Map.clearSmall",
    "maps.table.PutSlot",
    "maps.table.uncheckedPutSlotForAssign",
    "maps.table.pruneTombstones",
    "maps.table.Delete",
    "maps.table.grow",
    "maps.table.split",
    "maps.Map.growToTable",
    "maps.Map.installTableSplit",
    "maps.Map.Clear",
]
"""Methods of internal/runtime/maps that a stop may interrupt halfway; fast variants are named like the general ones."""

SMALL_ASSIGN: tuple[Step, ...] = ("maps.Map.putSlotSmall",)
SMALL_DELETE: tuple[Step, ...] = ("maps.Map.deleteSmall",)
TABLE_ASSIGN: tuple[Step, ...] = ("maps.table.PutSlot",)
OWN_ASSIGN: tuple[Step, ...] = ("maps.table.uncheckedPutSlotForAssign",)
TABLE_DELETE: tuple[Step, ...] = ("maps.table.Delete",)
CLEAR: tuple[Step, ...] = ("maps.Map.Clear",)
PRUNE: tuple[Step, ...] = ("maps.table.pruneTombstones",)
