"""Copying what values point to, type by type and in bulk, so that they can be decoded later.

The walk goes where the decoder (inspector.gotypes.decode) will go, with the same limits, but over arrays of
values: a million strings are read in as many steps as they have different lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inspector.copying.room import memory_left, share_of_free
from inspector.errors import InspectError, NotReadInTime
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.types import itab
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import PAGE, Pages, gather
from inspector.memory.lending import Lending
from inspector.memory.protocol import Addresses, Memory, RegionMap, Rows
from inspector.memory.sets import distinct, is_among

MAX_STRING = 1 << 20
"""Bytes of one string or byte slice that are copied; the rest is said to be left out."""

MAX_ELEMENTS = 1 << 10
"""Elements of one slice that are copied."""

MAX_FUNCTIONS = 1 << 10
"""Functions whose names are looked up for the values of one type."""

MAX_NESTING = 12
"""How deep values inside values are followed: a slice of interfaces may hold itself."""

BUDGET = 1 << 30
"""Bytes copied for one map at most."""

COPIES = 6
"""How often what is copied lies in our memory at a time, at the most: while it is sorted, and while it is hashed."""

MOST_PARTS = 64
"""Parts of a value that are looked at to find its strings; a damaged executable may have any number, in each other."""

WORD = 8


@dataclass(frozen=True)
class Limits:
    """How far values are followed: `pointers` levels of plain pointers, `nesting` levels of anything."""

    pointers: int
    nesting: int = MAX_NESTING

    def inside(self) -> Limits:
        """The limits that hold one level further in."""
        return replace(self, nesting=self.nesting - 1)

    def behind_pointer(self) -> Limits:
        """The limits that hold behind a pointer."""
        return replace(self, nesting=self.nesting - 1, pointers=self.pointers - 1)


KEY_LIMITS = Limits(pointers=0)
"""What distinguishes keys: a pointer key is its address."""

VALUE_LIMITS = Limits(pointers=1)
"""What is shown to the user: pointers are followed once."""


class Reach:
    """Copies from `memory` into `frozen` what values of a type point to. Nothing here raises for bad memory."""

    def __init__(
        self,
        types: TypeTable,
        memory: Memory,
        regions: RegionMap,
        frozen: FrozenMemory,
        budget: int | None = None,
        longest: int | None = None,
    ) -> None:
        """`budget` is how many bytes are copied at most: None for as many as our own memory has room for, and BUDGET.

        Nor are more than there are in the whole target: strings that lie in each other would else be copied each.
        Strings of more than `longest` bytes are not copied at all.
        """
        self.types, self.memory, self.regions, self.frozen = types, memory, regions, frozen
        self.left, self.longest = min(_room(), regions.size) if budget is None else budget, longest
        self._followed: dict[tuple[int, int, Limits], list[Addresses]] = {}

    def behind(self, slots: Rows, size: int) -> Rows:
        """Copy the `size` bytes that each pointer (rows of 8 bytes) leads to; returns those that could be."""
        return self._copy(_words(slots, 0), size)

    def copy(self, go_type: GoType, rows: Rows, limits: Limits) -> None:
        """Copy what `rows`, values of the type with shape (n, size), point to."""
        if not len(rows) or not go_type.has_pointers or limits.nesting < 0:
            return
        kind = go_type.kind
        if kind == Kind.STRING:
            self.strings(lambda: iter((rows,)))
        elif kind == Kind.POINTER:
            if limits.pointers:
                elem = self.types.elem(go_type)
                fresh = self._fresh(_words(rows, 0), elem, 1, limits.behind_pointer())
                self.copy(elem, self._copy(fresh, elem.size), limits.behind_pointer())
        elif kind == Kind.SLICE:
            self._slices(go_type, rows, limits)
        elif kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            self.copy(elem, rows.reshape(-1, elem.size), limits.inside())
        elif kind == Kind.STRUCT:
            for field in go_type.fields:
                part = self.types.get(field.type_address)
                self.copy(part, rows[:, field.offset : field.offset + part.size], limits.inside())
        elif kind == Kind.INTERFACE:
            self._interfaces(go_type, rows, limits)
        elif kind == Kind.FUNC:
            # A func value leads to a closure, which begins with the address of its code.
            self.types.functions.learn(distinct(_words(self._copy(_words(rows, 0), WORD), 0))[:MAX_FUNCTIONS].tolist())
        elif kind == Kind.MAP:
            self._copy(_words(rows, 0), WORD)  # the count, the first word of every family's header

    def only_strings(self, go_type: GoType) -> list[slice] | None:
        """Where in a value of a type the headers of its strings lie; None if more than strings is followed in it."""
        found, left, parts = [], [(go_type, 0)], 1
        while left:
            part, at = left.pop()
            if not part.has_pointers or part.kind in (Kind.CHAN, Kind.UNSAFE_POINTER):
                continue
            if part.kind == Kind.STRING:
                found.append(slice(at, at + part.size))
            elif part.kind == Kind.STRUCT and parts + len(part.fields) <= MOST_PARTS:
                parts += len(part.fields)
                left += [(self.types.get(field.type_address), at + field.offset) for field in part.fields]
            else:
                return None
        return found

    def _copy(self, addresses: Addresses, size: int) -> Rows:
        # As many as there is room for.
        addresses = distinct(addresses[addresses != 0])[: max(self.left, 0) // max(size, 1)]
        if not size or not len(addresses):
            return np.empty((0, size), dtype=np.uint8)
        rows, ok = gather(self.memory, self.regions, addresses, size)
        self.left -= rows.size
        self.frozen.add_rows(addresses[ok], rows[ok])
        return rows[ok]

    def _fresh(self, addresses: Addresses, go_type: GoType, length: int, limits: Limits) -> Addresses:
        """Those addresses of values, or of arrays of them, that were not followed yet; `limits` are those behind them.

        There may be more ways to a value than anyone can go: a struct with four slices of itself has 4^n to level n.
        """
        if limits.nesting == MAX_NESTING - 1:
            return addresses  # keys and elements themselves lead here: there is one way to each
        known = self._followed.setdefault((go_type.address, length, limits), [])
        fresh = distinct(addresses)
        for before in known:
            fresh = fresh[~is_among(fresh, before)]
        if len(fresh):
            known.append(fresh)
        return fresh

    def strings(self, windows: Callable[[], Iterator[Rows]]) -> None:
        """Copy the bytes of strings, whose headers (n, 16) are given in windows, as often as it is asked for.

        What memory lends is not copied.
        """
        pages = Pages()
        for rows in windows():
            addresses, sizes = self._wanted(rows)
            pages.add(addresses, sizes.view(np.uint64))
        if isinstance(self.memory, Lending):
            blocks = pages.lent(self.memory, self.regions)
        else:
            block = pages.copy(self.memory, self.regions, max(self.left, 0) // PAGE)
            blocks = [] if block is None else [block]
            self.left -= sum(len(block.data) for block in blocks)
        for block in blocks:
            self.frozen.add_block(block)
        if blocks and pages.longest <= PAGE and not len(pages.left_out):
            return
        for rows in windows():
            addresses, sizes = self._wanted(rows)
            if blocks:
                lacked = pages.lack(addresses, sizes.view(np.uint64))
                addresses, sizes = addresses[lacked], sizes[lacked]
            for size in distinct(sizes).tolist():
                self._copy(addresses[sizes == size], size)

    def _wanted(self, rows: Rows) -> tuple[Addresses, NDArray[np.int64]]:
        """Where strings lie, and how many bytes of each are copied."""
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
        addresses, sizes = headers["data"], headers["len"]
        wanted = sizes > 0
        if self.longest is not None:
            wanted &= sizes <= self.longest
        if not wanted.all():
            addresses, sizes = addresses[wanted], sizes[wanted]
        return addresses, np.minimum(sizes, MAX_STRING)

    def _slices(self, go_type: GoType, rows: Rows, limits: Limits) -> None:
        elem = self.types.elem(go_type)
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.slice_header))[:, 0]
        most = MAX_STRING if elem.size == 1 else MAX_ELEMENTS
        lengths = np.minimum(headers["len"], most)
        if not elem.size:
            return
        for length in distinct(lengths[lengths > 0]).tolist():
            fresh = self._fresh(headers["data"][lengths == length], elem, length, limits.inside())
            blocks = self._copy(fresh, length * elem.size)
            self.copy(elem, blocks.reshape(-1, elem.size), limits.inside())

    def _interfaces(self, go_type: GoType, rows: Rows, limits: Limits) -> None:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        tabs = distinct(headers["tab"][headers["tab"] != 0])
        if go_type.methods:
            self._copy(tabs, itab.sizeof())
        for tab in tabs.tolist():
            data = np.ascontiguousarray(headers["data"][headers["tab"] == tab])
            try:
                dynamic = self.types.dynamic(go_type, tab, self.frozen)
                if dynamic.direct_iface:
                    values = data.view(np.uint8).reshape(-1, WORD)
                else:
                    values = self._copy(self._fresh(data, dynamic, 1, limits.inside()), dynamic.size)
                self.copy(dynamic, values, limits.inside())
            except NotReadInTime:
                raise
            except InspectError:
                continue  # the decoder will say that this value's type cannot be read


def _words(rows: Rows, offset: int) -> Addresses:
    return np.ascontiguousarray(rows[:, offset : offset + WORD]).view(np.uint64)[:, 0]


def _room() -> int:
    left = memory_left()
    return min(BUDGET, (share_of_free() if left is None else left) // COPIES)
