"""What is copied of one map, for rules, reports and everything else to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import SwissLayout
from inspector.gotypes.table import TypeTable
from inspector.hashing.keys import HashKeys
from inspector.maps.family import Books
from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.header import SwissMap
from inspector.maps.swiss.layout import layout_of
from inspector.maps.swiss.tables import Tables
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import RegionMap


@dataclass(frozen=True)
class SwissCopy:
    """Everything of one map, copied: immutable, picklable, independent of the target.

    A small map has no `tables` and at most one group. `unusable` says under the name of a part ("dirPtr", "tables",
    "groups") why it is missing, wholly or in part. `memory` holds the pointed-to bytes of keys and of shown entries,
    `regions` what was readable, `books` the heap's metadata as far as it says
    anything of the map. `late` names what was not read before the stop had to end: it is missing, and says
    nothing of the map. `bytes_read` counts what was copied.
    """

    address: int
    type: GoType
    types: TypeTable
    release: Release
    header: SwissMap
    tables: Tables
    groups: Groups
    unusable: dict[str, str]
    late: tuple[str, ...]
    memory: FrozenMemory = field(repr=False)
    regions: RegionMap = field(repr=False)
    hash_keys: HashKeys | None = field(default=None, repr=False)
    books: Books | None = field(default=None, repr=False)
    bytes_read: int = 0

    @property
    def layout(self) -> SwissLayout:
        """The layout of the map's groups."""
        return layout_of(self.type)
