"""Reads a sync.Map of two maps, as it was until Go 1.23 (sync/map.go): what Range would visit.

The map of `read` is used without a lock, `dirty` has the keys that were stored since. Both lead to the same entries,
and an entry leads to its value: nil once it is deleted, or to one place for all (expunged) if dirty lacks it, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import block_size
from inspector.goruntime.syncmap import read_only
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import map_beneath
from inspector.maps.families import family_of
from inspector.maps.family import WORD, Snapshot, Source
from inspector.maps.findings import Finding
from inspector.maps.syncmap.contents import ANY_SIZE, Contents, no_contents
from inspector.maps.syncmap.header import SyncHeader, header_size
from inspector.maps.syncmap.places import PARTS, Part, Where
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.memory.sets import is_among


def read_pair(source: Source, header: SyncHeader, whole: bool) -> Contents:
    """Read both maps and what their entries lead to; the maps themselves are copied, too, if the `whole` is wanted.

    What cannot be read is left out, and named in the findings. Raises NotReadInTime.
    """
    sizes = {"nodes": 0, "entries": 0, "maps": 0, "header": header_size(source.release)}
    beneath = map_beneath(source.types)
    if beneath is None or header.blank:
        return no_contents(sizes)
    return _Reader(source, beneath, sizes).read(header, whole)


def read_map_of(source: Source, header: SyncHeader) -> tuple[int, bool]:
    """The address of the map that `read` leads to, 0 for none, and `amended`; raises UnreadableMemory."""
    if not header.words["read"]:
        return 0, False
    declared = dtype_of(read_only)
    row = np.frombuffer(source.memory.read(header.words["read"], declared.itemsize), declared)[0]
    return int(row["m"]), bool(row["amended"])


class _Reader:
    def __init__(self, source: Source, beneath: GoType, sizes: dict[str, int]) -> None:
        self.source, self.beneath, self.sizes = source, beneath, sizes
        self.family = family_of(source.release)
        self.findings: list[Finding] = []
        self.maps: list[tuple[str, Snapshot]] = []

    def read(self, header: SyncHeader, whole: bool) -> Contents:
        read, amended = self._read_map(header)
        dirty = header.words["dirty"]
        for part, address in (("read", read), ("dirty", dirty)):
            if whole and address and (part == "read" or address != read):
                self._copy(part, address)
        keys, entries = self._cells(read)
        dirty_keys, dirty_entries = self._cells(dirty) if dirty and dirty != read else (keys[:0], entries[:0])
        places, values = self._values(entries, "read")
        # While dirty is being made, amended is not set: what it lacks then is expunged only if it has no value.
        gone = ~is_among(entries, dirty_entries) if dirty and dirty != read else np.zeros(len(entries), dtype=bool)
        gone &= np.full(len(entries), amended) | ~values.any(axis=1)
        alive = (places != 0) & ~gone
        new = ~is_among(dirty_entries, entries)
        new_keys, new_entries = dirty_keys[new], dirty_entries[new]
        new_places, new_values = self._values(new_entries, "dirty")
        new_alive = new_places != 0
        self.sizes["entries"] = _bytes_of(self.source.release, len(entries) + len(new_entries), alive, new_alive)
        if read or amended:
            self.sizes["nodes"] = block_size(self.source.release, read_only.sizeof(), noscan=False)
        parts = np.repeat([PARTS.index("read"), PARTS.index("dirty")], [alive.sum(), new_alive.sum()]).astype(np.uint8)
        key_places = np.concatenate([keys[alive], new_keys[new_alive]])
        raw_keys, ok = gather(self.source.memory, self.source.regions, key_places, ANY_SIZE)
        if not ok.all():
            self._missing(f"{int((~ok).sum())} keys", "not mapped", Where(address=int(key_places[~ok][0])))
        count = len(key_places)
        return Contents(
            addresses=np.concatenate([entries[alive], new_entries[new_alive]]),
            key_places=key_places,
            value_places=np.concatenate([places[alive], new_places[new_alive]]),
            keys=raw_keys,
            values=np.concatenate([values[alive], new_values[new_alive]]),
            part=parts,
            prefix=np.zeros(count, np.uint64),
            depth=np.zeros(count, np.int64),
            chained=np.zeros(count, np.int64),
            nodes=0,
            deleted=int((~alive).sum() + (~new_alive).sum()),
            sizes=self.sizes,
            maps=tuple(self.maps),
            findings=tuple(self.findings),
        )

    def _read_map(self, header: SyncHeader) -> tuple[int, bool]:
        try:
            return read_map_of(self.source, header)
        except UnreadableMemory as error:
            self._missing("what read leads to", str(error), Where("read", address=header.words["read"]))
            return 0, False

    def _copy(self, part: str, address: int) -> None:
        try:
            snapshot = self.family.take_snapshot(self.source, address, self.beneath, 0)
        except UnreadableMemory as error:
            self._missing(f"the {part} map", str(error), Where("dirty" if part == "dirty" else "read", address=address))
            return
        self.maps.append((part, snapshot))
        self.sizes["maps"] += snapshot.account().bytes.total

    def _cells(self, address: int) -> tuple[Addresses, Addresses]:
        """The places of the keys of one of the maps, and the addresses of their entries."""
        keys, entries = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for slots in self.family.cells(self.source, address, self.beneath) if address else ():
            words, ok = gather(self.source.memory, self.source.regions, slots.elem_values, WORD)
            keys.append(slots.key_values[ok])
            entries.append(words[ok].view("<u8").reshape(-1))
        return np.concatenate(keys), np.concatenate(entries)

    def _values(self, entries: Addresses, part: Part) -> tuple[Addresses, NDArray[np.uint8]]:
        """Where the value of each entry lies (0 for one that was deleted), and the interface there."""
        words, ok = gather(self.source.memory, self.source.regions, entries, WORD)
        places = words.view("<u8").reshape(-1)
        values, there = gather(self.source.memory, self.source.regions, places, ANY_SIZE)
        bad = ~ok | (places != 0) & ~there
        if bad.any():
            first = int(entries[np.flatnonzero(bad)[0]])
            what = f"{int(bad.sum())} of {len(entries)} entries"
            self._missing(what, "not mapped", Where(part, address=first))
        return np.where(there, places, np.uint64(0)), values

    def _missing(self, what: str, why: str, where: Where) -> None:
        self.findings.append(
            Finding("S2", f"{what} cannot be read", why, "readable memory", "sync.(*Map).Range", where, unreadable=True)
        )


def _bytes_of(release: Release, entries: int, alive: NDArray[np.bool_], new_alive: NDArray[np.bool_]) -> int:
    """Bytes of entries, and of the interfaces that those with a value lead to."""
    one, value = block_size(release, WORD, noscan=False), block_size(release, ANY_SIZE, noscan=False)
    return entries * one + int(alive.sum() + new_alive.sum()) * value
