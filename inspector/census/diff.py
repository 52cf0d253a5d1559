"""Two censuses held against each other: where maps grew, and which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from inspector.census.groups import Place, place_of
from inspector.census.model import Census
from inspector.census.saved import Part

OUTSTANDING_SHARE = 0.01
"""The part of all that changed that a map's change has to be at least for it to stand out."""

OUTSTANDING_TIMES = 4
"""How many times the usual change of its group it has to be."""

FEW = 3
"""Changes of a group among which nothing is usual."""


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
    unreachable: bool = False

    @cached_property
    def place(self) -> Place:
        """Where it hangs, which is what maps are grouped by."""
        return place_of(self)


@dataclass(frozen=True)
class Earlier:
    """A census to compare with another: which process it was of (process_identity), and its maps."""

    process: str | None
    rows: tuple[Row, ...]

    def places(self) -> Iterator[tuple[Place, int]]:
        """Where each map hangs, and its bytes."""
        return ((row.place, row.bytes) for row in self.rows)

    @staticmethod
    def of(census: Census) -> Earlier:
        """What a comparison needs of a census."""
        rows = (
            Row(
                one.address,
                one.type,
                one.name,
                None if one.name else one.holder,
                1,
                one.count,
                one.bytes.total,
                one.unreachable,
            )
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
    # Documents of earlier versions, and rows of maps in use, do not have it.
    unreachable = one.optional("unreachable")
    count = one.field("count").number()
    return Row(
        address, go_type, name, None if name else holder, 1, count, size, unreachable.flag() if unreachable else False
    )


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

    @property
    def place(self) -> Place:
        """Where it hangs now, or hung."""
        row = self.after or self.before
        assert row is not None
        return row.place


@dataclass(frozen=True)
class Amount:
    """How many maps there are in a group, and what they hold together."""

    maps: int = 0
    entries: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class GroupChange:
    """The maps of one place (see groups.py) before and after; `type` is that of most of their bytes."""

    place: Place
    type: str
    before: Amount
    after: Amount

    @property
    def bytes(self) -> int:
        """How many bytes more."""
        return self.after.bytes - self.before.bytes

    @property
    def entries(self) -> int:
        """How many entries more."""
        return self.after.entries - self.before.entries

    @property
    def maps(self) -> int:
        """How many maps more."""
        return self.after.maps - self.before.maps


@dataclass(frozen=True)
class Diff:
    """What changed, the largest growth first. `by_address` says whether it is known to be the same process.

    `groups` are the places whose maps changed in number or size, `unchanged` counts the others.
    """

    by_address: bool
    changes: tuple[Change, ...]
    groups: tuple[GroupChange, ...] = ()
    unchanged: int = 0

    def of_group(self, name: str) -> Diff:
        """What changed in the group with a name."""
        changes = tuple(change for change in self.changes if change.place.name == name)
        return Diff(self.by_address, changes, tuple(group for group in self.groups if group.place.name == name))

    def outstanding(self) -> list[Change]:
        """Changes of single maps that those of their groups do not say already, the largest first.

        Such a map is one of several in its group, and its change is at least a hundredth of all that changed, and
        several times what is usual in its group.
        """
        sizes: dict[Place, list[int]] = defaultdict(list)
        for change in self.changes:
            sizes[change.place].append(abs(change.bytes))
        most = sum(sum(each) for each in sizes.values())
        several = {group.place for group in self.groups if max(group.before.maps, group.after.maps) > 1}

        def stands_out(change: Change) -> bool:
            alike, grown = sizes[change.place], abs(change.bytes)
            usual = sum(alike) / len(alike)
            return (
                change.place in several
                and grown >= most * OUTSTANDING_SHARE
                and (grown >= usual * OUTSTANDING_TIMES or len(alike) <= FEW)
                and grown > 0
            )

        return sorted(filter(stands_out, self.changes), key=lambda change: -abs(change.bytes))


def compare(before: Earlier, after: Earlier) -> Diff:
    """Match maps by address and type in one process, else by name and type; equal ones are left out."""
    same = before.process is not None and before.process == after.process
    key: Callable[[Row], Hashable] = (
        (lambda row: (row.address, row.type)) if same else (lambda row: (row.name, row.holder, row.type))
    )
    old, new = _grouped(before.rows, key), _grouped(after.rows, key)
    changes = [Change(old.get(each), new.get(each)) for each in {**old, **new}]
    changed = [change for change in changes if change.bytes or change.count or None in (change.before, change.after)]
    groups, unchanged = _compared_by_place(before.rows, after.rows)
    ordered = tuple(sorted(changed, key=lambda change: (-change.bytes, -change.count)))
    return Diff(same, ordered, groups, unchanged)


def _compared_by_place(before: Iterable[Row], after: Iterable[Row]) -> tuple[tuple[GroupChange, ...], int]:
    """The places whose maps changed, and how many did not."""
    old, new = _by_place(before), _by_place(after)
    groups = [_group_change(place, old.get(place, []), new.get(place, [])) for place in {**old, **new}]
    changed = [group for group in groups if group.before != group.after]
    changed.sort(key=lambda group: (-group.bytes, -group.entries, group.place.name))
    return tuple(changed), len(groups) - len(changed)


def _by_place(rows: Iterable[Row]) -> dict[Place, list[Row]]:
    places: dict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        places[row.place].append(row)
    return places


def _group_change(place: Place, before: list[Row], after: list[Row]) -> GroupChange:
    of_type: dict[str, int] = defaultdict(int)
    for row in after or before:
        of_type[row.type] += row.bytes
    return GroupChange(place, max(of_type, key=lambda name: of_type[name]), _amount(before), _amount(after))


def _amount(rows: list[Row]) -> Amount:
    return Amount(sum(row.maps for row in rows), sum(row.count for row in rows), sum(row.bytes for row in rows))


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
