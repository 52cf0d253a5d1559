"""sync.Map: since Go 1.24 a hash trie (internal/sync/hashtriemap.go), before that two maps (sync/map.go)."""

from __future__ import annotations

from construct import Bytes, Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

CHILDREN_BITS = 4
"""nChildrenLog2: each level of a trie takes so many bits of a hash, the highest first."""

CHILDREN = 1 << CHILDREN_BITS
"""nChildren."""

LEVELS = 64 // CHILDREN_BITS
"""Indirect nodes on any path at most: then all bits of a hash are used up."""

_mutex = Struct("state" / go.int32, "sema" / go.uint32)

trie_map = Struct(
    "inited" / go.uint32,
    "initMu" / _mutex,
    "padding" / Bytes(4),
    "root" / go.pointer,
    "keyHash" / go.pointer,
    "valEqual" / go.pointer,
    "seed" / go.uint64,
)
"""HashTrieMap, 48 bytes: all that a sync.Map has since 1.24. `keyHash` is the hasher of its map type, a func value."""

trie_node = Struct("isEntry" / go.uint8, "padding" / Bytes(7))
"""What every node begins with."""

trie_indirect = Struct(
    "isEntry" / go.uint8,
    "padding" / Bytes(3),
    "dead" / go.uint32,
    "mu" / _mutex,
    "parent" / go.pointer,
    "children" / go.pointer[CHILDREN],
)
"""indirect[any, any]: an inner node, 152 bytes."""

trie_entry = Struct(
    "isEntry" / go.uint8,
    "padding" / Bytes(7),
    "overflow" / go.pointer,
    "key" / go.interface_header,
    "value" / go.interface_header,
)
"""entry[any, any]: a leaf, 48 bytes. Entries with one hash are a list, linked by `overflow`."""

_two_maps = Struct("mu" / _mutex, "read" / go.pointer, "dirty" / go.pointer, "misses" / go.int)
_two_maps_with_value = Struct(
    "mu" / _mutex, "readType" / go.pointer, "read" / go.pointer, "dirty" / go.pointer, "misses" / go.int
)

read_only = Struct("m" / go.pointer, "amended" / go.uint8, "padding" / Bytes(7))
"""readOnly: what `read` leads to. `amended` says that dirty has keys that m lacks."""


def two_maps(release: Release) -> Construct:
    """sync.Map of two maps: `read` leads to a readOnly; until 1.19 it is the data of an atomic.Value."""
    return _two_maps_with_value if release.sync_map_read_is_value else _two_maps
