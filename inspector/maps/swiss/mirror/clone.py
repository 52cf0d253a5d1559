"""maps.Clone of a Swiss map."""

from __future__ import annotations

from inspector.maps.swiss.mirror.iteration import Iter
from inspector.maps.swiss.mirror.model import MirrorMap
from inspector.maps.swiss.mirror.table import Table


def clone(source: MirrorMap) -> MirrorMap:
    """Map.Clone, or runtime.mapclone2 in a release that makes the map anew."""
    return _copied(source) if source.release.clone_copies_tables else _made_anew(source)


def _copied(source: MirrorMap) -> MirrorMap:
    """Map.Clone: everything is copied as it is, the seed too."""
    twin = MirrorMap(source.type, source.release, source.chance, source.seed, source.used)
    twin.global_depth, twin.global_shift = source.global_depth, source.global_shift
    twin.tombstone_possible, twin.clear_seq = source.tombstone_possible, source.clear_seq
    twin.group = source.group.copy() if source.group is not None else None
    before: Table | None = None
    for table in source.directory:
        twin.directory.append(twin.directory[-1] if table is before else table.clone())
        before = table
    return twin


def _made_anew(source: MirrorMap) -> MirrorMap:
    """runtime.mapclone2 of 1.24: a new map with room for all entries, which an iteration gives to it."""
    twin = MirrorMap.make(source.type, source.release, source.chance, source.used)
    iteration = Iter.begin(source, source.chance)
    while iteration.next():
        twin.assign(iteration.key, iteration.elem)
    return twin
