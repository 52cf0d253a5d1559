"""Maps of the program `swissstates`, copied with single bytes changed, and places of bytes worth changing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.faults.patched import PatchedMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissmap import swissmap
from inspector.goruntime.swisstable import swisstable
from inspector.gotypes.gotype import GoType
from inspector.hashing.keys import HashKeys
from inspector.maps.family import HeapMetadata, Mask, Source
from inspector.maps.findings import Judgement
from inspector.maps.swiss.checks import MapView
from inspector.maps.swiss.snapshot import SwissSnapshot, take_snapshot
from inspector.memory.protocol import RegionMap
from inspector.target.target import Target

Patches = dict[int, int]
"""Bytes by their addresses."""


def word(address: int, value: int, size: int = 8) -> Patches:
    """A number written to an address."""
    return dict(
        zip(range(address, address + size), (value & (1 << 8 * size) - 1).to_bytes(size, "little"), strict=True)
    )


@dataclass
class Subject:
    """One map of the running program, to be copied with or without patches."""

    target: Target
    address: int
    type: GoType
    keys: HashKeys | None
    heap: HeapMetadata | None = None

    def copy(self, patches: Patches | None = None, hashed: bool = True) -> SwissSnapshot:
        """Copy the map as if these bytes were in memory, with or without what its keys are hashed with."""
        memory = PatchedMemory(self.target.memory, patches or {})
        regions = RegionMap(memory.regions())
        source = Source(memory, regions, self.target.program.types, self.keys if hashed else None, self.heap)
        return take_snapshot(source, self.address, self.type, 5)

    def writing(self, patches: Patches, hashed: bool = True) -> Judgement:
        """Judge the map with patches and with writing 1."""
        return self.copy(patches | {self.field("writing"): 1}, hashed).judge()

    @property
    def view(self) -> MapView:
        """The map as it is."""
        return MapView(self.copy())

    def byte(self, address: int) -> int:
        """A byte of memory as it is."""
        return self.target.memory.read(address, 1)[0]

    def changed(self, address: int, by: int) -> Patches:
        """One byte with some bits changed."""
        return {address: self.byte(address) ^ by}

    def field(self, name: str, byte: int = 0) -> int:
        """Address of a byte of a header field."""
        fields = dtype_of(swissmap(self.target.program.release)).fields
        return self.address + int(fields[name][1]) + byte

    def table_field(self, table: int, name: str, byte: int = 0) -> int:
        """Address of a byte of a table's field; tables are numbered as findings do."""
        address = int(self.copy().tables.addresses[table])
        return address + int(dtype_of(swisstable).fields[name][1]) + byte

    def table_value(self, table: int, name: str) -> int:
        """A field of a table as it is."""
        return int(self.copy().tables.rows[name][table])

    def ctrl(self, row: int, slot: int) -> int:
        """Address of a control byte; rows are numbered over all groups."""
        return int(self.copy().groups.addresses[row]) + slot

    def key(self, row: int, slot: int, byte: int = 0) -> int:
        """Address of a byte of a key's slot."""
        groups = self.copy().groups
        return int(groups.slots(np.array([row]), np.array([slot])).keys[0]) + byte

    def elem(self, row: int, slot: int, byte: int = 0) -> int:
        """Address of a byte of an element's slot."""
        layout = self.copy().layout
        return int(self.copy().groups.addresses[row]) + layout.elems_at + slot * layout.elem_stride + byte

    def zeroed(self, row: int) -> Patches:
        """A whole group of zeros."""
        groups = self.copy().groups
        start = int(groups.addresses[row])
        return dict.fromkeys(range(start, start + groups.layout.group_size), 0)

    def emptied(self, row: int) -> Patches:
        """A group of empty slots."""
        return self.zeroed(row) | dict.fromkeys(range(self.ctrl(row, 0), self.ctrl(row, 8)), 0x80)

    def moved_key(self, to_another_table: bool) -> Patches | None:
        """One byte of an int64 key, so that its control byte stays right and its table, or its path, does not.

        None where no byte does so.
        """
        view = self.view
        functions = self.keys.functions(self.target.program.release) if self.keys else None
        assert functions is not None
        groups, depth = view.groups, view.header.global_depth
        has_empty: Mask = np.asarray(view.all_empty.any(axis=1))
        for row, slot in zip(*(each.tolist() for each in groups.live), strict=True):
            table, number = int(groups.table[row]), int(groups.number[row])
            tries = np.repeat(groups.keys[row, slot][None, :], 8 * 256, axis=0)
            numbers = np.arange(8 * 256)
            tries[numbers, numbers // 256] = numbers % 256
            hashes = functions.memhash64(tries, np.full(len(tries), view.header.seed, np.uint64))
            fits = (hashes & np.uint64(0x7F)) == groups.ctrl[row, slot]
            entries = (hashes >> np.uint64(64 - depth)).astype(np.int64) if depth else np.zeros(len(hashes), np.int64)
            stays = view.tables.of_entry[entries] == table
            home = ((hashes >> np.uint64(7)) & np.uint64(view.groups_of_tables[table] - 1)).astype(np.int64)
            lost = (home != number) & has_empty[view.first_row[table] + home]
            wanted = np.asarray(~stays if to_another_table else stays & lost)
            for choice in np.flatnonzero(fits & wanted).tolist():
                return {self.key(row, slot, choice // 256): choice % 256}
        return None
