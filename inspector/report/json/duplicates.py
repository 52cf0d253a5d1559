"""Strings that are held more than once, for machines."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from inspector.census import Census
from inspector.gotypes.render import json_form
from inspector.inspection.duplicates import Duplicate, Duplicates
from inspector.inspection.one_map import Inspection
from inspector.report.json.dumping import dumps
from inspector.report.json.one_map import SCHEMA, document, target_form


def write_duplicates(inspection: Inspection, found: Duplicates, out: IO[str]) -> None:
    """Write the document of one map without its entries, with the strings that it holds more than once."""
    form = document(replace(inspection, shown=0)) | {"entries": [], "duplicates": duplicates_form(found)}
    out.write(dumps(form) + "\n")


def write_all_duplicates(census: Census, found: Duplicates, maps: int, out: IO[str]) -> None:
    """Write a document with the strings that so many maps hold more than once, and nothing else of the maps."""
    form = {
        "schema": SCHEMA,
        "target": target_form(census.target) | {"process_identity": census.process},
        "duplicates": {**duplicates_form(found), "maps_searched": maps},
        "notes": list(census.notes),
    }
    out.write(dumps(form) + "\n")


def duplicates_form(found: Duplicates) -> dict[str, Any]:
    """All numbers, and the texts that would give back most."""
    numbers = {name: value for name, value in vars(found).items() if name != "top"}
    return {**numbers, "top": [_duplicate(one) for one in found.top]}


def _duplicate(one: Duplicate) -> dict[str, Any]:
    return {
        "text": json_form(one.text),
        "length": one.text.length,
        "times": one.times,
        "copies": one.copies,
        "gives_back": one.gives_back,
    }
