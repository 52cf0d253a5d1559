"""Values in interfaces, in variables and on the heap: where a stripped program still says what type something has.

Two neighbouring words may look like an interface by chance, or be something like it (a reflect.Value, the malloc header
of an object): what they lead to has to be sound before it is believed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inspector.census.scan import PIECE, Copied
from inspector.census.territory import Territory
from inspector.errors import UnreadableMemory
from inspector.goruntime.sizes import MIN_SIZE_FOR_MALLOC_HEADER
from inspector.goruntime.types import itab
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable, map_descriptors_among
from inspector.maps.family import WORD
from inspector.maps.readers import tries_among
from inspector.memory.protocol import Addresses, Memory, Region, RegionMap
from inspector.memory.sets import distinct, is_among

MOST_VALUES = 1 << 20
"""Values of one type that are kept."""


@dataclass
class Interfaces:
    """Looks for values in interfaces; `found` are their addresses by type.

    `descriptors` are places on the heap that may be types of maps which reflect made, `sync_maps` places anywhere that
    may hold one, by the hash function that each has.
    """

    types: TypeTable
    memory: Memory
    regions: RegionMap
    found: dict[GoType, list[Addresses]] = field(default_factory=lambda: defaultdict(list))
    descriptors: list[int] = field(default_factory=list)
    sync_maps: list[int] = field(default_factory=list)
    _dynamic: dict[int, GoType | None] = field(default_factory=dict)
    _kept: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def in_variables(self) -> None:
        """Look through the variables of all modules."""
        for module in self.types.modules:
            for start, end in module.variables:
                if self.regions.covers(start, end - start):
                    self._look(Region(start, end), None)

    def in_heap(self, territory: Territory, copied: Copied) -> None:
        """Look through the objects of the heap that hold pointers, each piece copied in a stop of its own."""
        for region in territory.pointers:
            for start in range(region.start, region.end, PIECE):
                self._look(Region(start, min(start + PIECE + WORD, region.end)), territory, copied)

    def values(self) -> dict[GoType, Addresses]:
        """All that was found, each value once."""
        return {go_type: distinct(np.concatenate(parts)) for go_type, parts in self.found.items()}

    def _look(self, region: Region, territory: Territory | None, copied: Copied = lambda read: read()) -> None:
        size = (region.end - region.start) // WORD * WORD
        try:
            words = np.frombuffer(copied(partial(self.memory.read, region.start, size)), np.uint64)
        except UnreadableMemory:
            return
        if territory is not None:
            self.descriptors += map_descriptors_among(words, region.start)
        self.sync_maps += [region.start + at for at in tries_among(words, self.types)]
        tabs, data = words[:-1], words[1:]
        likely = np.flatnonzero(self._can_be(tabs, data, territory))
        for tab in distinct(tabs[likely]).tolist():
            if tab not in self._dynamic:
                self._dynamic[tab] = self.types.dynamic_of_any(tab, self.memory)
        known = np.array([tab for tab, dynamic in self._dynamic.items() if dynamic is not None], np.uint64)
        likely = likely[is_among(tabs[likely], known)]
        places = np.uint64(region.start) + likely.astype(np.uint64) * np.uint64(WORD)
        if territory is not None:
            real = self._in_objects(places, territory)
            likely, places = likely[real], places[real]
        for tab in distinct(tabs[likely]).tolist():
            dynamic = self._dynamic[tab]
            assert dynamic is not None
            chosen = tabs[likely] == tab
            # A value that an interface holds directly lies in its second word.
            values = places[chosen] + np.uint64(WORD) if dynamic.direct_iface else data[likely[chosen]]
            if self._kept[dynamic.address] < MOST_VALUES:
                self._kept[dynamic.address] += len(values)
                self.found[dynamic].append(values)

    def _can_be(self, tabs: Addresses, data: Addresses, territory: Territory | None) -> NDArray[np.bool_]:
        if territory is None:
            return self.regions.contains(tabs, itab.sizeof()) & self.regions.contains(data, WORD)
        # Only what lies in the heap leads further, and type descriptors and itabs lie elsewhere.
        likely = np.flatnonzero(territory.in_heap(data))
        right = np.zeros(len(tabs), dtype=bool)
        some = tabs[likely]
        outside = (some != 0) & (some % np.uint64(WORD) == 0) & ~territory.in_heap(some)
        right[likely[outside]] = self.regions.contains(some[outside], itab.sizeof())
        return right

    def _in_objects(self, places: Addresses, territory: Territory) -> NDArray[np.bool_]:
        """Which places lie in objects in use, and are not malloc headers, which begin with a type too."""
        if territory.heap is None:
            return np.ones(len(places), dtype=bool)
        objects = territory.heap.objects(places)
        header = self.types.release.malloc_headers & (objects.base == places)
        header &= objects.size > MIN_SIZE_FOR_MALLOC_HEADER
        return np.asarray(objects.alive & ~header)
