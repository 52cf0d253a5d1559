"""Two censuses held against each other: which maps grew."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from inspector.census.model import Census
from inspector.errors import Hint, UsageError

LARGEST_FILE = 1 << 30
"""Bytes of a saved census that are read; a core is larger and no text."""


def read_saved(path: str) -> Any | None:
    """The JSON document in a file; None where the path names something else, a core or a process."""
    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{" or os.fstat(file.fileno()).st_size > LARGEST_FILE:
                return None
            file.seek(0)
            return json.load(file)
    except OSError:
        return None
    except ValueError:
        raise UsageError(f"{path} is no JSON document", Hint("save one with: {save}")) from None


@dataclass(frozen=True)
class Row:
    """What a comparison needs of one map, or of several that are told apart in one of the censuses only."""

    address: int | None
    type: str
    name: str | None
    maps: int
    count: int
    bytes: int


@dataclass(frozen=True)
class Earlier:
    """An earlier census: which process it was of (None where that is not known), and its maps."""

    process: tuple[int, str] | None
    rows: tuple[Row, ...]

    @staticmethod
    def of(census: Census) -> Earlier:
        """What a comparison needs of a census."""
        target = census.target
        rows = (
            Row(one.address, one.type, one.name or one.holder, 1, one.count, one.bytes.total) for one in census.maps
        )
        return Earlier((target.pid, target.exe) if target.pid else None, tuple(rows))

    @staticmethod
    def parsed(document: Any) -> Earlier:
        """Read a document that --json wrote; raises UsageError for anything else."""
        try:
            target = document["target"]
            rows = tuple(
                Row(
                    int(one["address"], 16),
                    str(one["type"]),
                    one["name"] or one["holder"],
                    1,
                    int(one["count"]),
                    int(one["bytes"]["total"]),
                )
                for one in document["census"]["maps"]
            )
            return Earlier((int(target["pid"]), str(target["exe"])) if target["pid"] else None, rows)
        except (KeyError, TypeError, ValueError):
            raise UsageError("the file to compare with holds no census", Hint("save one with: {save}")) from None


@dataclass(frozen=True)
class Change:
    """A map, or the maps of one name and type, before and after; None where there is none."""

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
    """What changed, the largest growth first. `by_address` says whether it is the same process."""

    by_address: bool
    changes: tuple[Change, ...]


def compare(before: Earlier, after: Earlier) -> Diff:
    """Match maps by address and type in one process, else by name and type; equal ones are left out."""
    same = before.process is not None and before.process == after.process
    key: Callable[[Row], Hashable] = (
        (lambda row: (row.address, row.type)) if same else (lambda row: (row.name, row.type))
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
    return Row(address, first.type, first.name, len(group), count, size)
