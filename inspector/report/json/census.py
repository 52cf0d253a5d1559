"""The census for machines: one JSON document, as promised by schema.json."""

from __future__ import annotations

import json
from typing import IO, Any

from inspector.census import Census, CensusMap, Sum, by_type, total
from inspector.census.diff import Change, Diff, Row
from inspector.census.select import Selection
from inspector.report.json.one_map import SCHEMA, finding_form, target_form


def census_form(census: Census, selection: Selection, diff: Diff | None = None) -> dict[str, Any]:
    """The document; totals are of all maps that the selection matches, however many of them are listed."""
    maps = selection.matching(census.maps)
    form = {
        "schema": SCHEMA,
        "target": target_form(census.target) | {"process_identity": census.process},
        "census": {
            "maps": [_map(one) for one in maps[: selection.top]],
            "totals": _sum(total(maps)),
            "types": [{"type": name, **_sum(each)} for name, each in by_type(maps).items()],
            "scanned_bytes": census.scanned_bytes,
            "timing": {name: round(value, 3) for name, value in vars(census.timing).items()},
        },
        "notes": list(census.notes),
    }
    return form if diff is None else form | {"diff": _diff(diff)}


def write_census(census: Census, selection: Selection, diff: Diff | None, out: IO[str]) -> None:
    """Write the document on one line."""
    out.write(json.dumps(census_form(census, selection, diff), ensure_ascii=True, allow_nan=False) + "\n")


def _map(one: CensusMap) -> dict[str, Any]:
    return {
        "address": f"{one.address:#x}",
        "type": one.type,
        "type_source": one.type_source,
        "type_alternatives": list(one.alternatives),
        "count": one.count,
        **one.form,
        "load": one.load,
        "growing": one.growing,
        "growth": one.growth,
        "verdict": one.verdict,
        "findings": [finding_form(finding) for finding in one.findings],
        "bytes": one.bytes.form(),
        "found_by": one.found_by,
        "name": one.name,
        "holder": one.holder,
        **({"clones": [f"{address:#x}" for address in one.clones]} if one.clones else {}),
    }


def _sum(several: Sum) -> dict[str, int]:
    return dict(vars(several))


def _diff(diff: Diff) -> dict[str, Any]:
    return {"matched_by": "address" if diff.by_address else "name", "changes": [_change(each) for each in diff.changes]}


def _change(change: Change) -> dict[str, Any]:
    one = change.after or change.before
    assert one is not None
    return {
        "type": one.type,
        "name": one.name,
        "holder": one.holder,
        "before": _row(change.before),
        "after": _row(change.after),
        "bytes": change.bytes,
        "count": change.count,
    }


def _row(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    address = None if row.address is None else f"{row.address:#x}"
    return {"address": address, "maps": row.maps, "count": row.count, "bytes": row.bytes}
