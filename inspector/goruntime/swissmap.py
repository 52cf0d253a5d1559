"""internal/runtime/maps.Map, the header of a Swiss map."""

from __future__ import annotations

from functools import cache

from construct import Bytes, Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release


@cache
def _swissmap(tombstone_possible: bool) -> Construct:
    return Struct(
        "used" / go.uint64,
        "seed" / go.uint64,
        "dirPtr" / go.pointer,
        "dirLen" / go.int,
        "globalDepth" / go.uint8,
        "globalShift" / go.uint8,
        "writing" / go.uint8,
        *(["tombstonePossible" / go.uint8] if tombstone_possible else []),
        "padding" / Bytes(4 if tombstone_possible else 5),
        "clearSeq" / go.uint64,
    )


def swissmap(release: Release) -> Construct:
    """The Map of a release: 48 bytes in all of them (internal/runtime/maps/map.go)."""
    return _swissmap(release.has_tombstone_possible)
