"""Which step of a write a stop interrupted, found by what it left half done.

Each rule knows which functions of the runtime may leave it broken for a moment (`Finding.in_flight`). One write is in
one place at a time, so one step has to explain everything that is broken, and all of it has to be in one place. Only
growToTable leaves a map that cannot be read for a moment: dirPtr leads to a directory already, and dirLen is still 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import swisstable
from inspector.maps.findings import Finding
from inspector.maps.judging import Explanation, interrupted
from inspector.maps.swiss.checks.steps import Step
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.places import Where

WHAT: dict[Step, str] = {
    "maps.Map.growToSmall": "had made the first group and not marked its slots empty yet",
    "maps.Map.putSlotSmall": "filled a slot",
    "maps.Map.deleteSmall": "emptied a slot",
    "maps.Map.clearSmall": "cleared the group",
    "maps.table.PutSlot": "filled a slot",
    "maps.table.uncheckedPutSlotForAssign": "filled a slot of the first table",
    "maps.table.Delete": "emptied a slot",
    "maps.table.pruneTombstones": "made deleted slots empty ones",
    "maps.table.grow": "put a table of double size in place",
    "maps.table.split": "put two tables in the place of one",
    "maps.Map.growToTable": "put the first table in place",
    "maps.Map.installTableSplit": "doubled the directory",
    "maps.Map.Clear": "cleared all tables",
}
"""What each step was doing."""

FLAG = ("writing is 1", "0, once the write is done")
WRITES = "maps.Map.PutSlot, maps.Map.Delete, maps.Map.Clear"

ANYWHERE = frozenset({"D1", "D2", "D3"})
"""Rules about the directory, of which one step may break several tables at once."""

SPREAD_BY_CLEAR = frozenset({"K3"})
"""Rules that clearing one table breaks for keys all over it."""


def interruption(view: MapView, errors: Iterable[Finding]) -> Explanation | None:
    """The one interrupted step that explains all errors; None when none does, or no write was under way."""
    if view.header.writing_byte != 1:
        return None
    errors = tuple(errors)
    places = [place_of(error) for error in errors]
    place = next((place for place in places if place.table is not None), Where(address=view.snapshot.address))
    if not errors:
        return _explained((), place)
    if _becoming_a_table(view):
        return _explained(("maps.Map.growToTable",), Where(address=view.snapshot.address))
    steps = tuple(step for step in WHAT if _fits(step, errors))
    return _explained(steps, place) if steps else None


def place_of(finding: Finding) -> Where:
    """The place of a finding of this family."""
    assert isinstance(finding.where, Where)
    return finding.where


def _fits(step: Step, errors: tuple[Finding, ...]) -> bool:
    if not all(step in error.in_flight for error in errors):
        return False
    spread = ANYWHERE | (SPREAD_BY_CLEAR if step == "maps.Map.Clear" else frozenset())
    places = [place_of(error) for error in errors if error.rule not in spread]
    tables = {place.table for place in places if place.table is not None}
    groups = {place.group for place in places if place.group is not None}
    slots = {place.slot for place in places if place.slot is not None}
    return max(len(tables), len(groups), len(slots)) <= 1


def _becoming_a_table(view: MapView) -> bool:
    """Whether dirPtr leads to a directory of one table already, while dirLen still says that it is a group.

    That happens to a full group only. Then the control word is the address of a table.
    """
    header = view.header
    if not header.small or header.used != GROUP_SLOTS or len(view.groups) != 1 or not view.form_sound:
        return False
    address = int(view.groups.ctrl[0].view(np.uint64)[0])
    aligned = address != 0 and address % swisstable.sizeof() == 0
    return aligned and view.snapshot.regions.covers(address, swisstable.sizeof())


def _explained(steps: tuple[Step, ...], where: Where) -> Explanation:
    return interrupted({step: WHAT[step] for step in steps}, where, FLAG, WRITES)
