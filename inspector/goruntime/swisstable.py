"""internal/runtime/maps.table: one hash table of a Swiss map, with a groups array of its own."""

from __future__ import annotations

from construct import Struct

from inspector.goruntime import scalars as go

SMALLEST_CAPACITY = 16
"""Slots of the smallest table that the runtime makes: growToTable and hints begin there."""

MAX_TABLE_CAPACITY = 1024
"""maxTableCapacity: a table of so many slots is split, not grown."""

swisstable = Struct(
    "used" / go.uint16,
    "capacity" / go.uint16,
    "growthLeft" / go.uint16,
    "localDepth" / go.uint8,
    "padding" / go.uint8,
    "index" / go.int,
    "groups" / go.pointer,
    "lengthMask" / go.uint64,
)
"""32 bytes (internal/runtime/maps/table.go). `groups` and `lengthMask` are its groupsReference."""

STALE_INDEX = -1
"""The index of a table that was replaced: only an iterator may still hold it."""
