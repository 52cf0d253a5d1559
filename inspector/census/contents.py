"""The keys and elements of all maps of a census, those of many maps of one type at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.census.model import CensusMap
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import BadType
from inspector.maps.family import Slots
from inspector.maps.values import Values
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.target.run import Run

ENTRIES_AT_ONCE, BYTES_AT_ONCE = 1 << 16, 1 << 24


@dataclass(frozen=True)
class Contents:
    """Entries of maps of one type: k of them. `owner` (k,) numbers the maps as they were given; `slots` says where."""

    type: GoType
    owner: NDArray[np.int64]
    slots: Slots
    keys: Values
    elems: Values


def contents_of(run: Run, maps: Sequence[CensusMap], types: Mapping[int, GoType]) -> Iterator[Contents]:
    """Read the entries of maps, whose types are given by their addresses; a map of another type comes later.

    What cannot be read is left out, as in Reader.cells.
    """
    alike: dict[GoType, list[int]] = defaultdict(list)
    for number, one in enumerate(maps):
        alike[types[one.address]].append(number)
    source = run.source()
    for go_type, numbers in alike.items():
        reader = run.reader_of(go_type)
        waiting, owners, count = list[Slots](), list[NDArray[np.int64]](), 0
        for number in numbers:
            try:
                for slots in reader.cells(source, maps[number].address, go_type):
                    waiting.append(slots)
                    owners.append(np.full(len(slots.keys), number))
                    count += len(slots.keys)
            except (BadType, MemoryError):
                continue
            if count >= ENTRIES_AT_ONCE:
                yield from _read(run, go_type, waiting, owners)
                waiting, owners, count = [], [], 0
        yield from _read(run, go_type, waiting, owners)


def _read(run: Run, go_type: GoType, parts: list[Slots], owners: list[NDArray[np.int64]]) -> Iterator[Contents]:
    if not parts:
        return
    slots = Slots(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
    owner = np.concatenate(owners)
    key, elem = run.types.key(go_type), run.types.elem(go_type)
    step = max(1, BYTES_AT_ONCE // max(1, key.size + elem.size))
    for at in range(0, len(owner), step):
        here = slice(at, at + step)
        some = Slots(slots.keys[here], slots.key_values[here], slots.elem_values[here])
        keys, elems = _values(run, key, some.key_values), _values(run, elem, some.elem_values)
        yield Contents(go_type, owner[here], some, keys, elems)


def _values(run: Run, go_type: GoType, addresses: Addresses) -> Values:
    rows, known = gather(run.memory, run.regions(), addresses, go_type.size)
    return Values(go_type, rows, known)
