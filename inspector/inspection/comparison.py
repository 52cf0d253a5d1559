"""Two copies of one map held against each other, entry by entry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from inspector import watching
from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL, UsageError
from inspector.gotypes.render import json_form
from inspector.gotypes.values import GoValue
from inspector.inspection.one_map import Inspection
from inspector.maps.family import Entry

Known = tuple[str, int]
"""A key as JSON, and how many equal ones were before it: NaN may be there many times."""


@dataclass(frozen=True)
class EntryDiff:
    """What differs between two maps: entries that only one of them has, and those whose elements differ.

    `changed` has each entry as it was before and as it is after. Pointers are equal where they lead to one address.
    """

    before: Inspection
    after: Inspection
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    unchanged: int

    @property
    def exit_code(self) -> int:
        """1 where one of the maps is inconsistent, 3 where one was read in part, else 0."""
        codes = {self.before.exit_code, self.after.exit_code}
        return next((code for code in (EXIT_INCONSISTENT, EXIT_PARTIAL) if code in codes), EXIT_CONSISTENT)


def compare_entries(before: Inspection, after: Inspection) -> EntryDiff:
    """Compare all entries of two maps, which have to be inspected with all of them.

    Raises UsageError for maps of different types: their keys cannot be compared.
    """
    if before.ref.type.name != after.ref.type.name:
        raise UsageError(
            f"{before.ref.type.name} cannot be compared with {after.ref.type.name}", "name maps of one type"
        )
    watching.begin("Comparing entries", before.entries_total + after.entries_total)
    old = dict(_known(before))
    added, changed, unchanged = [], [], 0
    for known, entry in _known(after):
        was = old.pop(known, None)
        if was is None:
            added.append(entry)
        elif _written(was.value) != _written(entry.value):
            changed.append((was, entry))
        else:
            unchanged += 1
    return EntryDiff(
        before,
        after,
        tuple(map(after.hidden, added)),
        tuple(map(before.hidden, old.values())),
        tuple((before.hidden(was), after.hidden(entry)) for was, entry in changed),
        unchanged,
    )


def _known(inspection: Inspection) -> Iterator[tuple[Known, Entry]]:
    seen: Counter[str] = Counter()
    for entry in inspection.plain_entries():
        key = _written(entry.key)
        yield (key, seen[key]), entry
        seen[key] += 1


def _written(value: GoValue) -> str:
    return json.dumps(json_form(value), ensure_ascii=True, allow_nan=False)
