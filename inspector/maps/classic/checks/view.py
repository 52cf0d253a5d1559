"""A snapshot with what all rules ask of it, worked out once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.copied import MapCopy
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.growth import GrowthKind
from inspector.maps.classic.places import Array, Where
from inspector.maps.slots import Numbers, places


@dataclass(frozen=True)
class MapView:
    """The observed state of one map, in the mirror's terms."""

    snapshot: MapCopy

    @property
    def header(self) -> Hmap:
        """The hmap."""
        return self.snapshot.header

    @property
    def growing(self) -> GrowthKind | None:
        """The growth under way."""
        return self.header.growing

    @property
    def new(self) -> BucketArray | None:
        """The array at hmap.buckets, if it is there and usable."""
        return self.snapshot.buckets

    @property
    def old(self) -> BucketArray | None:
        """The array at hmap.oldbuckets, if it is there and usable."""
        return self.snapshot.old

    @property
    def arrays(self) -> list[tuple[Array, BucketArray]]:
        """The usable arrays with their names."""
        pairs: list[tuple[Array, BucketArray | None]] = [("new", self.new), ("old", self.old)]
        return [(name, array) for name, array in pairs if array is not None]

    @cached_property
    def arrays_whole(self) -> bool:
        """Whether every array that the header names could be read with all its chains."""
        missing = {"buckets", "oldbuckets"} & set(self.snapshot.unusable)
        return not missing and not any(len(array.broken) for _, array in self.arrays)

    @cached_property
    def evacuated(self) -> NDArray[np.bool_]:
        """For each old bucket whether it is evacuated (runtime.evacuated: its head cell carries a marker)."""
        if self.old is None:
            return np.zeros(0, dtype=bool)
        return self.is_marker(self.old.tophash[: self.old.size, 0])

    def is_marker(self, tophash: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which tophash bytes are evacuatedX, evacuatedY or evacuatedEmpty."""
        marks = self.snapshot.release.marks
        marked: NDArray[np.bool_] = (tophash >= marks.evacuated_x) & (tophash <= marks.evacuated_empty)
        return marked

    @cached_property
    def untouched(self) -> NDArray[np.bool_]:
        """For each new bucket whether its old bucket still waits, so that nothing can be in it yet."""
        if self.new is None:
            return np.zeros(0, dtype=bool)
        if self.old is None:
            # One value for all of them takes no memory.
            return np.broadcast_to(np.bool_(False), self.new.size)
        # The low bits of a bucket's number are those of its old one.
        return np.resize(~self.evacuated, self.new.size)

    @cached_property
    def live_count(self) -> int:
        """Live cells: of the new array, and of old buckets as far as they are not evacuated."""
        marks = self.snapshot.release.marks
        return sum(array.count_live(marks.min_tophash) for _, array in self.arrays)

    def live_cells(self) -> Iterator[tuple[Array, BucketArray, Numbers, Numbers]]:
        """Rows and cells of entries, array by array, in the order of buckets and chains, window by window."""
        minimum = self.snapshot.release.marks.min_tophash
        for name, array in self.arrays:
            for rows in array.windows():
                at, cells = places(array.tophash_of(rows) >= minimum)
                yield name, array, rows[at], cells

    def first_number(self, name: Array) -> int:
        """Where rows of an array begin if those of both are numbered together."""
        return len(self.new.cells) if name == "old" and self.new is not None else 0

    def where(self, name: Array, row: int, cell: int | None = None) -> Where:
        """The place of a row of an array."""
        array = self.new if name == "new" else self.old
        assert array is not None
        home = int(array.home[row])
        return Where(
            array=name,
            bucket=home if home >= 0 else None,
            overflow=int(array.depth[row]),
            cell=cell,
            address=int(array.addresses_of(np.array([row]))[0]),
        )
