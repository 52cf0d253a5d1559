"""The groups of a map as numpy arrays over copied bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS
from inspector.gotypes.layouts import SwissLayout
from inspector.maps.family import Slots
from inspector.maps.slots import Numbers, any_of, count_of, nonzero, pick, places
from inspector.maps.swiss.layout import group_dtype
from inspector.maps.windows import SMALL_WINDOW, Spots, in_windows, spots, windows
from inspector.memory.protocol import Addresses, Rows

NO_TABLE = -1


@dataclass(frozen=True)
class Groups:
    """All groups of a map that could be read, table after table.

    Rows are groups: `raw` (g, group size) uint8 their bytes, `table` (g,) the number of the table each is of (NO_TABLE
    in a small map). They lie in arrays: `array` (g,) says in which, whose first group lies at `starts` (a,) and has the
    row `firsts` (a,). So a large map takes few bytes a group for where they are.
    """

    layout: SwissLayout
    raw: Rows
    table: NDArray[np.int32 | np.int64]
    array: NDArray[np.int32 | np.int64]
    starts: Addresses
    firsts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.raw)

    @staticmethod
    def none(layout: SwissLayout) -> Groups:
        """No group at all."""
        numbers = np.empty(0, np.int64)
        return Groups.at(layout, np.empty((0, layout.group_size), np.uint8), np.empty(0, np.uint64), numbers, numbers)

    @staticmethod
    def at(layout: SwissLayout, raw: Rows, addresses: Addresses, table: Numbers, number: Numbers) -> Groups:
        """Groups at any `addresses` (g,), each of which has a `number` (g,) in its array."""
        rows = np.arange(len(raw))
        return Groups(layout, raw, table, rows, addresses - number.astype(np.uint64) * _size(layout), rows - number)

    def same_keys(self, other: Groups) -> bool:
        """Whether others are in the same places, with the same control bytes and keys."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("addresses", "ctrl", "keys"))
        return all(np.array_equal(one, another) for one, another in pairs)

    def number_of(self, rows: Numbers) -> Numbers:
        """(k,) the number of groups in their arrays."""
        return np.asarray(rows - self.firsts[self.array[rows]])

    def addresses_of(self, rows: Numbers) -> Addresses:
        """(k,) where groups lie."""
        return np.asarray(self.starts[self.array[rows]] + self.number_of(rows).view(np.uint64) * _size(self.layout))

    def place_of(self, row: int) -> tuple[int, int]:
        """The number of one group in its array, and where it lies."""
        rows = np.array([row])
        return int(self.number_of(rows)[0]), int(self.addresses_of(rows)[0])

    @property
    def number(self) -> Numbers:
        """(g,) the number of each in its array."""
        return self.number_of(np.arange(len(self)))

    @property
    def addresses(self) -> Addresses:
        """(g,) where they lie."""
        return self.addresses_of(np.arange(len(self)))

    @property
    def cells(self) -> NDArray[np.void]:
        """The groups as records, as their declaration names the parts; shape (g,)."""
        return self.raw.view(group_dtype(self.layout))[:, 0]

    @cached_property
    def ctrl(self) -> NDArray[np.uint8]:
        """Control bytes, shape (g, 8)."""
        # Copied as words: numpy copies eight bytes one by one.
        return np.ascontiguousarray(self.raw.view(np.uint64)[:, :1]).view(np.uint8)

    @property
    def keys(self) -> NDArray[np.uint8]:
        """The bytes of all keys' slots, shape (g, 8, key slot)."""
        return np.asarray(self.cells["keys"] if self.layout.split else self.cells["slots"]["key"])

    @property
    def elems(self) -> NDArray[np.uint8]:
        """The bytes of all elements' slots, shape (g, 8, element slot)."""
        return np.asarray(self.cells["elems"] if self.layout.split else self.cells["slots"]["elem"])

    def part(self, window: slice) -> Groups:
        """Consecutive groups of them: nothing is copied."""
        raw, table, array = self.raw[window], self.table[window], self.array[window]
        some = Groups(self.layout, raw, table, array, self.starts, self.firsts - window.start)
        vars(some)["ctrl"] = self.ctrl[window]
        return some

    def windows(self) -> Iterator[slice]:
        """Windows of whole tables."""
        ends = np.flatnonzero(self.table[1:] != self.table[:-1]) + 1
        return windows(len(self), np.append(ends, len(self)))

    @property
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
    def padded(self) -> NDArray[np.bool_]:
        """Groups with padding that is not zero, shape (g,)."""
        return in_windows(len(self), lambda part: any_of(self.part(part).padding), np.empty(0, bool))

    # Masks of all slots are worked out anew whenever they are asked for: large maps have no room for them

    @property
    def full(self) -> NDArray[np.bool_]:
        """Slots that hold an entry by their control byte, shape (g, 8)."""
        return np.asarray(self.ctrl < EMPTY)

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Slots that are empty, shape (g, 8)."""
        return np.asarray(self.ctrl == EMPTY)

    @property
    def deleted(self) -> NDArray[np.bool_]:
        """Tombstones, shape (g, 8)."""
        return np.asarray(self.ctrl == DELETED)

    @property
    def invalid(self) -> NDArray[np.bool_]:
        """Control bytes that are neither full, nor empty, nor deleted, shape (g, 8)."""
        return np.asarray((self.ctrl > EMPTY) & (self.ctrl != DELETED))

    @property
    def elems_left(self) -> NDArray[np.bool_]:
        """Slots that are not full, and have an element, shape (g, 8)."""
        return nonzero(self.elems) & (self.empty | self.deleted)

    @property
    def keys_left(self) -> NDArray[np.bool_]:
        """Slots that are not full, and have a key, shape (g, 8)."""
        return nonzero(self.keys) & (self.empty | self.deleted)

    @cached_property
    def invalid_at(self) -> Spots:
        """The slots of `invalid`."""
        return spots(len(self), lambda part: self.part(part).invalid)

    @cached_property
    def elems_left_at(self) -> Spots:
        """The slots of `elems_left`."""
        return spots(len(self), lambda part: self.part(part).elems_left)

    @cached_property
    def keys_left_at(self) -> Spots:
        """The slots of `keys_left`."""
        return spots(len(self), lambda part: self.part(part).keys_left)

    @cached_property
    def full_count(self) -> NDArray[np.uint8]:
        """Slots of each group that hold an entry, shape (g,)."""
        return self._count(lambda part: part.full)

    @cached_property
    def empty_count(self) -> NDArray[np.uint8]:
        """Slots of each group that are empty, shape (g,)."""
        return self._count(lambda part: part.empty)

    @cached_property
    def deleted_count(self) -> NDArray[np.uint8]:
        """Tombstones of each group, shape (g,)."""
        return self._count(lambda part: part.deleted)

    def _count(self, of: Callable[[Groups], NDArray[np.bool_]]) -> NDArray[np.uint8]:
        return in_windows(len(self), lambda part: count_of(of(self.part(part))).astype(np.uint8), np.empty(0, np.uint8))

    @cached_property
    def zeroed(self) -> NDArray[np.bool_]:
        """Groups whose control word and the eight bytes behind it are zero, shape (g,): eight entries never are."""
        suspects = np.asarray(self.ctrl.view(np.uint64)[:, 0] == 0)
        suspects[suspects] = ~self.raw[suspects, : 2 * GROUP_SLOTS].any(axis=1)
        return suspects

    def slots(self, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> Slots:
        """Where k slots lie, given as rows and numbers of slots."""
        layout, numbers = self.layout, slots.astype(np.uint64)
        groups = self.addresses_of(rows)
        keys = groups + np.uint64(layout.keys_at) + numbers * np.uint64(layout.key_stride)
        elems = groups + np.uint64(layout.elems_at) + numbers * np.uint64(layout.elem_stride)
        key_values, elem_values = keys, elems
        if layout.indirect_key:
            key_values = np.ascontiguousarray(self.keys[rows, slots]).view(np.uint64)[:, 0]
        if layout.indirect_elem:
            elem_values = np.ascontiguousarray(self.elems[rows, slots]).view(np.uint64)[:, 0]
        return Slots(keys, key_values, elem_values)

    def live_windows(self, length: int | None = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows and slots of all entries, in the order of their places, window by window (of `length` groups)."""
        for window in windows(max(len(self), 1), length=length):
            rows, slots = places(self.part(window).full)
            yield rows + window.start, slots

    def live_slots(self, slots: Rows, length: int | None) -> Iterator[Rows]:
        """Those of all entries (k, size) among `keys` or `elems`; see SlotWindows."""
        return (pick(slots, *at) for at in self.live_windows(length or len(self)))

    def first_live(self, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and slots of the first `most` entries; no more windows are looked at than have these."""
        found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for rows, slots in self.live_windows(SMALL_WINDOW):
            found.append((rows, slots))
            if sum(len(part) for part, _ in found) >= most:
                break
        rows, slots = (np.concatenate(parts)[:most] for parts in zip(*found, strict=True))
        return rows, slots

    @property
    def live(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and slots of all entries, in the order of their places."""
        return places(self.full)


def _size(layout: SwissLayout) -> np.uint64:
    return np.uint64(layout.group_size)
