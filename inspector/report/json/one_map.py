"""The machine output, version 1: the JSON document of one map (inspector/report/schema.json)."""

from __future__ import annotations

from typing import IO, Any

from inspector.gotypes.render import json_form
from inspector.inspection.one_map import Inspection, TargetInfo
from inspector.maps.family import Entry
from inspector.maps.findings import Finding
from inspector.naming.locate import MapRef
from inspector.report.json.dumping import dumps, redaction_form
from inspector.report.json.entries import entry_texts

SCHEMA = "go-map-inspect/1"

BETWEEN = ",\n"
"""What stands between the entries of a document."""


def document(inspection: Inspection) -> dict[str, Any]:
    """Everything but the entries; addresses are hexadecimal strings, times milliseconds, sizes bytes."""
    return {
        "schema": SCHEMA,
        "target": target_form(inspection.target),
        "map": _map(inspection),
        "growth": inspection.account.growth_form,
        "occupancy": inspection.account.occupancy_form,
        "verdict": inspection.judgement.verdict,
        "findings": [finding_form(finding) for finding in inspection.judgement.findings],
        "findings_cut": list(inspection.judgement.cut),
        "hash_proof": vars(inspection.judgement.proof),
        "entries_shown": inspection.entries_shown,
        "entries_total": inspection.entries_total,
        "timing": {name: round(value, 3) for name, value in vars(inspection.timing).items()},
        "bytes_read": inspection.snapshot.bytes_read if inspection.snapshot else 0,
        "notes": list(inspection.notes),
        **({"shrinking": vars(inspection.shrinking)} if inspection.shrinking is not None else {}),
        **({"wrong_type": inspection.wrong_type} if inspection.wrong_type is not None else {}),
        **redaction_form(),
    }


def entry_form(entry: Entry) -> dict[str, Any]:
    """One entry and its place."""
    return {
        "key": json_form(entry.key),
        "value": json_form(entry.value),
        **entry.place.form(),
        "address": f"{entry.place.address:#x}",
    }


def write_json(inspection: Inspection, out: IO[str]) -> None:
    """Write the whole document; entries are decoded as they are written, whatever their number."""
    out.write(dumps(document(inspection))[:-1] + ', "entries": [')
    separator = "\n"
    for text in entry_texts(inspection, BETWEEN):
        out.write(separator)
        out.write(text[: -len(BETWEEN)])
        separator = BETWEEN
    out.write("]}\n")


def write_ndjson(inspection: Inspection, out: IO[str]) -> None:
    """Write the document without entries on one line, then each entry on a line of its own."""
    out.write(dumps(document(inspection)) + "\n")
    for text in entry_texts(inspection, "\n"):
        out.write(text)


def target_form(target: TargetInfo) -> dict[str, Any]:
    """What the machine output says about a target."""
    return {
        "kind": target.kind,
        "pid": target.pid,
        "exe": target.exe,
        "go_version": target.go_version,
        "experiments": list(target.experiments),
        "stripped": target.stripped,
        "memory": target.memory,
    }


def head_form(ref: MapRef, family: str, count: int) -> dict[str, Any]:
    """Which map it is: what every document about one map has."""
    return {
        "address": f"{ref.address:#x}",
        "nil": not ref.address,
        "name": ref.name,
        "family": family,
        "type": ref.type.name,
        "type_source": ref.type_source,
        "type_alternatives": [go_type.name for go_type in ref.alternatives],
        "count": count,
    }


def _map(inspection: Inspection) -> dict[str, Any]:
    snapshot, ref = inspection.snapshot, inspection.ref
    return {
        **head_form(ref, inspection.account.family, snapshot.header.count if snapshot else 0),
        **inspection.account.map_form(),
    }


def finding_form(finding: Finding) -> dict[str, Any]:
    """A finding and its place."""
    address = finding.where.address
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "where": {**finding.where.form(), "address": None if address is None else f"{address:#x}"},
        "observed": finding.observed,
        "expected": finding.expected,
        "source": finding.source,
    }
