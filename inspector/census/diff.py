"""Two censuses held against each other: which maps grew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from inspector.census.model import Census
from inspector.census.saved import Part


@dataclass(frozen=True)
class Row:
    """What a comparison needs of one map, or of several that only one of the censuses distinguishes.

    `name` is a path that leads to it; `holder`, for a map without one, says what holds it.
    """

    address: int | None
    type: str
    name: str | None
    holder: str | None
    maps: int
    count: int
    bytes: int


@dataclass(frozen=True)
class Earlier:
    """An earlier census: which process it was of (process_identity), and its maps."""

    process: str | None
    rows: tuple[Row, ...]

    @staticmethod
    def of(census: Census) -> Earlier:
        """What a comparison needs of a census."""
        rows = (
            Row(one.address, one.type, one.name, None if one.name else one.holder, 1, one.count, one.bytes.total)
            for one in census.maps
        )
        return Earlier(census.process, tuple(rows))

    @staticmethod
    def parsed(document: Part) -> Earlier:
        """Read a document that --json wrote; raises UsageError for anything else."""
        # Documents of earlier versions do not say which process they are of.
        process = document.field("target").optional("process_identity")
        rows = tuple(_parsed_row(one) for one in document.field("census").field("maps").items())
        return Earlier(process.text() if process else None, rows)


def _parsed_row(one: Part) -> Row:
    name, holder = (None if part.value is None else part.text() for part in (one.field("name"), one.field("holder")))
    size = one.field("bytes").field("total").number()
    address, go_type = one.field("address").address(), one.field("type").text()
    return Row(address, go_type, name, None if name else holder, 1, one.field("count").number(), size)


@dataclass(frozen=True)
class Change:
    """A map, or the maps of one name and type, before and after; None on the side that has no such map."""

    before: Row | None
    after: Row | None

    @property
    def bytes(self) -> int:
        """How many bytes more."""
        return (self.after.bytes if self.after else 0) - (self.before.bytes if self.before else 0)

    @property
    def count(self) -> int:
        """How many entries more."""
        return (self.after.count if self.after else 0) - (self.before.count if self.before else 0)


@dataclass(frozen=True)
class Diff:
    """What changed, the largest growth first. `by_address` says whether it is known to be the same process."""

    by_address: bool
    changes: tuple[Change, ...]


def compare(before: Earlier, after: Earlier) -> Diff:
    """Match maps by address and type in one process, else by name and type; equal ones are left out."""
    same = before.process is not None and before.process == after.process
    key: Callable[[Row], Hashable] = (
        (lambda row: (row.address, row.type)) if same else (lambda row: (row.name, row.holder, row.type))
    )
    old, new = _grouped(before.rows, key), _grouped(after.rows, key)
    changes = [Change(old.get(each), new.get(each)) for each in {**old, **new}]
    changed = [change for change in changes if change.bytes or change.count or None in (change.before, change.after)]
    return Diff(same, tuple(sorted(changed, key=lambda change: (-change.bytes, -change.count))))


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> dict[Hashable, Row]:
    groups: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {each: _together(group) for each, group in groups.items()}


def _together(group: list[Row]) -> Row:
    first = group[0]
    address = first.address if len(group) == 1 else None
    count, size = sum(row.count for row in group), sum(row.bytes for row in group)
    return Row(address, first.type, first.name, first.holder, len(group), count, size)
