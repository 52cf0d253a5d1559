"""What differs between two copies of one map, for machines: one JSON document, as promised by schema.json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from inspector.gotypes.render import json_form
from inspector.inspection.comparison import EntryDiff
from inspector.inspection.one_map import Inspection
from inspector.maps.family import Entry
from inspector.report.json.dumping import dumps, redaction_form
from inspector.report.json.one_map import SCHEMA, head_form, target_form


def write_entry_diff(diff: EntryDiff, out: IO[str]) -> None:
    """Write the document on one line; `target` is where the map is after."""
    form = {
        "schema": SCHEMA,
        "target": target_form(diff.after.target),
        "entry_diff": {
            "before": _head(diff.before),
            "after": _head(diff.after),
            "added": _entries(diff.added),
            "removed": _entries(diff.removed),
            "changed": [
                {"key": json_form(new.key), "before": json_form(old.value), "after": json_form(new.value)}
                for old, new in diff.changed
            ],
            "unchanged": diff.unchanged,
        },
        "notes": [*diff.before.notes, *diff.after.notes],
        **redaction_form(),
    }
    out.write(dumps(form) + "\n")


def _head(inspection: Inspection) -> dict[str, Any]:
    snapshot, verdict = inspection.snapshot, inspection.judgement.verdict
    count = snapshot.header.count if snapshot else 0
    return head_form(inspection.ref, inspection.account.family, count) | {"verdict": verdict}


def _entries(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [{"key": json_form(entry.key), "value": json_form(entry.value)} for entry in entries]
