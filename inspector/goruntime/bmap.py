"""runtime.bmap, one bucket, made for the slot sizes of a map type."""

from __future__ import annotations

from functools import cache

from construct import Array, Bytes, Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import BUCKET_CELLS

TOPHASH_SIZE = BUCKET_CELLS
OVERFLOW_SIZE = 8


@cache
def bmap(key_slot: int, elem_slot: int) -> Construct:
    """A bucket whose key and element slots have these sizes in bytes (8 for indirect ones).

    All keys come before all elements, so that map[int64]int8 needs no padding (runtime/map.go,
    cmd/compile/internal/reflectdata MapBucketType).
    """
    return Struct(
        "tophash" / Array(BUCKET_CELLS, go.uint8),
        "keys" / Array(BUCKET_CELLS, Bytes(key_slot)),
        "elems" / Array(BUCKET_CELLS, Bytes(elem_slot)),
        "overflow" / go.pointer,
    )
