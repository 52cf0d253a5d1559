"""The largest entries of one map, for machines: the document of the map, without its other entries."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from inspector.gotypes.weighing import COUNTED
from inspector.inspection.largest import Largest, Weighed
from inspector.report.json.dumping import dumps
from inspector.report.json.one_map import document, entry_form


def write_largest(largest: Largest, out: IO[str]) -> None:
    """Write the document on one line."""
    form = document(replace(largest.inspection, shown=0)) | {"entries": [], "top_entries": largest_form(largest)}
    out.write(dumps(form) + "\n")


def largest_form(largest: Largest) -> dict[str, Any]:
    """The largest entries, the largest first, and what all entries hold together."""
    sums = {"key": largest.key_bytes, "value": largest.value_bytes, "total": largest.key_bytes + largest.value_bytes}
    return {
        "by": largest.by,
        "counted": COUNTED,
        "all_bytes": sums,
        "pointers_missed": largest.missed,
        "entries": [_weighed(one) for one in largest.entries],
    }


def _weighed(one: Weighed) -> dict[str, Any]:
    return {**entry_form(one.entry), "bytes": {"key": one.key_bytes, "value": one.value_bytes, "total": one.bytes}}
