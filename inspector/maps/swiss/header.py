"""The header of a Swiss map as it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swissmap import swissmap
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, swisstable
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.hashing.aes import Hashes
from inspector.maps.family import Account, Held
from inspector.maps.swiss.layout import LARGEST_DEPTH, groups_for, layout_of, swiss
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Memory, RegionMap

NAME = "swiss"
HEADER = "Map"

SMALLEST_GROUP = 16
"""Bytes of a group whose keys and elements have none."""

POINTER_SIZE = 8
WORD_BITS = 64
LARGEST_COUNT = END_OF_USER_SPACE
"""No map has more entries than there are bytes to address."""

LOAD_LIMIT = 7.0
"""Entries for each group at which a table grows."""


@dataclass(frozen=True, slots=True)
class SwissMap:
    """internal/runtime/maps.Map, word for word; pointers are addresses, 0 for nil.

    `tombstone_possible` is None in Go 1.24, which has no such field. `padding` are the bytes between the fields.
    """

    used: int
    seed: int
    dir_ptr: int
    dir_len: int
    global_depth: int
    global_shift: int
    writing_byte: int
    tombstone_possible: int | None
    padding: bytes
    clear_seq: int

    @property
    def count(self) -> int:
        """See Header.count: used."""
        return self.used

    @property
    def writing(self) -> bool:
        """Whether a write was under way."""
        return self.writing_byte != 0

    @property
    def blank(self) -> bool:
        """See Header.blank."""
        return self.seed == 0

    @property
    def storage(self) -> int:
        """See Header.storage: the directory, or the one group of a small map."""
        return self.dir_ptr

    @property
    def small(self) -> bool:
        """Whether the map has no tables: it has one group, or no memory yet."""
        return self.dir_len == 0

    @property
    def directory_sound(self) -> bool:
        """Whether the length of the directory is a power of two, and depth and shift agree with it."""
        depth = self.global_depth
        if depth > LARGEST_DEPTH or self.dir_len != 1 << depth:
            return False
        return self.global_shift == WORD_BITS - depth

    def extent(self, go_type: GoType, release: Release) -> int:
        """See Header.extent: tables are counted as if they were all as large as a table can be."""
        layout = layout_of(go_type)
        if self.small:
            return layout.group_size if self.dir_ptr and self.used <= GROUP_SLOTS else 0
        if not 0 < self.dir_len <= 1 << LARGEST_DEPTH:
            return 0
        table: int = swisstable.sizeof() + groups_for(MAX_TABLE_CAPACITY) * layout.group_size
        return self.dir_len * (POINTER_SIZE + table)

    def outline(self, go_type: GoType, release: Release) -> Account:
        """See Header.outline."""
        layout = layout_of(go_type)
        tables = max(self.dir_len, 0)
        groups = layout.group_size if self.small and self.dir_ptr else 0
        parts = {"groups": groups, "tables": 0, "directory": tables * POINTER_SIZE, "header": header_size(release)}
        return Account(
            family=NAME,
            header_name=HEADER,
            live=self.used,
            load=0.0,
            load_limit=LOAD_LIMIT,
            growing=False,
            state="",
            bytes=Held(parts, sum(parts.values())),
            row_form={"tables": None, "capacity": None, "tombstones": None},
        )

    def doubts(self, regions: RegionMap, layout: Layout | None, incomplete: bool) -> list[str]:
        """See Header.doubts."""
        size = swiss(layout).group_size if layout else SMALLEST_GROUP
        doubts = []
        if self.writing_byte > 1:
            doubts.append(f"writing is {self.writing_byte}, and can be 0 or 1")
        if (self.tombstone_possible or 0) > 1:
            doubts.append(f"tombstonePossible is {self.tombstone_possible}, and can be 0 or 1")
        if any(self.padding):
            doubts.append("the bytes between its fields are not zero")
        if self.used > LARGEST_COUNT:
            doubts.append(f"used {self.used} is too large")
        if self.dir_ptr % POINTER_SIZE:
            doubts.append(f"dirPtr {self.dir_ptr:#x} is not aligned")
        if self.small:
            doubts += self._doubts_of_small(regions, size, incomplete)
        elif not self.directory_sound:
            doubts.append(
                f"dirLen {self.dir_len}, globalDepth {self.global_depth} and globalShift {self.global_shift} "
                f"do not agree with each other"
            )
        elif not incomplete and not regions.covers(self.dir_ptr, self.dir_len * POINTER_SIZE):
            doubts.append(f"dirPtr {self.dir_ptr:#x} does not lead to a directory of {self.dir_len} pointers")
        return doubts

    def _doubts_of_small(self, regions: RegionMap, size: int, incomplete: bool) -> list[str]:
        doubts = []
        if self.used > GROUP_SLOTS:
            doubts.append(f"used {self.used} without tables")
        if self.global_depth or self.global_shift:
            doubts.append(f"globalDepth {self.global_depth} and globalShift {self.global_shift} without a directory")
        if not self.dir_ptr:
            # make() without a hint, or one of up to 8, gets its group from the first write.
            doubts += [f"used {self.used} without memory"] if self.used else []
            # The runtime gives every map a random one; memory that was never used is all zeros.
            doubts += [] if self.seed else ["seed is 0"]
        elif not incomplete and not regions.covers(self.dir_ptr, size):
            doubts.append(f"dirPtr {self.dir_ptr:#x} does not lead to a readable group")
        return doubts


def header_size(release: Release) -> int:
    """Bytes of a header."""
    return int(swissmap(release).sizeof())


def header_dtype(release: Release) -> np.dtype[Any]:
    """See Family.header_dtype."""
    return dtype_of(swissmap(release))


def header_of(row: np.void) -> SwissMap:
    """See Family.header_of."""
    names = row.dtype.names
    assert names is not None
    tombstone_possible = int(row["tombstonePossible"]) if "tombstonePossible" in names else None
    return SwissMap(
        used=int(row["used"]),
        seed=int(row["seed"]),
        dir_ptr=int(row["dirPtr"]),
        dir_len=int(row["dirLen"]),
        global_depth=int(row["globalDepth"]),
        global_shift=int(row["globalShift"]),
        writing_byte=int(row["writing"]),
        tombstone_possible=tombstone_possible,
        padding=row["padding"].tobytes(),
        clear_seq=int(row["clearSeq"]),
    )


def read_header(memory: Memory, address: int, release: Release) -> SwissMap:
    """See Reader.read_header."""
    dtype = header_dtype(release)
    return header_of(np.frombuffer(memory.read(address, dtype.itemsize), dtype)[0])


def seeds(rows: NDArray[np.void]) -> Hashes:
    """See Family.seeds."""
    return np.asarray(rows["seed"])


def seed_tells_clones(release: Release) -> bool:
    """See Family.seed_tells_clones: seeds have 64 bits."""
    return release.clone_copies_tables


def storage(rows: NDArray[np.void]) -> Addresses:
    """See Family.storage."""
    return np.asarray(rows["dirPtr"])
