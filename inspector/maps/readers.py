"""Who reads a map of some type: the family of the program's maps, or what knows sync.Map.

That is loaded when it is first needed, as few maps are one. Whoever holds a process loads it before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import Release
from inspector.goruntime.syncmap import trie_map
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import find_sync_map, is_sync_map, map_beneath
from inspector.gotypes.table import TypeTable
from inspector.maps.families import family_of
from inspector.maps.family import WORD, Reader, Source


def reader_of(release: Release, go_type: GoType) -> Reader:
    """Who reads values of a type: a map's, which may have no layout yet, or sync.Map's."""
    return reader_of_sync_maps() if is_sync_map(go_type) else family_of(release)


def reader_of_sync_maps() -> Reader:
    """What reads sync.Map; it is loaded by now."""
    from inspector.maps import syncmap

    return syncmap


def tries_among(words: NDArray[np.uint64], types: TypeTable) -> list[int]:
    """Offsets in bytes at which a HashTrieMap may lie: where one has its hash function, that of interfaces is."""
    beneath = map_beneath(types)
    if beneath is None or not types.release.sync_map_is_trie:
        return []
    at = dtype_of(trie_map).fields["keyHash"][1]  # type: ignore[index]
    hits = np.flatnonzero(words == np.uint64(beneath.hasher)) * WORD - at
    return [hit for hit in hits.tolist() if hit >= 0]


def recognise_trie(source: Source, address: int) -> GoType | None:
    """The type sync.Map if a HashTrieMap lies at an address: the hash function that it was given shows it.

    None for anything else, also for a sync.Map that was never used, and for those of before Go 1.24.
    """
    if not source.release.sync_map_is_trie:
        return None
    from inspector.maps import syncmap
    from inspector.maps.syncmap.header import has_hasher_of_interfaces

    try:
        header = syncmap.read_header(source.memory, address, source.release)
    except UnreadableMemory:
        return None
    if not has_hasher_of_interfaces(header, source.types) or header.doubts(source.regions, None, False):
        return None
    return find_sync_map(source.types)
