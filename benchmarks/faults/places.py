"""Every byte of a map that a change may hit, sorted by what it belongs to."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.subjects import Subject
from inspector.goruntime import scalars
from inspector.goruntime.bmap import OVERFLOW_SIZE
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import hmap
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.goruntime.types import itab
from inspector.gotypes.gotype import GoType, Kind
from inspector.maps.classic.buckets import BucketArray
from inspector.memory.protocol import Addresses

Places = dict[str, Addresses]
"""Addresses of single bytes by the name of the field they belong to."""

LONGEST = 1 << 12
"""Bytes of one string that take part."""


def places_of(subject: Subject) -> Places:
    """Return where the map's bytes lie; fields that it does not have are left out."""
    snapshot = subject.healthy.view.snapshot
    places = fields_of("hmap", hmap(snapshot.release), subject.address)
    if snapshot.header.extra:
        places |= fields_of("mapextra", mapextra, snapshot.header.extra)
    for name, array in subject.healthy.view.arrays:
        places |= _tophashes(subject, name, array) | _overflow_pointers(name, array) | _keys(subject, name, array)
    return {field: where for field, where in places.items() if len(where)}


def fields_of(of: str, declaration: object, address: int) -> Places:
    fields = dtype_of(declaration).fields
    assert fields is not None
    return {
        f"{of}.{name}": np.arange(address + at[1], address + at[1] + at[0].itemsize, dtype=np.uint64)
        for name, at in fields.items()
    }


def _tophashes(subject: Subject, name: str, array: BucketArray) -> Places:
    marks = subject.target.program.release.marks
    cells = np.arange(BUCKET_CELLS, dtype=np.uint64)
    addresses: Addresses = np.add(array.addresses[:, None], cells, dtype=np.uint64)
    top, used = array.tophash, array.in_use()[:, None]
    marked = (top >= marks.evacuated_x) & (top <= marks.evacuated_empty)
    return {
        f"tophash, {name} array, live": addresses[used & (top >= marks.min_tophash)],
        f"tophash, {name} array, empty": addresses[used & (top <= marks.empty_one)],
        f"tophash, {name} array, evacuated": addresses[used & marked],
    }


def _overflow_pointers(name: str, array: BucketArray) -> Places:
    at = array.addresses + np.uint64(array.cells.dtype.itemsize - OVERFLOW_SIZE)
    words = at[:, None] + np.arange(OVERFLOW_SIZE, dtype=np.uint64)
    used, leads = array.in_use(), array.overflow != 0
    sentinel = ~used & (array.overflow == np.uint64(array.address))
    return {
        f"overflow pointer, {name} array, used": words[used & leads].reshape(-1),
        f"overflow pointer, {name} array, nil": words[used & ~leads].reshape(-1),
        f"overflow pointer, {name} array, preallocated": words[~used & ~sentinel].reshape(-1),
        f"overflow pointer, {name} array, sentinel": words[sentinel].reshape(-1),
    }


# Keys


def _keys(subject: Subject, name: str, array: BucketArray) -> Places:
    view = subject.healthy.view
    fields = array.cells.dtype.fields
    assert fields is not None
    (slot, offset), width = fields["keys"][:2], view.snapshot.layout.key_slot
    assert slot.itemsize == width * BUCKET_CELLS
    live = array.live(subject.target.program.release.marks.min_tophash)
    marks = subject.target.program.release.marks
    moved = (array.tophash >= marks.evacuated_x) & (array.tophash <= marks.evacuated_y) & array.in_use()[:, None]
    cells = np.arange(BUCKET_CELLS, dtype=np.uint64) * np.uint64(width) + np.uint64(offset)
    slots = array.addresses[:, None] + cells
    inside = np.arange(width, dtype=np.uint64)
    return {
        f"key, {name} array, in the cell": (slots[live][:, None] + inside).reshape(-1),
        f"key, {name} array, behind a pointer": _behind(subject, slots[live]),
        f"key, {name} array, evacuated": (slots[moved][:, None] + inside).reshape(-1),
    }


def _behind(subject: Subject, slots: NDArray[np.uint64]) -> Addresses:
    key = subject.target.program.types.key(subject.type)
    indirect = subject.healthy.view.snapshot.layout.indirect_key
    ranges: list[tuple[int, int]] = []
    for slot in slots.tolist():
        if indirect:
            slot = word_at(subject, slot)
            ranges.append((slot, key.size))
        ranges += pointed_to(subject, key, slot)
    bytes_of = [np.arange(start, start + min(size, LONGEST), dtype=np.uint64) for start, size in ranges]
    return np.concatenate(bytes_of) if bytes_of else np.empty(0, np.uint64)


def pointed_to(subject: Subject, go_type: GoType, address: int) -> Iterator[tuple[int, int]]:
    """Ranges (address, size) that a value's hash depends on beside its own bytes."""
    types = subject.target.program.types
    if go_type.kind == Kind.STRING:
        data, size = struct.unpack("<QQ", subject.target.memory.read(address, scalars.string_header.sizeof()))
        yield data, size
    elif go_type.kind == Kind.STRUCT:
        for part in go_type.fields:
            yield from pointed_to(subject, types.get(part.type_address), address + part.offset)
    elif go_type.kind == Kind.ARRAY:
        elem = types.elem(go_type)
        for at in range(go_type.length if elem.has_pointers else 0):
            yield from pointed_to(subject, elem, address + at * elem.size)
    elif go_type.kind == Kind.INTERFACE:
        tab, data = word_at(subject, address), word_at(subject, address + scalars.pointer.sizeof())
        if tab and go_type.methods:
            tab = int(itab.parse(subject.target.memory.read(tab, itab.sizeof())).typ)
        dynamic = types.get(tab) if tab else None
        if dynamic is not None and not dynamic.direct_iface:
            yield data, dynamic.size
            yield from pointed_to(subject, dynamic, data)


def word_at(subject: Subject, address: int) -> int:
    word: int = struct.unpack("<Q", subject.target.memory.read(address, 8))[0]
    return word
