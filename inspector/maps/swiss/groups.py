"""The groups of a map as numpy arrays over copied bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import DELETED, EMPTY
from inspector.gotypes.layouts import SwissLayout
from inspector.maps.family import Slots
from inspector.maps.swiss.layout import group_dtype
from inspector.memory.protocol import Addresses, Rows

NO_TABLE = -1


@dataclass(frozen=True)
class Groups:
    """All groups of a map that could be read, table after table.

    Rows are groups: `raw` (g, group size) uint8 their bytes, `addresses` (g,), `table` (g,) the number of the table
    each is of (NO_TABLE in a small map), `number` (g,) its number in that table.
    """

    layout: SwissLayout
    raw: Rows
    addresses: Addresses
    table: NDArray[np.int64]
    number: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.raw)

    @staticmethod
    def none(layout: SwissLayout) -> Groups:
        """No group at all."""
        numbers = np.empty(0, np.int64)
        return Groups(layout, np.empty((0, layout.group_size), np.uint8), np.empty(0, np.uint64), numbers, numbers)

    @property
    def cells(self) -> NDArray[np.void]:
        """The groups as records, as their declaration names the parts; shape (g,)."""
        return self.raw.view(group_dtype(self.layout))[:, 0]

    @cached_property
    def ctrl(self) -> NDArray[np.uint8]:
        """Control bytes, shape (g, 8)."""
        return np.ascontiguousarray(self.cells["ctrl"])

    @property
    def keys(self) -> NDArray[np.uint8]:
        """The bytes of all keys' slots, shape (g, 8, key slot)."""
        return np.asarray(self.cells["keys"] if self.layout.split else self.cells["slots"]["key"])

    @property
    def elems(self) -> NDArray[np.uint8]:
        """The bytes of all elements' slots, shape (g, 8, element slot)."""
        return np.asarray(self.cells["elems"] if self.layout.split else self.cells["slots"]["elem"])

    @cached_property
    def padding(self) -> NDArray[np.bool_]:
        """Which bytes lie in no control byte, key or element and are not zero, shape (g, bytes of padding)."""
        cells = self.cells
        parts = [cells["tail"]]
        if self.layout.split:
            parts.append(cells["gap"])
        else:
            rests = [cells["slots"][name] for name in ("gap", "rest")]
            parts += [rest.reshape(len(self), rest.shape[1] * rest.shape[2]) for rest in rests]
        return np.asarray(np.concatenate(parts, axis=1) != 0)

    @cached_property
    def full(self) -> NDArray[np.bool_]:
        """Slots that hold an entry by their control byte, shape (g, 8)."""
        return np.asarray(self.ctrl < EMPTY)

    @cached_property
    def empty(self) -> NDArray[np.bool_]:
        """Slots that are empty, shape (g, 8)."""
        return np.asarray(self.ctrl == EMPTY)

    @cached_property
    def deleted(self) -> NDArray[np.bool_]:
        """Tombstones, shape (g, 8)."""
        return np.asarray(self.ctrl == DELETED)

    def slots(self, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> Slots:
        """Where k slots lie, given as rows and numbers of slots."""
        layout, numbers = self.layout, slots.astype(np.uint64)
        keys = self.addresses[rows] + np.uint64(layout.keys_at) + numbers * np.uint64(layout.key_stride)
        elems = self.addresses[rows] + np.uint64(layout.elems_at) + numbers * np.uint64(layout.elem_stride)
        key_values, elem_values = keys, elems
        if layout.indirect_key:
            key_values = np.ascontiguousarray(self.keys[rows, slots]).view(np.uint64)[:, 0]
        if layout.indirect_elem:
            elem_values = np.ascontiguousarray(self.elems[rows, slots]).view(np.uint64)[:, 0]
        return Slots(keys, key_values, elem_values)

    @cached_property
    def live(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and slots of all entries, in the order of their places."""
        rows, slots = np.nonzero(self.full)
        return rows, slots
