"""One key for machines: one JSON document, as promised by schema.json."""

from __future__ import annotations

from typing import IO, Any

from inspector.gotypes.render import json_form
from inspector.inspection.one_key import KeyAnswer
from inspector.report.json.dumping import dumps, redaction_form
from inspector.report.json.one_map import SCHEMA, head_form, target_form


def lookup_form(answer: KeyAnswer) -> dict[str, Any]:
    """The document: the head of the map, the buckets that were visited, and what was found."""
    lookup, ref = answer.lookup, answer.ref
    return {
        "schema": SCHEMA,
        "target": target_form(answer.target),
        "map": head_form(ref, answer.family, answer.count),
        "lookup": {
            "key": answer.key,
            "found": answer.present,
            "value": None if answer.doubt else json_form(lookup.value),
            "hash": None if lookup.hash is None else f"{lookup.hash:#x}",
            **({lookup.fingerprint_name: lookup.fingerprint} if lookup.fingerprint_name else {}),
            "path": [step.form for step in lookup.steps],
            lookup.cell_name: None if answer.doubt else lookup.found,
            "ended": answer.doubt or lookup.ended,
            **({"inserting": lookup.inserting} if lookup.inserting and not answer.doubt else {}),
        },
        "bytes_read": lookup.bytes_read,
        "notes": list(answer.notes),
        **redaction_form(),
    }


def write_lookup(answer: KeyAnswer, out: IO[str]) -> None:
    """Write the document on one line."""
    out.write(dumps(lookup_form(answer)) + "\n")
