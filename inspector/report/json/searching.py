"""Entries that match an expression, for machines."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from inspector.census import Census
from inspector.census.searching import Match, Search
from inspector.gotypes.render import json_form
from inspector.inspection.searching import Matches
from inspector.report.json.dumping import dumps
from inspector.report.json.one_map import SCHEMA, document, entry_form, target_form


def write_matches(matches: Matches, out: IO[str]) -> None:
    """Write the document of one map, with the entries that match in the place of its entries."""
    found = {
        **_about(matches.pattern, matches.in_values, matches.total, matches.cut),
        "entries": [{**entry_form(entry), "literal": literal} for literal, entry in matches.entries],
    }
    form = document(replace(matches.inspection, shown=0)) | {"entries": [], "grep": found}
    out.write(dumps(form) + "\n")


def write_search(census: Census, search: Search, out: IO[str]) -> None:
    """Write a document with what was found in all maps, and nothing else of them."""
    found = {
        **_about(search.pattern.pattern, search.in_values, search.total, search.cut),
        "maps_searched": search.maps,
        "maps_with_matches": search.with_matches,
        "entries": [_match(one) for one in search.matches],
    }
    form = {
        "schema": SCHEMA,
        "target": target_form(census.target) | {"process_identity": census.process},
        "grep": found,
        "notes": list(census.notes),
    }
    out.write(dumps(form) + "\n")


def _about(pattern: str, in_values: bool, total: int, cut: int) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "searched": ["keys", "values"] if in_values else ["keys"],
        "matches": total,
        "texts_cut": cut,
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "map": {"address": f"{match.map.address:#x}", "name": match.map.name, "holder": match.map.holder,
                "type": match.map.type},
        "key": json_form(match.key),
        "value": json_form(match.value),
        "literal": match.literal,
        "address": f"{match.address:#x}",
    }  # fmt: skip
