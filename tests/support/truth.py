"""Holding what the inspector says against what the Go program itself printed."""

from __future__ import annotations

import io
import json
from typing import Any

from inspector.inspection.one_map import Inspection, inspect
from inspector.report.json.one_map import write_json
from inspector.target.target import Target

NOT_IN_EXECUTABLE = {"reflect_map"}
"""States whose map type only exists at run time, so that no name leads to it."""

EXPECTED_WARNINGS = {"chain_long": ["O5"]}
"""States that deserve a warning: its keys were chosen to collide."""

HEADER = ("count", "B", "noverflow", "hash0", "buckets", "oldbuckets", "nevacuate", "extra")


def document_of(inspection: Inspection) -> dict[str, Any]:
    """The machine output as a program would read it."""
    out = io.StringIO()
    write_json(inspection, out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def inspect_state(target: Target, state: dict[str, Any], by_address: bool = False) -> dict[str, Any]:
    """Inspect the map of a state, by its variable where it has one, with all entries."""
    named = state["variable"] and not by_address
    name, type_name = (state["variable"], None) if named else (state["address"], state["type"])
    return document_of(inspect(target, name, type_name, entries=None, max_stop=30))


def differences(document: dict[str, Any], state: dict[str, Any]) -> list[str]:
    """What the document says otherwise than the program; empty when they agree in every point."""
    found = []

    def hold(what: str, seen: Any, told: Any) -> None:
        if seen != told:
            found.append(f"{what}: inspector {seen!r}, program {told!r}")

    seen = document["map"]
    hold("address", seen["address"], state["address"])
    hold("type", seen["type"], state["type"])
    hold("len", seen["count"], state["len"])
    header = state["header"]
    if header is not None:
        hold("flags", seen["flags_raw"], header["flags"])
        for field in HEADER:
            hold(field, seen[field], header[field])
    hold("entries", in_order(document["entries"]), in_order(state["entries"]))
    hold("verdict", document["verdict"], "consistent")
    hold("findings", [finding["rule"] for finding in document["findings"]], EXPECTED_WARNINGS.get(state["name"], []))
    return found


def in_order(entries: list[dict[str, Any]]) -> list[str]:
    """Entries as sorted texts: Go's maps have no order, and JSON objects cannot be compared."""
    return sorted(json.dumps([entry["key"], entry["value"]]) for entry in entries)


def all_differences(target: Target, states: list[dict[str, Any]], by_address: bool = False) -> dict[str, list[str]]:
    """Differences of every state, by its name; empty when the inspector is right everywhere."""
    wrong = {}
    for state in states:
        if state["name"] in NOT_IN_EXECUTABLE:
            continue
        found = differences(inspect_state(target, state, by_address), state)
        if found:
            wrong[state["name"]] = found
    return wrong
