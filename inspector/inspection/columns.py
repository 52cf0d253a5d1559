"""The entries of one map as columns, a window of them at a time, so that memory is bounded however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from inspector.gotypes.columns import Column, Columns, Objects, Partial, unread
from inspector.gotypes.gotype import GoType
from inspector.gotypes.redaction import Redactor
from inspector.gotypes.values import GoValue
from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Snapshot
from inspector.maps.liverows import LiveRows, PlacePart, Places
from inspector.memory.protocol import Rows

WINDOW = 1 << 13
"""Entries that are looked at together at most: of more the processor's caches hold less."""

FEW = 1 << 8
"""Entries that are decoded one by one together: each value may have very many parts."""

BYTES = 1 << 23
"""Bytes that the entries of one window may hold in slots, strings and behind pointers, if they are several."""


@dataclass(frozen=True, eq=False)
class Window:
    """Some consecutive entries: number `first` and those behind it. All three have one value for each entry."""

    first: int
    keys: Column
    values: Column
    places: Places

    def __len__(self) -> int:
        return len(self.keys)


class NoPlaces:
    """The places of no entries, where not even their parts are known."""

    addresses = np.empty(0, np.uint64)

    def form(self) -> dict[str, PlacePart]:
        """See Places.form."""
        return {}

    def columns(self) -> dict[str, list[str]]:
        """See Places.columns."""
        return {}


class EntryColumns:
    """The first `count` entries of a snapshot, or all if there are fewer, in windows.

    `split` makes columns of whatever has any: of a struct with a field that has none only the field is decoded one by
    one. Without it a type is one column of values, decoded as Snapshot.entries does, unless all of it has columns: so
    also the limits of values with very many parts are met at the same entry. A `redactor` hides keys and elements.
    """

    def __init__(self, snapshot: Snapshot, count: int, split: bool = False, redactor: Redactor | None = None) -> None:
        self.snapshot, self.redactor = snapshot, redactor
        types, go_type = snapshot.types, snapshot.type
        self.key, self.elem = types.key(go_type), types.elem(go_type)
        self.count = count
        self._columns, self.decoder = Columns(types, snapshot.memory), SlotDecoder(types, go_type, snapshot.memory)
        layout = go_type.layout
        self._apart = (layout is not None and layout.indirect_key, layout is not None and layout.indirect_elem)
        plain = self._columns.plain(self.key), self._columns.plain(self.elem)
        self._all_plain = all(plain) and redactor is None
        self.in_columns = (False, False) if redactor is not None else (split or plain[0], split or plain[1])

    def __iter__(self) -> Iterator[Window]:
        first = 0
        for rows in self.snapshot.live() if self.count else ():
            end = min(len(rows), self.count - first)
            for start, window in self._windows(rows, end):
                yield Window(first + start, *window)
            first += end
            if first == self.count:
                return

    def empty(self) -> Window:
        """A window without an entry."""
        keys, values = (
            self._columns.column(go_type, np.empty((0, go_type.size), np.uint8))
            if self.in_columns[at]
            else Objects(go_type, list, 0)
            for at, go_type in enumerate((self.key, self.elem))
        )
        live = next(self.snapshot.live(), None)
        return Window(0, keys, values, NoPlaces() if live is None else live.places(slice(0)))

    def _windows(self, rows: LiveRows, end: int) -> Iterator[tuple[int, tuple[Column, Column, Places]]]:
        start, step = 0, self._step
        while start < end:
            window = slice(start, min(start + step, end))
            keys, values = self._decoded(rows, window)
            weight = keys.weight + values.weight
            if weight > BYTES and window.stop - start > 1:
                # Strings may be as long as they like, and one may be there very often.
                step = max(1, (window.stop - start) // 2)
                continue
            yield start, (keys, values, rows.places(window))
            start = window.stop
            step = min(self._step, 2 * step)

    @cached_property
    def _step(self) -> int:
        """How many entries a window has at most."""
        if not self._all_plain:
            return FEW
        return max(1, min(WINDOW, BYTES // (self._columns.size(self.key) + self._columns.size(self.elem))))

    def _decoded(self, rows: LiveRows, window: slice) -> tuple[Column, Column]:
        slots = rows.key_slots(window), rows.elem_slots(window)
        one_by_one = _OneByOne(self, *slots)
        keys, values = (
            self._column(go_type, slots[at], self._apart[at])
            if self.in_columns[at]
            else Objects(go_type, partial(one_by_one.given, at), len(slots[at]))
            for at, go_type in enumerate((self.key, self.elem))
        )
        return keys, values

    def _column(self, go_type: GoType, slots: Rows, apart: bool) -> Column:
        if not apart:
            return self._columns.column(go_type, slots[:, : go_type.size])
        memory = self.snapshot.memory
        pointers = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
        held, known = memory.held(pointers, go_type.size)
        return Partial(go_type, self._columns.column(go_type, held), known, unread(memory))


@dataclass(frozen=True, eq=False)
class _OneByOne:
    """The keys and elements of a window that have no column, decoded in the order of Snapshot.entries when needed."""

    entries: EntryColumns
    keys: Rows
    elems: Rows

    def given(self, at: int) -> list[GoValue]:
        """The keys (0), or the elements (1)."""
        return self._decoded[at]

    @cached_property
    def _decoded(self) -> tuple[list[GoValue], list[GoValue]]:
        keys: list[GoValue] = []
        values: list[GoValue] = []
        decoder, (key_in_column, elem_in_column) = self.entries.decoder, self.entries.in_columns
        for key_slot, elem_slot in zip(self.keys, self.elems, strict=True):
            if not key_in_column:
                keys.append(decoder.key(key_slot.tobytes()))
            if not elem_in_column:
                values.append(decoder.elem(elem_slot.tobytes()))
        redactor = self.entries.redactor
        if redactor is None:
            return keys, values
        return [redactor.hide(key, is_key=True) for key in keys], [redactor.hide(value) for value in values]
