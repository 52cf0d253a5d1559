"""A group of a Swiss map: eight control bytes and eight slots, made for the sizes of a map type."""

from __future__ import annotations

from functools import cache

from construct import Array, Bytes, Construct, Struct

from inspector.goruntime import scalars as go

GROUP_SLOTS = 8
CTRL_SIZE = GROUP_SLOTS

EMPTY = 0x80
DELETED = 0xFE
"""Control bytes of slots without an entry; one below 0x80 is the H2 of the key (internal/runtime/maps/group.go)."""

H2_BITS = 7


@cache
def interleaved(key_slot: int, elem_at: int, elem_slot: int, slot: int, size: int) -> Construct:
    """A group whose slots hold a key and an element each, `elem_at` bytes from the key on; sizes are bytes.

    Source: cmd/compile/internal/reflectdata/map.go, all releases; the default in 1.27.
    """
    return Struct(
        "ctrl" / Array(GROUP_SLOTS, go.uint8),
        "slots"
        / Array(
            GROUP_SLOTS,
            Struct(
                "key" / Bytes(key_slot),
                "gap" / Bytes(elem_at - key_slot),
                "elem" / Bytes(elem_slot),
                "rest" / Bytes(slot - elem_at - elem_slot),
            ),
        ),
        "tail" / Bytes(size - CTRL_SIZE - GROUP_SLOTS * slot),
    )


@cache
def split(key_slot: int, elems_at: int, elem_slot: int, size: int) -> Construct:
    """A group with all keys before all elements, which begin at `elems_at` (1.27 with GOEXPERIMENT=mapsplitgroup)."""
    return Struct(
        "ctrl" / Array(GROUP_SLOTS, go.uint8),
        "keys" / Array(GROUP_SLOTS, Bytes(key_slot)),
        "gap" / Bytes(elems_at - CTRL_SIZE - GROUP_SLOTS * key_slot),
        "elems" / Array(GROUP_SLOTS, Bytes(elem_slot)),
        "tail" / Bytes(size - elems_at - GROUP_SLOTS * elem_slot),
    )
