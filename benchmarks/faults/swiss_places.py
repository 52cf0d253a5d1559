"""Every byte of a Swiss map that a change may hit, sorted by what it belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.places import LONGEST, Places, fields_of, pointed_to, word_at
from benchmarks.faults.subjects import Subject
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissmap import swissmap
from inspector.goruntime.swisstable import swisstable
from inspector.maps.family import Mask
from inspector.maps.swiss.checks import MapView
from inspector.maps.swiss.header import POINTER_SIZE
from inspector.memory.protocol import Addresses

MOST_FOLLOWED = 200
"""Keys of one map that are followed to what they lead to."""


def places_of(subject: Subject) -> Places:
    """Return where the map's bytes lie; fields that it does not have are left out."""
    view = subject.healthy.swiss
    places = fields_of("Map", swissmap(view.snapshot.release), subject.address)
    places |= {"directory entry": _bytes(view.header.dir_ptr, len(view.tables.directory) * POINTER_SIZE)}
    places |= _tables(view) | _groups(subject, view)
    return {field: where for field, where in places.items() if len(where)}


def _bytes(start: int, size: int) -> Addresses:
    return np.arange(start, start + size, dtype=np.uint64)


def _tables(view: MapView) -> Places:
    fields = dtype_of(swisstable).fields
    assert fields is not None
    return {
        f"table.{name}": _spread(view.tables.addresses + np.uint64(at[1]), at[0].itemsize)
        for name, at in fields.items()
    }


def _spread(starts: Addresses, size: int) -> Addresses:
    """The addresses of `size` bytes from each of n starts on, (n * size,)."""
    spread: Addresses = np.add(starts[:, None], np.arange(size, dtype=np.uint64), dtype=np.uint64)
    return spread.reshape(-1)


def _groups(subject: Subject, view: MapView) -> Places:
    groups, layout = view.groups, view.snapshot.layout
    unused = groups.empty | groups.deleted
    places = {
        "control byte, full": _controls(view, groups.full),
        "control byte, empty": _controls(view, groups.empty),
        "control byte, deleted": _controls(view, groups.deleted),
        "element, full slot": _elems(view, groups.full),
        "element, empty or deleted slot": _elems(view, unused),
        "key, full slot": _keys(view, groups.full),
        "key, full slot, behind a pointer": _behind(subject, view),
        "key, empty slot": _keys(view, groups.empty),
        "key, deleted slot": _keys(view, groups.deleted),
        "padding of a group": _padding(view),
    }
    if layout.indirect_elem:
        places["element, full slot, pointer"] = places.pop("element, full slot")
    if layout.indirect_key:
        places["key, full slot, pointer"] = places.pop("key, full slot")
    return places


def _controls(view: MapView, which: Mask) -> Addresses:
    rows, slots = np.nonzero(which)
    return np.asarray(view.groups.addresses[rows] + slots.astype(np.uint64))


def _keys(view: MapView, which: Mask) -> Addresses:
    return _spread(view.groups.slots(*_some(which)).keys, view.snapshot.layout.key_slot)


def _elems(view: MapView, which: Mask) -> Addresses:
    layout = view.snapshot.layout
    rows, slots = _some(which)
    starts = (
        view.groups.addresses[rows]
        + np.uint64(layout.elems_at)
        + slots.astype(np.uint64) * np.uint64(layout.elem_stride)
    )
    return _spread(np.asarray(starts), layout.elem_slot)


def _some(which: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, slots = np.nonzero(which)
    return rows, slots


def _padding(view: MapView) -> Addresses:
    """Bytes of groups in which no control byte, key or element lies."""
    layout = view.snapshot.layout
    inside = np.ones(layout.group_size, dtype=bool)
    inside[: layout.keys_at] = False
    for slot in range(view.groups.ctrl.shape[1]):
        key, elem = layout.keys_at + slot * layout.key_stride, layout.elems_at + slot * layout.elem_stride
        inside[key : key + layout.key_slot] = inside[elem : elem + layout.elem_slot] = False
    offsets = np.flatnonzero(inside).astype(np.uint64)
    spread: Addresses = np.add(view.groups.addresses[:, None], offsets, dtype=np.uint64)
    return spread.reshape(-1)


def _behind(subject: Subject, view: MapView) -> Addresses:
    key = subject.source.types.key(subject.type)
    indirect = view.snapshot.layout.indirect_key
    if not indirect and not key.has_pointers:
        return np.empty(0, np.uint64)
    found: list[Addresses] = []
    for slot in view.groups.slots(*view.groups.live).keys[:MOST_FOLLOWED].tolist():
        if indirect:
            slot = word_at(subject, slot)
            found.append(_bytes(slot, key.size))
        found += [_bytes(start, min(size, LONGEST)) for start, size in pointed_to(subject, key, slot)]
    return np.concatenate(found) if found else np.empty(0, np.uint64)
