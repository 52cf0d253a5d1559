"""The words of a sync.Map itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import Release
from inspector.goruntime.syncmap import trie_indirect, trie_map, two_maps
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.gotypes.syncmaps import map_beneath
from inspector.gotypes.table import TypeTable
from inspector.maps.family import WORD, Account, Held
from inspector.memory.protocol import Memory, RegionMap

NAME = "sync"
HEADER = "sync.Map"


@dataclass(frozen=True)
class SyncHeader:
    """A sync.Map word for word, pointers as addresses; `words` are its fields by name, as the release has them.

    It counts nothing itself: `count` is how many entries were found, 0 before they are looked for.
    """

    words: dict[str, int]
    is_trie: bool
    count: int = 0

    @property
    def seed(self) -> int:
        """See Header.seed; two maps have a seed each."""
        return self.words.get("seed", 0)

    @property
    def writing(self) -> bool:
        """See Header.writing: what is written is a node, or one of two maps, which says so itself."""
        return False

    @property
    def storage(self) -> int:
        """See Header.storage: the root of a trie. Two maps may be shared while one becomes the other."""
        return self.words.get("root", 0)

    @property
    def blank(self) -> bool:
        """See Header.blank: nothing was ever stored, or looked up."""
        return not any(self.words.get(name) for name in ("inited", "root", "read", "dirty"))

    def doubts(self, regions: RegionMap, layout: Layout | None, incomplete: bool) -> list[str]:
        """See Header.doubts."""
        if self.is_trie and self.words["inited"] > 1:
            return [f"inited is {self.words['inited']}, and can be 0 or 1"]
        wanted = {"root": trie_indirect.sizeof(), "read": WORD, "dirty": WORD}
        doubts = []
        for name, size in wanted.items():
            pointer = self.words.get(name, 0)
            if pointer % WORD:
                doubts.append(f"{name} {pointer:#x} is not aligned")
            elif pointer and not incomplete and not regions.covers(pointer, size):
                doubts.append(f"{name} {pointer:#x} leads nowhere")
        if self.is_trie and self.words["inited"] and not self.words["root"]:
            doubts.append("it has no root, although it was used")
        return doubts

    def extent(self, go_type: GoType, release: Release) -> int:
        """See Header.extent: it says nothing of its size."""
        return 0

    def outline(self, go_type: GoType, release: Release) -> Account:
        """See Header.outline."""
        held = Held({"nodes": 0, "entries": 0, "maps": 0, "header": header_size(release)}, header_size(release))
        return Account(NAME, HEADER, 0, 0.0, 0.0, False, "", held, row_form=ROW_UNKNOWN)


ROW_UNKNOWN: dict[str, Any] = {"nodes": None, "key_types": [], "value_types": []}
"""What a row of the census says of entries that were not read."""


def header_size(release: Release) -> int:
    """Bytes of a sync.Map."""
    return int((trie_map if release.sync_map_is_trie else two_maps(release)).sizeof())


def read_header(memory: Memory, address: int, release: Release) -> SyncHeader:
    """See Reader.read_header."""
    declared = dtype_of(trie_map if release.sync_map_is_trie else two_maps(release))
    row = np.frombuffer(memory.read(address, declared.itemsize), declared)[0]
    names = [name for name in declared.names or () if declared[name].names is None and name != "padding"]
    return SyncHeader({name: int(row[name]) for name in names}, release.sync_map_is_trie)


def has_hasher_of_interfaces(header: SyncHeader, types: TypeTable) -> bool:
    """Whether a HashTrieMap is in use and was given the hasher of map[any]any (initSlow): no other words have that."""
    beneath = map_beneath(types)
    return beneath is not None and header.words["inited"] == 1 and header.words["keyHash"] == beneath.hasher
