"""runtime.mapextra: what only some maps need."""

from __future__ import annotations

from construct import Struct

from inspector.goruntime import scalars as go

mapextra = Struct(
    "overflow" / go.pointer,  # *[]*bmap: keeps overflow buckets alive when buckets hold no pointers
    "oldoverflow" / go.pointer,  # *[]*bmap: the same for the old bucket array
    "nextOverflow" / go.pointer,  # *bmap: next preallocated overflow bucket
)
"""24 bytes in every release; Go 1.9 spelled the first two as one array, with the same bytes."""
