"""Where the keys and values of a sync.Map lie, as far as they can be read."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.errors import UnreadableMemory
from inspector.gotypes.gotype import GoType
from inspector.maps.family import Slots, Source
from inspector.maps.syncmap.header import read_header
from inspector.maps.syncmap.pair import read_pair
from inspector.maps.syncmap.trie import read_trie


def cells(source: Source, address: int, go_type: GoType) -> Iterator[Slots]:
    """See Reader.cells."""
    try:
        header = read_header(source.memory, address, source.release)
    except UnreadableMemory:
        return
    if header.doubts(source.regions, None, False):
        return
    contents = read_trie(source, header) if header.is_trie else read_pair(source, header, whole=False)
    yield Slots(contents.key_places, contents.key_places, contents.value_places)
