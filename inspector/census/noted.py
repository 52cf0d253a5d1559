"""Objects whose type the allocator noted: what leads to maps where no variable of a known type does.

Since Go 1.22 an object of more than 512 bytes with pointers begins with a malloc header, the address of its type
(heapSetTypeSmallHeader in runtime/mbitmap.go), and the span of one above 32 KiB has it in largeType. The type is
that of one element where an array was allocated: the collector repeats it up to the end of the slot, and what was never
used of a slot is zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from inspector.errors import InspectError, NotReadInTime
from inspector.goruntime.sizes import MALLOC_HEADER_SIZE, MAX_SMALL_SIZE, MIN_SIZE_FOR_MALLOC_HEADER
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable
from inspector.heap.objects import Heap, Slots
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct
from inspector.target.run import Run

MOST_VALUES = 1 << 20
"""Values of one type that are kept."""

WORD = np.dtype(np.uint64).itemsize


def noted_values(run: Run, heap: Heap, wanted: Callable[[GoType], bool]) -> dict[GoType, Addresses]:
    """Where the values of each wanted type lie that is noted for live objects; raises nothing for damaged ones.

    Buckets and groups are left out: what is in them is told by the map that they belong to.
    """
    if not run.release.malloc_headers:
        return {}
    found: dict[GoType, list[Addresses]] = defaultdict(list)
    chosen = _Chosen(run.types, wanted)
    for types, firsts, room in (*_headed(run, heap), _large(heap)):
        for address in distinct(types).tolist():
            go_type = chosen.get(address)
            if go_type is not None:
                of_type = types == address
                found[go_type].append(_elements(firsts[of_type], room[of_type], go_type.size))
    return {go_type: np.concatenate(parts)[:MOST_VALUES] for go_type, parts in found.items()}


class _Chosen:
    """The types that are wanted, by address."""

    def __init__(self, types: TypeTable, wanted: Callable[[GoType], bool]) -> None:
        self.types, self.wanted = types, wanted
        self.known: dict[int, GoType | None] = {map_type.cells_address: None for map_type in types.map_types}

    def get(self, address: int) -> GoType | None:
        """The type at an address; None where it is not wanted, or is no type of the executable."""
        if address not in self.known:
            self.known[address] = self._get(address)
        return self.known[address]

    def _get(self, address: int) -> GoType | None:
        # Headers are target memory: only what the linker wrote is believed.
        if not self.types.is_static(address):
            return None
        try:
            go_type = self.types.get(address)
        except NotReadInTime:
            raise
        except InspectError:
            return None
        return go_type if go_type.size and self.wanted(go_type) else None


Noted = tuple[Addresses, Addresses, Addresses]
"""(n,) of objects: the address of the type that is noted, where the first value begins, bytes from there on."""


def _headed(run: Run, heap: Heap) -> Iterator[Noted]:
    """Objects with a malloc header, in portions."""
    for slots in heap.alive(MIN_SIZE_FOR_MALLOC_HEADER + 1, MAX_SMALL_SIZE):
        yield run.copied(partial(_headers, run, slots))


def _headers(run: Run, slots: Slots) -> Noted:
    addresses, sizes = slots.addresses[~slots.noscan], slots.sizes[~slots.noscan]
    rows, ok = gather(run.memory, run.regions(), addresses, WORD)
    before = np.uint64(MALLOC_HEADER_SIZE)
    return rows[ok].view(np.uint64)[:, 0], addresses[ok] + before, sizes[ok] - before


def _large(heap: Heap) -> Noted:
    """Objects that have a span each."""
    spans = heap.spans[heap.spans["type"] != 0]
    spans = spans[heap.objects(spans["start"]).alive]
    return spans["type"], spans["start"], spans["elemsize"]


def _elements(firsts: Addresses, room: Addresses, size: int) -> Addresses:
    """Where each value of a size begins in objects."""
    counts = np.minimum(room // np.uint64(size), MOST_VALUES).astype(np.int64)
    # What would be cut off anyway is not made.
    few = np.cumsum(counts) - counts < MOST_VALUES
    firsts, counts = firsts[few], counts[few]
    index = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(firsts, counts) + index.astype(np.uint64) * np.uint64(size))
