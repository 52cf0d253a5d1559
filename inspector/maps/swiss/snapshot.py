"""Copying one Swiss map while its process stands still: header, directory, tables, groups, keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.copying.room import require_memory
from inspector.errors import NotReadInTime, UnreadableMemory
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import Reach
from inspector.maps.copying import Copier, chosen
from inspector.maps.family import Account, Books, Entry, Slots, Snapshot, Source
from inspector.maps.findings import Judgement
from inspector.maps.liverows import LiveRows
from inspector.maps.swiss.account import account_of, row_of
from inspector.maps.swiss.checks import MapView, Proof, judge
from inspector.maps.swiss.contents import entries_of, live_rows, string_bytes_of, values_of_all
from inspector.maps.swiss.copied import SwissCopy
from inspector.maps.swiss.groups import NO_TABLE, Groups
from inspector.maps.swiss.header import SwissMap, read_header
from inspector.maps.swiss.layout import layout_of
from inspector.maps.swiss.tables import Tables, read_tables
from inspector.maps.values import Values
from inspector.maps.windows import index_type
from inspector.memory.counting import counting
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Filling, Rows
from inspector.memory.relief import portion_done
from inspector.memory.sets import distinct

BYTES_AT_ONCE = 1 << 24
"""Bytes of groups that are read in one go: what was read before a stop has to end is kept."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class SwissSnapshot(SwissCopy):
    """See Snapshot: one map, copied, with what can be asked of it."""

    @cached_property
    def proof(self) -> Proof:
        """The map as rules and report see it, worked out once.

        It leads to a twin of this snapshot and not back to it: the two would keep each other, and megabytes, in memory.
        """
        return Proof(MapView(replace(self)))

    @property
    def view(self) -> MapView:
        """The map with what all rules ask of it."""
        return self.proof.view

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: what can be worked out again is left out."""
        return {name: value for name, value in vars(self).items() if name != "proof"}

    def judge(self, incomplete: bool = False) -> Judgement:
        """See Snapshot.judge."""
        return judge(self.proof, incomplete)

    def shows_the_same(self, later: Snapshot) -> bool:
        """See Snapshot.shows_the_same."""
        return (
            isinstance(later, SwissSnapshot)
            and (self.address, self.header, self.unusable) == (later.address, later.header, later.unusable)
            and self.tables.same(later.tables)
            and self.groups.same_keys(later.groups)
        )

    def account(self) -> Account:
        """See Snapshot.account."""
        return account_of(self.proof)

    def row(self) -> Account:
        """See Snapshot.row."""
        return row_of(self.proof)

    def entries(self, chosen: NDArray[np.int64] | None = None) -> Iterator[Entry]:
        """See Snapshot.entries."""
        return entries_of(self.view, chosen)

    def live(self) -> Iterator[LiveRows]:
        """See Snapshot.live."""
        return live_rows(self.view)

    def values(self) -> tuple[Values, Values]:
        """See Snapshot.values."""
        return values_of_all(self.view)

    def slots(self) -> Slots:
        """See Snapshot.slots."""
        return self.groups.slots(*self.groups.live)

    def string_bytes(self) -> int:
        """See Snapshot.string_bytes."""
        return string_bytes_of(self.view)

    def proven_without_keys(self) -> bool:
        """See Snapshot.proven_without_keys: by the control words of all groups, which lie where this layout has them.

        That of a small map is eight bytes, and all of them say "empty": no pointer, and no number that is likely.
        """
        if self.header.used or self.unusable or self.late or not len(self.groups):
            return False
        if self.header.small:
            return bool(self.groups.empty.all())
        return bool((self.groups.empty_count + self.groups.deleted_count == GROUP_SLOTS).all())


def take_snapshot(source: Source, address: int, go_type: GoType, shown: int | None) -> SwissSnapshot:
    """See Reader.take_snapshot; whatever cannot be read but the header is named in the snapshot."""
    reader = counting(source.memory)
    snapshot = _SnapshotTaker(replace(source, memory=reader), address, go_type).take(shown)
    return replace(snapshot, hash_keys=source.hash_keys, bytes_read=reader.count)


class _SnapshotTaker(Copier):
    def __init__(self, source: Source, address: int, go_type: GoType) -> None:
        self.layout = layout_of(go_type)
        super().__init__(source, address, go_type, (self.layout.indirect_key, self.layout.indirect_elem))
        self.heap = source.heap

    def take(self, shown: int | None) -> SwissSnapshot:
        header = read_header(self.memory, self.address, self.release)
        tables, groups = Tables.none(), Groups.none(self.layout)
        if header.dir_ptr and header.small:
            groups = self._small_group(header.dir_ptr)
        elif header.dir_ptr or header.dir_len:
            tables = self._tables(header)
            groups = self._groups(tables)
        frozen = FrozenMemory()
        with self.in_time("what keys and elements point to"):
            self._copy_pointed_to(frozen, groups, shown)
        frozen.late = bool(self.late)
        return SwissSnapshot(
            self.address,
            self.type,
            self.types,
            self.release,
            header,
            tables,
            groups,
            self.unusable,
            tuple(self.late),
            frozen,
            self.regions,
            books=self._books(header, tables, groups),
        )

    def _small_group(self, address: int) -> Groups:
        addresses = np.array([address], np.uint64)
        with self.in_time("its group", "dirPtr"):
            aligned = address % 8 == 0
            raw, ok = gather(self.memory, self.regions, addresses, self.layout.group_size)
            if aligned and ok[0]:
                return Groups.at(self.layout, raw, addresses, np.array([NO_TABLE]), np.array([0]))
            self.unusable["dirPtr"] = f"{address:#x} leads to no readable group" if aligned else "it is not aligned"
        return Groups.none(self.layout)

    def _tables(self, header: SwissMap) -> Tables:
        with self.in_time("the directory and its tables", "dirPtr"):
            try:
                tables = read_tables(self.memory, self.regions, header.dir_ptr, header.dir_len)
            except UnreadableMemory as error:
                self.unusable["dirPtr"] = error.reason
                return Tables.none()
            missing = int(np.count_nonzero(~tables.readable))
            if missing:
                self.unusable["tables"] = f"{missing} of {len(tables)} are not readable"
            return tables
        return Tables.none()

    # Groups

    def _groups(self, tables: Tables) -> Groups:
        """Read the groups of all tables, those of equally large tables together."""
        wanted = tables.groups_wanted(self.regions, self.layout)
        at = np.cumsum(wanted) - wanted
        require_memory(int(wanted.sum()) * self.layout.group_size, "groups")
        raw = np.empty((int(wanted.sum()), self.layout.group_size), np.uint8)
        read = np.zeros(len(tables), dtype=bool)
        for count in distinct(wanted[wanted > 0]).tolist():
            which = np.flatnonzero(wanted == count)
            if not isinstance(self.memory, Filling):
                # Of a file the pages around what is read count as memory of ours, too: they are read next.
                which = which[np.argsort(tables.rows["groups"][which])]
            step = max(1, BYTES_AT_ONCE // (count * self.layout.group_size))
            with self.in_time(f"groups of tables with {count * 8} slots", "groups"):
                for first in range(0, len(which), step):
                    some = which[first : first + step]
                    read[some] = self._read_into(raw, at[some], count, tables.rows["groups"][some])
                    portion_done(BYTES_AT_ONCE >> 22)
        if not read.all() and "groups" not in self.unusable:
            self.unusable["groups"] = f"those of {int(np.count_nonzero(~read))} of {len(read)} tables are not readable"
        table: NDArray[Any] = np.repeat(np.arange(len(tables), dtype=index_type(len(tables))), wanted)
        starts = np.ascontiguousarray(tables.rows["groups"], np.uint64)
        if read.all():
            return Groups(self.layout, raw, table, table, starts, at)
        kept, counts = read[table], wanted * read
        return Groups(self.layout, raw[kept], table[kept], table[kept], starts, np.cumsum(counts) - counts)

    def _read_into(self, raw: Rows, at: Numbers, count: int, starts: Addresses) -> NDArray[np.bool_]:
        """Read `count` groups from each address into `raw`, from rows `at` on; returns which could be read."""
        size = self.layout.group_size
        if isinstance(self.memory, Filling) and at[-1] - at[0] == count * (len(at) - 1):
            # Tables that are equally large and follow each other, as those of large maps do: no byte is copied twice.
            with suppress(UnreadableMemory):
                sizes = np.full(len(at), count * size, np.uint64)
                self.memory.read_into(starts, sizes, raw[at[0] : at[0] + count * len(at)].reshape(-1))
                return np.ones(len(starts), dtype=bool)
        rows, ok = gather(self.memory, self.regions, starts, count * size)
        raw[(at[:, None] + np.arange(count)).reshape(-1)] = rows.reshape(-1, size)
        return ok

    # What the heap's metadata says

    def _books(self, header: SwissMap, tables: Tables, groups: Groups) -> Books | None:
        if self.heap is None or self.late:
            return None
        own = np.array([self.address, header.dir_ptr], np.uint64)
        apart = [
            np.ascontiguousarray(slots[groups.full]).view(np.uint64)[:, 0]
            for indirect, slots in ((self.layout.indirect_key, groups.keys), (self.layout.indirect_elem, groups.elems))
            if indirect
        ]
        try:
            return self.heap.about(np.concatenate([own, tables.addresses, tables.rows["groups"], *apart]))
        except NotReadInTime:
            # The map itself was read.
            return None

    # What slots point to

    def _copy_pointed_to(self, frozen: FrozenMemory, groups: Groups, shown: int | None) -> None:
        if not self.leads:
            return
        reach = Reach(self.types, self.memory, self.regions, frozen)
        keys, elems = partial(groups.live_slots, groups.keys), partial(groups.live_slots, groups.elems)
        if shown is None:
            self.copy_behind_entries(reach, keys, (keys, elems))
        else:
            at = groups.first_live(shown)
            some = partial(chosen, groups.keys, *at), partial(chosen, groups.elems, *at)
            self.copy_behind_entries(reach, keys, some)
