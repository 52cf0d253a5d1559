"""Runtime type descriptors: abi.Type and the structures that follow it, kind by kind.

Source: internal/abi/type.go (runtime/type.go until 1.20), internal/abi/map_noswiss.go and map_swiss.go
(map.go since 1.26).
"""

from __future__ import annotations

from functools import cache

from construct import Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

KIND_MASK = 0x1F

TFLAG_UNCOMMON = 1
TFLAG_EXTRA_STAR = 2
TFLAG_NAMED = 4
TFLAG_REGULAR_MEMORY = 8

TFLAG_GC_MASK_ON_DEMAND = 1 << 4
"""gcdata is the address of a pointer to the bitmap, nil until that is made; since 1.24 (see gc_masks_on_demand)."""

KIND_GC_PROGRAM = 1 << 6
"""The flag beside the kind of types whose gcdata is a program, until 1.23."""

DIRECT_IFACE = 1 << 5
"""The flag of types whose values interfaces hold directly: beside the kind until 1.25, in tflag since 1.26."""

INDIRECT_KEY = 1
INDIRECT_ELEM = 2
REFLEXIVE_KEY = 4
NEED_KEY_UPDATE = 8
HASH_MIGHT_PANIC = 16
"""Flags of classic map types."""

SWISS_NEED_KEY_UPDATE = 1
SWISS_HASH_MIGHT_PANIC = 2
SWISS_INDIRECT_KEY = 4
SWISS_INDIRECT_ELEM = 8
"""Flags of Swiss map types."""

rtype = Struct(
    "size" / go.uintptr,
    "ptrdata" / go.uintptr,
    "hash" / go.uint32,
    "tflag" / go.uint8,
    "align" / go.uint8,
    "fieldAlign" / go.uint8,
    "kind" / go.uint8,
    "equal" / go.pointer,  # until 1.13 the address of a typeAlg
    "gcdata" / go.pointer,
    "str" / go.int32,
    "ptrToThis" / go.int32,
)
"""abi.Type: 48 bytes."""

type_alg = Struct("hash" / go.pointer, "equal" / go.pointer)
"""runtime.typeAlg of 1.13: func values that hash and compare values of a type."""


@cache
def _maptype(has_hasher: bool) -> Construct:
    return Struct(
        "typ" / rtype,
        "key" / go.pointer,
        "elem" / go.pointer,
        "bucket" / go.pointer,
        *(["hasher" / go.pointer] if has_hasher else []),
        "keysize" / go.uint8,
        "elemsize" / go.uint8,
        "bucketsize" / go.uint16,
        "flags" / go.uint32,
    )


def maptype(release: Release) -> Construct:
    """abi.MapType: of classic maps (abi.OldMapType since 1.24) 88 bytes, 80 in 1.13, which has no hasher.

    Of Swiss maps (abi.SwissMapType in 1.24 and 1.25) 112 bytes, 136 since 1.27.
    """
    return _swissmaptype(release.strides_in_map_types) if release.swiss else _maptype(not release.type_alg)


def parts_of_maptype(release: Release) -> tuple[str, str, str]:
    """The fields of a map type that lead to types: of keys, of elements, of a bucket or group."""
    return ("key", "elem", "group" if release.swiss else "bucket")


@cache
def _swissmaptype(strides: bool) -> Construct:
    places = ("keysOff", "keyStride", "elemsOff", "elemStride", "elemOff") if strides else ("slotSize", "elemOff")
    return Struct(
        "typ" / rtype,
        "key" / go.pointer,
        "elem" / go.pointer,
        "group" / go.pointer,
        "hasher" / go.pointer,
        "groupSize" / go.uintptr,
        *(place / go.uintptr for place in places),
        "flags" / go.uint32,
        "padding" / go.uint32,  # the uncommon type follows behind it
    )


elem_type = Struct("typ" / rtype, "elem" / go.pointer)
"""Pointers, slices and channels (a channel's direction follows)."""

array_type = Struct("typ" / rtype, "elem" / go.pointer, "slice" / go.pointer, "len" / go.uintptr)

struct_type = Struct("typ" / rtype, "pkgPath" / go.pointer, "fields" / go.slice_header)

struct_field = Struct("name" / go.pointer, "typ" / go.pointer, "offset" / go.uintptr)

interface_type = Struct("typ" / rtype, "pkgPath" / go.pointer, "methods" / go.slice_header)

func_type = Struct("typ" / rtype, "inCount" / go.uint16, "outCount" / go.uint16)

uncommon_type = Struct(
    "pkgPath" / go.int32,
    "mcount" / go.uint16,
    "xcount" / go.uint16,
    "moff" / go.uint32,
    "unused" / go.uint32,
)
"""Follows the descriptor of a type that has a name or methods."""

itab = Struct("inter" / go.pointer, "typ" / go.pointer, "hash" / go.uint32, "unused" / go.uint32)
"""runtime.itab up to its method table."""
