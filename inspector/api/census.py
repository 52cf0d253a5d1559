"""The census as Python users have it: a table by group, type or map, that can be compared and saved."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from inspector.api import notebooks
from inspector.api.frames import Columns, data_frame, require_choice
from inspector.census import census as taking
from inspector.census import diff as comparing
from inspector.census import model
from inspector.census.groups import by_place, place_of
from inspector.census.model import by_type, total
from inspector.census.saved import HINT, key_id_of, read_saved
from inspector.census.select import Selection
from inspector.coredump.output import output
from inspector.errors import UsageError
from inspector.gotypes.redaction import current
from inspector.gotypes.words import number_of, size
from inspector.report.json.census import write_census
from inspector.report.text.words import described
from inspector.settings import MAX_SHARE, MaxStop
from inspector.target.target import Target

if TYPE_CHECKING:
    import pandas as pd

By = Literal["group", "map", "type"]
"""What has a row of its own in a table."""


@dataclass(frozen=True, repr=False)
class CensusDiff(comparing.Diff):
    """What changed between two censuses, the largest growth first: `groups` of maps, and `changes` of single maps."""

    def to_pandas(self, by: Literal["group", "map"] = "group") -> pd.DataFrame:
        """A row for each group or map that changed: what it has more, and what it had before and has after.

        Of a map that is not there before or after, the numbers of that side are 0. Raises MissingPackage.
        """
        require_choice("by", by, ("group", "map"))
        return data_frame(self._groups() if by == "group" else self._maps())

    def _groups(self) -> Columns:
        rows = self.groups
        columns: Columns = {
            "group": [row.place.name for row in rows],
            "held_by": [row.place.held_by for row in rows],
            "type": [row.type for row in rows],
        }
        for name in ("maps", "entries", "bytes"):
            columns[name] = [getattr(row, name) for row in rows]
            columns[f"{name}_before"] = [getattr(row.before, name) for row in rows]
            columns[f"{name}_after"] = [getattr(row.after, name) for row in rows]
        return columns

    def _maps(self) -> Columns:
        sides = [(row.before, row.after) for row in self.changes]
        known = [after or before for before, after in sides]
        columns: Columns = {name: [getattr(one, name) for one in known] for name in ("name", "holder")}
        columns["group"] = [row.place.name for row in self.changes]
        columns |= {name: [getattr(one, name) for one in known] for name in ("type", "address")}
        for name in ("count", "bytes"):
            columns[name] = [getattr(row, name) for row in self.changes]
            columns[f"{name}_before"] = [getattr(before, name) if before else 0 for before, _ in sides]
            columns[f"{name}_after"] = [getattr(after, name) if after else 0 for _, after in sides]
        return columns

    def __repr__(self) -> str:
        grown = sum(group.bytes for group in self.groups)
        changed = f"{number_of(len(self.groups), 'group')} changed, {self.unchanged:,} did not"
        more = f"{'-' if grown < 0 else '+'}{size(abs(grown))}"
        return f"<diff: {changed}, {more}, maps matched by {'address' if self.by_address else 'name'}>"

    def _repr_html_(self) -> str:
        shown = self.groups[: notebooks.MOST_ROWS]
        rows = [(row.place.name, row.type, row.maps, row.entries, row.bytes) for row in shown]
        heads = ("group", "type", "maps", "entries", "bytes")
        return notebooks.table(repr(self)[1:-1], heads, rows, len(self.groups) - len(shown))


@dataclass(frozen=True, repr=False)
class Census(model.Census):
    """Every map that was found, the largest first. `key_id` says with which secret keys are hidden in the names."""

    key_id: str | None = None

    def to_pandas(self, by: By = "group") -> pd.DataFrame:
        """A row for each group of maps (those that hang at one place), each map, or each type, the largest first.

        Numbers are those of the JSON document. Raises MissingPackage.
        """
        require_choice("by", by, ("group", "map", "type"))
        return data_frame({"group": self._groups, "map": self._maps, "type": self._types}[by]())

    def diff(self, before: model.Census | str | os.PathLike[str]) -> CensusDiff:
        """What changed since an earlier census: one that was taken here, or a file that `save` or --json wrote.

        Maps of one process are matched by address, those of two by name. Raises UsageError for any other file, and
        where keys are hidden in the names of one and not, or with another secret, in those of the other.
        """
        if isinstance(before, model.Census):
            earlier, key_id = comparing.Earlier.of(before), getattr(before, "key_id", None)
        else:
            document = read_saved(os.fspath(before))
            if document is None:
                raise UsageError(f"{os.fspath(before)} is not a saved census", HINT)
            earlier, key_id = comparing.Earlier.parsed(document), key_id_of(document)
        if key_id != self.key_id:
            raise UsageError(
                "keys are not hidden in the same way in the names of both censuses, so nothing would match",
                "take both with the same secret, or hide nothing in either",
            )
        return CensusDiff(**vars(comparing.compare(earlier, comparing.Earlier.of(self))))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the document that --json writes, with all maps; `force` replaces a file.

        The file is there when all of it is written, and only this user can read it. Raises UsageError for a file that
        exists, and InspectError where it cannot be written.
        """
        redactor = current()
        if (redactor.key_id if redactor else None) != self.key_id:
            raise UsageError("the census was taken where values are hidden in another way", "save it where it is taken")
        with output(Path(path), force) as new:
            with open(new.file, "w", encoding="utf-8", closefd=False) as file:
                write_census(self, Selection(), None, file)
            new.publish()

    def _groups(self) -> Columns:
        rows = by_place(self.maps, total(self.maps).bytes, self.heap_in_use)
        columns: Columns = {
            "group": [row.name for row in rows],
            "held_by": [row.held_by for row in rows],
            "type": [row.types[0] for row in rows],
            "types": [len(row.types) for row in rows],
        }
        shares: Columns = {"share": [row.share for row in rows], "share_of_heap": [row.share_of_heap for row in rows]}
        return columns | _sums([row.sum for row in rows]) | shares

    def _types(self) -> Columns:
        sums = by_type(self.maps)
        return {"type": list(sums)} | _sums(sums.values())

    def _maps(self) -> Columns:
        rows = self.maps
        columns: Columns = {name: [getattr(row, name) for row in rows] for name in ("name", "holder")}
        columns["group"] = [place_of(row).name for row in rows]
        told = ("type", "address", "count", "load", "growing", "state", "verdict", "found_by", "unreachable")
        columns |= {name: [getattr(row, name) for row in rows] for name in told}
        columns["findings"] = [len(row.findings) for row in rows]
        columns["bytes"] = [row.bytes.total for row in rows]
        columns["wasted"] = [row.bytes.wasted for row in rows]
        return columns

    def __repr__(self) -> str:
        return f"<census: {self._described()}>"

    def _described(self) -> str:
        all_maps = total(self.maps)
        parts = [number_of(all_maps.maps, "map"), number_of(all_maps.entries, "entry"), size(all_maps.bytes)]
        parts += [f"{all_maps.inconsistent:,} inconsistent"] if all_maps.inconsistent else []
        parts += ["partial"] if self.partial else []
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        groups = by_place(self.maps, total(self.maps).bytes, self.heap_in_use)
        shown = groups[: notebooks.MOST_ROWS]
        rows = [(row.name, row.types[0], row.sum.maps, row.sum.entries, row.sum.bytes, row.sum.wasted) for row in shown]
        heads = ("group", "type", "maps", "entries", "bytes", "wasted")
        title = f"{described(self.target)}: {self._described()}"
        return notebooks.table(title, heads, rows, len(groups) - len(shown))


def _sums(sums: Iterable[model.Sum]) -> Columns:
    rows = list(sums)
    return {each.name: [getattr(row, each.name) for row in rows] for each in fields(model.Sum)}


def take_census(
    target: Target,
    max_stop: MaxStop = "usual",
    watcher: taking.Watcher | None = None,
    strings: bool = False,
    max_share: float | None = MAX_SHARE,
    budget: float | None = None,
    question: taking.Question | None = None,
) -> Census:
    """Find, prove, name and judge every map of a target.

    A process is held once, for a copy of all its memory, where that is sure not to take longer than `max_stop` seconds;
    else for a copy of a few megabytes or for a few maps at a time. It is never held for more than `max_share` of any
    second, nor for more than `budget` seconds in all (None for no limit): then maps are copied while it runs, and those
    that change too fast are listed as not read. `strings` counts the bytes of the strings in maps, too. The
    `question` is asked of the maps in the end. Raises the InspectError family.
    """
    redactor = current()
    found: dict[str, Any] = vars(taking.take_census(target, max_stop, watcher, strings, max_share, budget, question))
    return Census(**found, key_id=redactor.key_id if redactor else None)
