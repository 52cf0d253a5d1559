"""Entries as a flat table: a column for each field of keys and elements, with dotted names, and for their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.gotypes.columns import Blobs, Column, Maps, Mask, Numbers, Objects, Partial, Pointers, Structs, Texts
from inspector.gotypes.gotype import Kind
from inspector.gotypes.render import SINCE_1885, SINCE_YEAR_1
from inspector.gotypes.values import Unreadable
from inspector.inspection.columns import EntryColumns, NoPlaces, Window
from inspector.inspection.one_map import Inspection
from inspector.maps.liverows import PlacePart

_EPOCH = 719163
"""The day 1970-01-01, counted as datetime.toordinal does."""

FIRST_SECOND, SECOND_OF_1885 = ((each.toordinal() - _EPOCH) * 86400 for each in (SINCE_YEAR_1, SINCE_1885))
"""What values of time.Time count from, in seconds since 1970."""

LAST_SECOND = 253402300799
"""The end of the year 9999. Times after it, or before the year 1, are not known to any calendar of Python."""

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Plain:
    """Booleans, integers or floats (k,)."""

    numbers: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Addresses:
    """Addresses (k,) uint64."""

    numbers: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Times:
    """Values of time.Time: (k,) int64 `seconds` since 1970 in UTC, and `nanoseconds` below a second."""

    seconds: NDArray[np.int64]
    nanoseconds: NDArray[np.int64]

    def in_nanoseconds(self) -> tuple[NDArray[np.int64], Mask]:
        """(k,) int64 nanoseconds since 1970, and which times lie outside of what they reach: 1678 to 2262."""
        outside = np.abs(self.seconds) >= np.iinfo(np.int64).max // NANOSECONDS
        outside |= self.nanoseconds >= NANOSECONDS
        return np.where(outside, 0, self.seconds) * NANOSECONDS + np.where(outside, 0, self.nanoseconds), outside


@dataclass(frozen=True, eq=False)
class Words:
    """Parts of places (k,) that are words."""

    texts: list[str]


@dataclass(frozen=True, eq=False)
class Nested:
    """Values that have no flat form, or are hidden; `column` has them."""

    column: Column


Cells: TypeAlias = Plain | Addresses | Texts | Blobs | Times | Words | Nested
"""What a flat column has: strings and slices of bytes are Texts, arrays of bytes Blobs."""


@dataclass(frozen=True, eq=False)
class Flat:
    """One column of the table: n rows, of which those that are `known` (n,) have a cell in `cells`, in order.

    `empty` (k,) says which of these cells stand for no value; strings say it themselves (see `void`). `missed` counts
    the rows that have none because what leads to it could not be read.
    """

    name: str
    cells: Cells
    known: Mask
    empty: Mask
    missed: int = 0

    @cached_property
    def void(self) -> Mask:
        """(k,) which cells stand for no value: nil, or not read."""
        if isinstance(self.cells, Nested) and isinstance(self.cells.column, Objects):
            return np.array([each is None or isinstance(each, Unreadable) for each in self.cells.column.decoded], bool)
        # Whether strings have their bytes is looked up only where they are asked for.
        return ~self.cells.sound if isinstance(self.cells, Texts) else self.empty

    def spread(self, texts: list[str], nothing: str) -> list[str]:
        """(n,) a text for each row, of texts (k,) of the cells; `nothing` for rows without a value."""
        for at in np.flatnonzero(self.void).tolist():
            texts[at] = nothing
        if len(texts) == len(self.known):
            return texts
        whole = [nothing] * len(self.known)
        for at, text in zip(np.flatnonzero(self.known).tolist(), texts, strict=True):
            whole[at] = text
        return whole

    @property
    def unread(self) -> int:
        """Rows that have no value because it could not be read."""
        if isinstance(self.cells, Texts):
            return self.missed + int(np.count_nonzero(~self.cells.sound & ~self.cells.nil))
        if isinstance(self.cells, Nested) and isinstance(self.cells.column, Objects):
            return self.missed + sum(isinstance(each, Unreadable) for each in self.cells.column.decoded)
        return self.missed


@dataclass(frozen=True)
class Shape:
    """What of a table only its values tell: the names of columns of strings that are not all UTF-8 (`binary`).

    Values of `cut` columns are longer than what is copied of one, so that another column says how long they are.
    """

    binary: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()


@dataclass
class Losses:
    """What a table lacks: how many values of each column could not be read, and how many were cut."""

    unread: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    def count(self, table: list[Flat]) -> None:
        """Count those of some rows."""
        for flat in table:
            cut = int(np.count_nonzero(flat.cells.cut)) if isinstance(flat.cells, Texts) else 0
            for counts, more in ((self.unread, flat.unread), (self.cut, cut)):
                if more:
                    counts[flat.name] = counts.get(flat.name, 0) + more


def windows_of(inspection: Inspection) -> Iterator[Window]:
    """The shown entries in windows; one without an entry if there is none, as a table has columns all the same."""
    windows = 0
    for window in inspection.columns(split=True):
        windows += 1
        yield window
    if not windows and inspection.snapshot is not None:
        yield EntryColumns(inspection.snapshot, 0, True, inspection.redactor).empty()
    elif not windows:
        nothing = Objects(inspection.ref.type, list, 0)
        yield Window(0, nothing, nothing, NoPlaces())


def shape_of(inspection: Inspection, utf8: bool = True) -> Shape:
    """Look through all strings of the shown entries; what has no strings is not looked through.

    Without `utf8` only their lengths are looked at.
    """
    binary: set[str] = set()
    cut: set[str] = set()
    for window in windows_of(inspection):
        table = flat_table(window)
        texts = [(flat.name, flat.cells) for flat in table if isinstance(flat.cells, Texts)]
        if not texts:
            break
        cut |= cut_in(table)
        if not utf8:
            continue
        strings = [(name, cells) for name, cells in texts if cells.type.kind == Kind.STRING and name not in binary]
        binary |= {name for name, cells in strings if not is_utf8(cells)}
    return Shape(frozenset(binary), frozenset(cut))


def cut_in(table: list[Flat]) -> frozenset[str]:
    """The columns of some rows in which a value is longer than what is copied of one."""
    return frozenset(flat.name for flat in table if isinstance(flat.cells, Texts) and flat.cells.cut.any())


def is_utf8(texts: Texts) -> bool:
    """Whether every string of a column is UTF-8."""
    try:
        texts.data.tobytes().decode()
    except UnicodeDecodeError:
        return False
    # Two halves of a character may stand beside each other, in two strings.
    heads = texts.data[texts.offsets[:-1][texts.held > 0]]
    return not bool(((heads & 0xC0) == 0x80).any())


def flat_table(window: Window, shape: Shape | None = None) -> list[Flat]:
    """The columns of some entries: "key" and "value", or their fields, and their places. No two have one name.

    Beside those that are cut in a `shape`, there is one that says how long their values were.
    """
    known = np.ones(len(window), bool)
    found = [*_flat("key", window.keys, known), *_flat("value", window.values, known)]
    found += [_place(name, part, len(window)) for name, part in window.places.form().items()]
    found.append(Flat("address", Addresses(window.places.addresses), known, ~known))
    names: set[str] = set()
    table = []
    for flat in found:
        table.append(replace(flat, name=_new_name(flat.name, names)))
        if shape is not None and table[-1].name in shape.cut and isinstance(flat.cells, Texts):
            lengths = Plain(flat.cells.lengths)
            table.append(replace(table[-1], name=_new_name(f"{table[-1].name}.length", names), cells=lengths, missed=0))
    return table


def _new_name(name: str, names: set[str]) -> str:
    """The name, or where another column has it the name with a number; it is added to `names`."""
    new, number = name, 2
    while new in names:
        new, number = f"{name}_{number}", number + 1
    names.add(new)
    return new


def _place(name: str, part: PlacePart, count: int) -> Flat:
    known, none = np.ones(count, bool), np.zeros(count, bool)
    if isinstance(part, np.ndarray):
        return Flat(name, Plain(part), known, none)
    if part is None:
        return Flat(name, Plain(np.zeros(count, np.int64)), known, known)
    texts = [part] * count if isinstance(part, str) else [_path(each) for each in part]
    return Flat(name, Words(texts), known, none)


def _path(part: str | list[int]) -> str:
    return part if isinstance(part, str) else ".".join(map(str, part))


def _flat(name: str, column: Column, known: Mask, missed: int = 0) -> Iterator[Flat]:
    """The columns of n values, of which those that are `known` (n,) are in `column`."""
    none = np.zeros(len(column), bool)
    if isinstance(column, Partial):
        missed += int(np.count_nonzero(~column.known))
        yield from _flat(name, column.column, _narrowed(known, column.known), missed)
    elif isinstance(column, Structs):
        times = _times(name, column, known, missed)
        if times is not None:
            yield times
            return
        for field_name, part in column.fields:
            yield from _flat(f"{name}.{field_name}", part, known, missed)
    elif isinstance(column, Pointers):
        yield from _pointers(name, column, known, missed)
    elif isinstance(column, Maps):
        yield Flat(f"{name}.map", Addresses(column.addresses), known, column.addresses == 0, missed)
        yield Flat(f"{name}.count", Plain(column.counts), known, ~column.known, missed)
    elif isinstance(column, Numbers) and column.numbers.dtype.kind == "c":
        yield Flat(f"{name}.real", Plain(column.numbers.real), known, none, missed)
        yield Flat(f"{name}.imag", Plain(column.numbers.imag), known, none, missed)
    elif isinstance(column, Numbers):
        yield Flat(name, Plain(column.numbers), known, none, missed)
    elif isinstance(column, (Texts, Blobs)):
        yield Flat(name, column, known, none, missed)
    else:
        yield Flat(name, Nested(column), known, none, missed)


def _pointers(name: str, column: Pointers, known: Mask, missed: int) -> Iterator[Flat]:
    """Where they lead to, and what lies there."""
    nil = column.addresses == 0
    if not isinstance(column.targets, Partial):
        yield Flat(name, Addresses(column.addresses), known, nil, missed)
        return
    yield Flat(f"{name}.ptr", Addresses(column.addresses), known, nil, missed)
    lost = int(np.count_nonzero(~nil & ~column.targets.known))
    yield from _flat(name, column.targets.column, _narrowed(known, column.targets.known), missed + lost)


def _narrowed(known: Mask, inner: Mask) -> Mask:
    """(n,) which rows are `known`, and `inner` (k,) of those that are."""
    narrowed = known.copy()
    narrowed[known] = inner
    return narrowed


def _times(name: str, column: Structs, known: Mask, missed: int) -> Flat | None:
    """Values of time.Time as moments (see render.moment, which follows time/time.go); None for other structs."""
    fields = dict(column.fields)
    wall, ext = fields.get("wall"), fields.get("ext")
    if column.type.name != "time.Time" or not isinstance(wall, Numbers) or not isinstance(ext, Numbers):
        return None
    if (wall.type.kind, ext.type.kind) != (Kind.UINT64, Kind.INT64):
        return None
    monotonic = (wall.numbers >> np.uint64(63)) != 0
    since_1885 = (wall.numbers >> np.uint64(30) & np.uint64((1 << 33) - 1)).astype(np.int64)
    possible = monotonic | ((ext.numbers >= 0) & (ext.numbers <= LAST_SECOND - FIRST_SECOND))
    since_year_1 = np.where(possible, ext.numbers, 0)
    seconds = np.where(monotonic, SECOND_OF_1885 + since_1885, FIRST_SECOND + np.where(monotonic, 0, since_year_1))
    nanoseconds = (wall.numbers & np.uint64((1 << 30) - 1)).astype(np.int64)
    return Flat(name, Times(seconds, nanoseconds), known, ~possible | (nanoseconds >= NANOSECONDS), missed)
