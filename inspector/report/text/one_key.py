"""The walk for one key, for people and as JSON."""

from __future__ import annotations

import json
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from inspector.gotypes.render import go_form, json_form, plain
from inspector.inspection.one_key import KeyAnswer
from inspector.maps.family import Step
from inspector.report.json.one_map import SCHEMA, target_form


def print_lookup(answer: KeyAnswer, console: Console) -> None:
    """Print the hash, each bucket of the walk, and what was found."""
    lookup, ref = answer.lookup, answer.ref
    console.print(Text(f"{plain(ref.type.name)} at {ref.address:#x}, key {plain(answer.key)}", style="bold"))
    if lookup.hash is not None:
        console.print(Text(f"hash {lookup.hash:#018x}, {lookup.fingerprint_name} {lookup.fingerprint}"))
    for step in lookup.steps:
        console.print(Text(_line(step, lookup.found if step is lookup.steps[-1] else None)))
    if lookup.found is None:
        console.print(Text(lookup.ended))
    else:
        console.print(Text(f"found in {lookup.cell_name} {lookup.found}: {go_form(lookup.value)}"))
    console.print(Text(f"{lookup.bytes_read:,} bytes read", style="dim"))


def _line(step: Step, found: int | None) -> str:
    cells = " ".join(
        f"[{mark}]" if cell == found else f"({mark})" if cell in step.compared else step.words[cell]
        for cell, mark in enumerate(step.marks)
    )
    return f"  {step.place.words()}: {cells}"


def write_lookup(answer: KeyAnswer, out: IO[str]) -> None:
    """Write one JSON document."""
    lookup, ref = answer.lookup, answer.ref
    form: dict[str, Any] = {
        "schema": SCHEMA,
        "target": target_form(answer.target),
        "map": {
            "address": f"{ref.address:#x}",
            "name": ref.name,
            "type": ref.type.name,
            "type_source": ref.type_source,
            "type_alternatives": [go_type.name for go_type in ref.alternatives],
        },
        "lookup": {
            "key": answer.key,
            "found": lookup.found is not None,
            "value": json_form(lookup.value),
            "hash": None if lookup.hash is None else f"{lookup.hash:#x}",
            lookup.fingerprint_name: lookup.fingerprint,
            "path": [step.form for step in lookup.steps],
            lookup.cell_name: lookup.found,
            "ended": lookup.ended,
        },
        "bytes_read": lookup.bytes_read,
        "notes": list(answer.notes),
    }
    out.write(json.dumps(form, allow_nan=False) + "\n")
