"""The machine output, version 1: the JSON document of one map (inspector/report/schema.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from inspector.goruntime.releases import Release
from inspector.gotypes.render import json_form
from inspector.inspection.one_map import Entry, Inspection, TargetInfo
from inspector.maps.classic.checks.finding import Finding
from inspector.maps.classic.header import Hmap, MapExtra
from inspector.maps.classic.summary import BytesHeld, Growth, Occupancy

SCHEMA = "go-map-inspect/1"

NIL_HEADER = Hmap(0, 0, 0, 0, 0, 0, 0, 0, 0)
NIL_OCCUPANCY = Occupancy(0, 0, 0, 0, 0, {}, BytesHeld(0, 0, 0, 0, 0))


def document(inspection: Inspection) -> dict[str, Any]:
    """Everything but the entries; addresses are hexadecimal strings, times milliseconds, sizes bytes."""
    return {
        "schema": SCHEMA,
        "target": target_form(inspection.target),
        "map": _map(inspection),
        "growth": _growth(inspection.growth or _growth_of_nil(inspection.target)),
        "occupancy": _occupancy(inspection.occupancy or NIL_OCCUPANCY),
        "verdict": inspection.judgement.verdict,
        "findings": [finding_form(finding) for finding in inspection.judgement.findings],
        "findings_cut": list(inspection.judgement.cut),
        "hash_proof": vars(inspection.judgement.proof),
        "entries_shown": inspection.entries_shown,
        "entries_total": inspection.entries_total,
        "timing": {name: round(value, 3) for name, value in vars(inspection.timing).items()},
        "bytes_read": inspection.snapshot.bytes_read if inspection.snapshot else 0,
        "notes": list(inspection.notes),
    }


def entry_form(entry: Entry) -> dict[str, Any]:
    """One entry and its place."""
    return {
        "key": json_form(entry.key),
        "value": json_form(entry.value),
        "array": entry.array,
        "bucket": entry.bucket,
        "overflow": entry.overflow,
        "cell": entry.cell,
        "address": f"{entry.address:#x}",
    }


def write_json(inspection: Inspection, out: IO[str]) -> None:
    """Write the whole document; entries are decoded as they are written, however many there are."""
    out.write(_dumps(document(inspection))[:-1] + ', "entries": [')
    separator = "\n"
    for line in _entry_lines(inspection):
        out.write(separator + line)
        separator = ",\n"
    out.write("]}\n")


def write_ndjson(inspection: Inspection, out: IO[str]) -> None:
    """Write the document without entries on one line, then each entry on a line of its own."""
    out.write(_dumps(document(inspection)) + "\n")
    for line in _entry_lines(inspection):
        out.write(line + "\n")


def _entry_lines(inspection: Inspection) -> Iterator[str]:
    return (_dumps(entry_form(entry)) for entry in inspection.entries())


def _dumps(form: dict[str, Any]) -> str:
    return json.dumps(form, ensure_ascii=True, allow_nan=False)


def _address(value: int) -> str | None:
    return f"{value:#x}" if value else None


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


def _map(inspection: Inspection) -> dict[str, Any]:
    snapshot, ref = inspection.snapshot, inspection.ref
    header = snapshot.header if snapshot else NIL_HEADER
    return {
        "address": f"{ref.address:#x}",
        "nil": not ref.address,
        "name": ref.name,
        "family": "classic",
        "type": ref.type.name,
        "type_source": ref.type_source,
        "type_alternatives": [go_type.name for go_type in ref.alternatives],
        "count": header.count,
        "flags": header.flag_names,
        "flags_raw": header.flags,
        "B": header.B,
        "noverflow": header.noverflow,
        "hash0": header.hash0,
        "buckets": _address(header.buckets),
        "oldbuckets": _address(header.oldbuckets),
        "nevacuate": header.nevacuate,
        **({} if header.clear_seq is None else {"clearSeq": header.clear_seq}),
        "extra": _extra(snapshot.extra) if snapshot and snapshot.extra else None,
    }


def _extra(extra: MapExtra) -> dict[str, Any]:
    def listed(pointers: tuple[int, ...] | None) -> list[str] | None:
        return None if pointers is None else [f"{pointer:#x}" for pointer in pointers]

    return {
        "address": f"{extra.address:#x}",
        "overflow": listed(extra.overflow),
        "oldoverflow": listed(extra.oldoverflow),
        "nextOverflow": _address(extra.next_overflow),
    }


def _growth_of_nil(target: TargetInfo) -> Growth:
    release = Release.parse(target.go_version, frozenset(target.experiments))
    return Growth(None, 0, 0, 0, None, 0.0, release.load_factor_half / 2, None)


def _growth(growth: Growth) -> dict[str, Any]:
    left, coming = growth.writes_to_finish, growth.next
    return {
        "growing": growth.kind is not None,
        "kind": growth.kind,
        "old_buckets": growth.old_buckets,
        "evacuated": growth.evacuated,
        "frontier": growth.frontier,
        "writes_to_finish": {"min": left.min, "max": left.max} if left else None,
        "load": growth.load,
        "load_factor_limit": growth.load_factor_limit,
        "next": {"kind": coming.kind, "inserts": coming.inserts} if coming else None,
    }


def _occupancy(occupancy: Occupancy) -> dict[str, Any]:
    held = occupancy.bytes
    return {
        "buckets": occupancy.buckets,
        "overflow_buckets": occupancy.overflow_buckets,
        "old_overflow_buckets": occupancy.old_overflow_buckets,
        "cells": occupancy.cells,
        "live": occupancy.live,
        "chain_lengths": {str(length): count for length, count in occupancy.chain_lengths.items()},
        "bytes": {
            "buckets": held.buckets,
            "overflow": held.overflow,
            "old": held.old,
            "header": held.header,
            "total": held.total,
            "if_rebuilt": held.if_rebuilt,
        },
    }


def finding_form(finding: Finding) -> dict[str, Any]:
    where = finding.where
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "where": {
            "array": where.array,
            "bucket": where.bucket,
            "overflow": where.overflow,
            "cell": where.cell,
            "address": None if where.address is None else f"{where.address:#x}",
        },
        "observed": finding.observed,
        "expected": finding.expected,
        "source": finding.source,
    }
