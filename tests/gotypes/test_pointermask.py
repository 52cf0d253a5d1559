"""The pointer masks of types say what the fields of the types say."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.pointermask import LARGEST, pointer_mask
from inspector.gotypes.table import TypeTable
from inspector.target.opening import open_target

POINTERS = {Kind.POINTER, Kind.MAP, Kind.CHAN, Kind.FUNC, Kind.UNSAFE_POINTER, Kind.STRING, Kind.SLICE}
"""Kinds whose first word is a pointer. An interface's is not followed: it leads to a type, or to a table of methods."""


def pointers(types: TypeTable, go_type: GoType) -> list[int]:
    """Offsets of the words of a type that the collector follows."""
    if go_type.kind == Kind.POINTER and outside_of_heap(types, types.elem(go_type)):
        return []
    if go_type.kind in POINTERS:
        return [0]
    if go_type.kind == Kind.INTERFACE:
        return [8]
    if go_type.kind == Kind.ARRAY:
        elem = types.elem(go_type)
        inner = pointers(types, elem)
        return [at * elem.size + offset for at in range(go_type.length) for offset in inner] if inner else []
    fields = ((field.offset, types.get(field.type_address)) for field in go_type.fields)
    return [at + offset for at, part in fields for offset in pointers(types, part)]


def outside_of_heap(types: TypeTable, go_type: GoType) -> bool:
    """Whether the runtime alone makes values of a type, outside of the heap: one of its fields is marked so."""
    parts = [types.get(field.type_address) for field in go_type.fields]
    return any(part.name == "sys.NotInHeap" or outside_of_heap(types, part) for part in parts)


@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def test_masks_have_a_bit_for_each_pointer_of_a_type(toolchain):
    checked = unknown = 0
    with start(build("questions", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        types, release, memory = target.program.types, target.program.release, target.memory
        for map_type in types.map_types:
            for go_type in (types.key(map_type), types.elem(map_type), types.get(map_type.cells_address), map_type):
                if go_type.size % 8 or not go_type.size:
                    continue
                mask = pointer_mask(release, memory, go_type.address)
                if mask is None:
                    unknown += 1
                    continue
                expected = np.zeros(go_type.size // 8, dtype=bool)
                expected[[offset // 8 for offset in pointers(types, go_type)]] = True
                assert (mask == expected).all(), go_type.name
                checked += 1
    assert checked > 100
    assert unknown < checked // 20


def test_what_is_no_type_has_no_mask():
    with start(build("questions", USUAL)) as running, open_target(str(running.pid), memory="direct") as target:
        release, memory = target.program.release, target.memory
        assert pointer_mask(release, memory, 8) is None
        readable = next(region for region in memory.regions() if region.end - region.start > LARGEST // 1024)
        for address in range(readable.start, readable.start + 4096, 8):
            mask = pointer_mask(release, memory, address)
            assert mask is None or len(mask) <= LARGEST // 8
