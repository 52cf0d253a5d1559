"""The census for machines: one JSON document, as promised by schema.json."""

from __future__ import annotations

from typing import IO, Any

from inspector import watching
from inspector.census import Census, CensusMap, Sum, by_type, total
from inspector.census.diff import Change, Diff, GroupChange, Row
from inspector.census.groups import Group
from inspector.census.model import Unproven
from inspector.census.select import Selection
from inspector.inspection.one_map import TargetInfo
from inspector.report.json.dumping import dumps, redaction_form
from inspector.report.json.one_map import SCHEMA, finding_form, target_form

MAPS = '"maps": ['
"""How the list of maps begins in the document: quotes in strings are escaped, so it is nowhere else."""

SHARE_DIGITS = 6
"""Digits behind the point of a share, which is a number of 0 to 1."""


def census_form(
    census: Census, selection: Selection, diff: Diff | None = None, unproven: bool = False
) -> dict[str, Any]:
    """The document; totals are of all maps that the selection matches, however many of them are listed.

    `unproven` lists candidates that could not be proven, which are only counted otherwise.
    """
    maps = selection.matching(census.maps)
    return _form(census, selection, diff, maps, [_map(one) for one in maps[: selection.top]], unproven)


def _form(
    census: Census,
    selection: Selection,
    diff: Diff | None,
    maps: list[CensusMap],
    rows: list[dict[str, Any]],
    unproven: bool,
) -> dict[str, Any]:
    form = {
        "schema": SCHEMA,
        "target": target_form(census.target) | {"process_identity": census.process},
        "census": {
            "maps": rows,
            "totals": _sum(total(maps)),
            "types": [{"type": name, **_sum(each)} for name, each in by_type(maps).items()],
            "scanned_bytes": census.scanned_bytes,
            "timing": {name: round(value, 3) for name, value in vars(census.timing).items()},
            "groups": [_group(each) for each in selection.groups(census)],
            "heap_in_use": census.heap_in_use,
            "unreachable": _sum(unreachable) if (unreachable := census.unreachable(maps)) is not None else None,
            "unproven": {
                "candidates": len(census.unproven),
                "with_evidence": sum(one.evidence for one in census.unproven),
                **({"listed": [_candidate(one) for one in census.unproven]} if unproven else {}),
            },
            **_shrinking(census, selection, maps),
        },
        "notes": list(census.notes),
        **redaction_form(),
    }
    return form if diff is None else form | {"diff": _diff(diff)}


def write_census(census: Census, selection: Selection, diff: Diff | None, out: IO[str], unproven: bool = False) -> None:
    """Write the document on one line, map by map: that of a million maps would not fit into memory as a whole."""
    maps = selection.matching(census.maps)
    before, found, behind = dumps(_form(census, selection, diff, maps, [], unproven)).partition(MAPS)
    assert found
    watching.begin("Writing maps", len(maps[: selection.top]))
    out.write(before + MAPS)
    for number, one in enumerate(maps[: selection.top]):
        watching.reach(number)
        out.write((", " if number else "") + dumps(_map(one)))
    out.write(f"{behind}\n")


def write_diff(target: TargetInfo, process: str | None, diff: Diff, out: IO[str], key_id: str | None = None) -> None:
    """Write a document with nothing but what changed: of a census that was saved its own document has the rest.

    `key_id` says with which key names were hidden in it.
    """
    form = {"schema": SCHEMA, "target": target_form(target) | {"process_identity": process}, "diff": _diff(diff),
            "notes": [], **({"redacted": {"key_id": key_id}} if key_id is not None else {})}  # fmt: skip
    out.write(dumps(form) + "\n")


def _shrinking(census: Census, selection: Selection, maps: list[CensusMap]) -> dict[str, Any]:
    """What to do about maps that hold more than they need, for who asks which do; null where none does."""
    if selection.sort != "waste":
        return {}
    shrinking = census.shrinking(maps)
    return {"shrinking": vars(shrinking) if shrinking is not None else None}


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
        **({"unreachable": True} if one.unreachable else {}),
    }


def _candidate(one: Unproven) -> dict[str, Any]:
    return {
        "address": f"{one.address:#x}",
        "possible_types": list(one.types),
        "count": one.count,
        "why": one.why,
        "evidence": one.evidence,
    }


def _group(group: Group) -> dict[str, Any]:
    of_heap = group.share_of_heap
    return {
        "group": group.name,
        "held_by": group.held_by,
        "types": list(group.types),
        **_sum(group.sum),
        "share": round(group.share, SHARE_DIGITS),
        "share_of_heap": None if of_heap is None else round(of_heap, SHARE_DIGITS),
    }


def _sum(several: Sum) -> dict[str, int]:
    return dict(vars(several))


def _diff(diff: Diff) -> dict[str, Any]:
    return {
        "matched_by": "address" if diff.by_address else "name",
        "changes": [_change(each) for each in diff.changes],
        "groups": [_group_change(each) for each in diff.groups],
    }


def _group_change(change: GroupChange) -> dict[str, Any]:
    return {
        "group": change.place.name,
        "held_by": change.place.held_by,
        "type": change.type,
        "before": dict(vars(change.before)),
        "after": dict(vars(change.after)),
        "maps": change.maps,
        "entries": change.entries,
        "bytes": change.bytes,
    }


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
