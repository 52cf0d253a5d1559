"""What is copied of one map, for rules, reports and everything else to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import ClassicLayout
from inspector.gotypes.table import TypeTable
from inspector.hashing.keys import HashKeys
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.header import Hmap, MapExtra
from inspector.maps.classic.layout import layout_of
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import RegionMap


@dataclass(frozen=True)
class MapCopy:
    """Everything of one map, copied: immutable, picklable, independent of the target.

    `buckets` or `old` is None when the array is nil, or when it cannot be used, and then `unusable` says why
    under the name of the header's field. `memory` holds the pointed-to bytes of keys and of shown entries,
    `regions` what was readable.
    `late` names what was not read before the stop had to end: it is missing, and says nothing of the map.
    `bytes_read` counts what was copied.
    """

    address: int
    type: GoType
    types: TypeTable
    release: Release
    header: Hmap
    extra: MapExtra | None
    buckets: BucketArray | None
    old: BucketArray | None
    unusable: dict[str, str]
    late: tuple[str, ...]
    memory: FrozenMemory = field(repr=False)
    regions: RegionMap = field(repr=False)
    hash_keys: HashKeys | None = field(default=None, repr=False)
    bytes_read: int = 0

    @property
    def layout(self) -> ClassicLayout:
        """The layout of the map's buckets."""
        return layout_of(self.type)
