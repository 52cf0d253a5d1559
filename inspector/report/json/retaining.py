"""What maps keep alive alone, for machines."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from inspector.census import Census
from inspector.census.retaining import COUNTED, Keeper, RetainedSearch
from inspector.heap.references import Retained
from inspector.inspection.one_map import Inspection
from inspector.report.json.dumping import dumps
from inspector.report.json.one_map import SCHEMA, document, target_form


def write_retained(inspection: Inspection, retained: Retained | None, complete: bool, out: IO[str]) -> None:
    """Write the document of one map without its entries, with what it keeps alone."""
    found = {"counted": COUNTED, "complete": complete, **_retained(retained or Retained(0, 0, 0))}
    out.write(dumps(document(replace(inspection, shown=0)) | {"entries": [], "retained": found}) + "\n")


def write_all_retained(census: Census, search: RetainedSearch, out: IO[str]) -> None:
    """Write a document with what groups of maps keep alone, or single maps, and nothing else of them."""
    form = {
        "schema": SCHEMA,
        "target": target_form(census.target) | {"process_identity": census.process},
        "retained": {
            "counted": COUNTED,
            "complete": search.complete,
            "of": [_keeper(one) for one in search.of],
            "total": search.total,
        },
        "notes": list(census.notes),
    }
    out.write(dumps(form) + "\n")


def _keeper(one: Keeper) -> dict[str, Any]:
    which = {"group": one.name} if one.address is None else {"address": f"{one.address:#x}", "name": one.name}
    return {**which, "type": one.type, "maps": one.maps, "bytes_of_maps": one.bytes, **_retained(one.retained)}


def _retained(retained: Retained) -> dict[str, int]:
    return {"objects": retained.objects, "bytes": retained.bytes, "reached_bytes": retained.reached}
