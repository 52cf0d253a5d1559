"""Describes a Swiss map for every renderer: in words, as a picture, as parts of the JSON document."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.goruntime.releases import Release
from inspector.gotypes.words import number_of, size
from inspector.maps.family import Account, Held, Passage, Strip
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import HEADER, LOAD_LIMIT, NAME, SwissMap
from inspector.maps.swiss.mirror.growth import NextGrowth
from inspector.maps.swiss.summary import Summary, dearest_insert, entries_moved

NO_HEADER = SwissMap(0, 0, 0, 0, 0, 0, 0, None, b"", 0)
NO_BYTES = Held({"groups": 0, "tables": 0, "directory": 0, "header": 0}, 0)

FORMS = {"none": "no memory yet", "small": "small, one group without a table", "tables": "tables"}
KINDS = {
    "to-small": "The first group is allocated",
    "to-table": "The group becomes a table",
    "double": "A table doubles",
    "split": "A table splits",
    "prune": "The tombstones of a table are cleared",
}
"""What the next step is, in words."""

LONG_PATHS = 4
"""Groups on a path from which on lengths are summed up in the text."""


def account_of(view: MapView) -> Account:
    """See Snapshot.account."""
    summary = Summary(view)
    header = view.header
    return Account(
        family=NAME,
        header_name=HEADER,
        live=summary.live,
        load=summary.load,
        load_limit=LOAD_LIMIT,
        growing=False,
        state="",
        bytes=summary.held,
        header=_header_rows(summary),
        passages=(_directory_passage(summary), _growth_passage(summary), _occupancy_passage(summary)),
        map_form=_map_form(header),
        growth_form=_growth_form(summary.form, summary.load, summary.next),
        occupancy_form=_occupancy_form(summary),
        row_form={
            "tables": len(view.tables),
            "capacity": int(view.groups.ctrl.size),
            "tombstones": summary.tombstones,
        },
        clone_shrinks=not view.snapshot.release.clone_copies_tables,
    )


def nothing(release: Release) -> Account:
    """See Family.nothing."""
    occupancy = {
        "live": 0, "cells": 0, "tombstones": 0, "tables": 0, "groups": 0, "directory": 0, "probe_lengths": {},
        "bytes": NO_BYTES.form(),
    }  # fmt: skip
    return Account(
        family=NAME,
        header_name=HEADER,
        live=0,
        load=0.0,
        load_limit=LOAD_LIMIT,
        growing=False,
        state="",
        bytes=NO_BYTES,
        map_form=_map_form(NO_HEADER),
        growth_form=_growth_form("none", 0.0, None),
        occupancy_form=occupancy,
        row_form={"tables": 0, "capacity": 0, "tombstones": 0},
    )


# For the user


def _header_rows(summary: Summary) -> tuple[tuple[str, str], ...]:
    header = summary.view.header
    form = FORMS[summary.form]
    rows = [
        ("used", str(header.used)),
        ("seed", f"{header.seed:#018x}"),
        ("dirPtr", f"{header.dir_ptr:#x}" if header.dir_ptr else "nil"),
        ("dirLen", f"{header.dir_len} ({form})"),
        ("globalDepth", str(header.global_depth)),
        ("globalShift", str(header.global_shift)),
        ("writing", f"{header.writing_byte}{' (a write is under way)' if header.writing else ''}"),
    ]
    if header.tombstone_possible is not None:
        rows.append(("tombstonePossible", str(header.tombstone_possible)))
    return (*rows, ("clearSeq", str(header.clear_seq)))


def _directory_passage(summary: Summary) -> Passage:
    """Which directory entries share a table, and how full the tables are."""
    view = summary.view
    if summary.form != "tables":
        return Passage("form", (FORMS[summary.form],))
    tables = view.tables
    depths, counts = np.unique(tables.rows["localDepth"][tables.readable], return_counts=True)
    by_depth = ", ".join(f"{count:,} of depth {depth}" for depth, count in zip(depths, counts, strict=True))
    lines = [
        f"{number_of(len(tables.directory), 'entry')} of {number_of(len(tables), 'table')}; local depths: {by_depth}"
    ]
    sizes, counts = np.unique(summary.capacity, return_counts=True)
    by_size = ", ".join(
        f"{number_of(int(count), 'table')} of {slots:,}" for slots, count in zip(sizes, counts, strict=True)
    )
    lines.append(f"slots: {by_size}")
    if not len(tables.directory) or not view.whole:
        return Passage("directory", tuple(lines))
    full = view.full_of_tables / np.maximum(summary.capacity, 1)
    at = summary.fullest
    mark = (int(tables.first[at]), "fullest table") if at is not None and len(tables) > 1 else None
    return Passage("directory", tuple(lines), Strip(full[tables.of_entry], ("full", "partly full", "empty"), mark))


def _growth_passage(summary: Summary) -> Passage:
    coming = summary.next
    load = f"{summary.load:.2f} entries a group of at most {LOAD_LIMIT:g}"
    if coming is None:
        return Passage("growth", (load,))
    when = f"with the next {number_of(coming.min, 'new key')}" if coming.min > 1 else "with the next new key"
    if coming.expected != coming.min:
        when = f"after {number_of(coming.min, 'new key')} at the earliest, after about {coming.expected:,} random ones"
    lines = [load, f"{KINDS[coming.kind]} {when}."]
    snapshot, at = summary.view.snapshot, summary.fullest
    capacity = int(summary.capacity[at]) if at is not None else 0
    length = len(summary.view.tables.directory)
    cost = dearest_insert(snapshot.release, snapshot.layout, coming, capacity, length)
    moved = entries_moved(coming, capacity)
    doubled = ", the directory doubled" if coming.directory_doubles else ""
    if moved:
        lines.append(f"That insert moves up to {number_of(moved, 'entry')} and allocates {size(cost)}{doubled}.")
    return Passage("growth", tuple(lines))


def _occupancy_passage(summary: Summary) -> Passage:
    view, held = summary.view, summary.held
    slots = view.groups.ctrl.size
    if not view.whole and not slots:
        line = f"not known, because no group was read; the header counts {number_of(view.header.used, 'entry')}"
        return Passage("occupancy", (line,))
    used = f" ({summary.live / slots:.0%} used)" if slots else ""
    tombstones = f", {number_of(summary.tombstones, 'tombstone')}" if summary.tombstones else ""
    lines = [f"{number_of(summary.live, 'entry')} in {number_of(slots, 'slot')}{used}{tombstones}"]
    if summary.form == "tables":
        lines.append(_paths(summary.probe_lengths))
    parts = ", ".join(f"{name} {size(part)}" for name, part in held.parts.items())
    lines.append(f"{size(held.total)}: {parts}")
    lines.append(f"a new map of {number_of(summary.live, 'entry')} would need {size(held.if_rebuilt)}")
    if summary.form == "tables" and not summary.prunes:
        lines.append(_churn(summary))
    return Passage("occupancy", tuple(lines))


def _paths(lengths: dict[int, int]) -> str:
    if not lengths:
        return "how many groups a lookup visits is not known"
    near = ", ".join(f"{count:,} in group {length}" for length, count in lengths.items() if length < LONG_PATHS)
    far = sum(count for length, count in lengths.items() if length >= LONG_PATHS)
    return f"found on their path: {near}{f', {far:,} later (at most {max(lengths)})' if far else ''}"


def _churn(summary: Summary) -> str:
    release = summary.view.snapshot.release
    why = "for this type of key" if release.prunes_tombstones else f"in {release.version}"
    return f"tombstones are never cleared {why}: deleting and inserting makes the map grow (Go issue 70886)"


# For programs


def _map_form(header: SwissMap) -> dict[str, Any]:
    tombstones = header.tombstone_possible
    return {
        "header": {
            "used": header.used,
            "seed": f"{header.seed:#x}",
            "dirPtr": f"{header.dir_ptr:#x}" if header.dir_ptr else None,
            "dirLen": header.dir_len,
            "globalDepth": header.global_depth,
            "globalShift": header.global_shift,
            "writing": header.writing_byte,
            "tombstonePossible": None if tombstones is None else bool(tombstones),
            "clearSeq": header.clear_seq,
        }
    }


def _growth_form(form: str, load: float, coming: NextGrowth | None) -> dict[str, Any]:
    following = None
    if coming is not None:
        following = {
            "kind": coming.kind,
            "inserts": {"min": coming.min, "expected": coming.expected},
            "directory_doubles": coming.directory_doubles,
        }
    return {
        "growing": False,
        "kind": None,
        "form": form,
        "load": load,
        "load_factor_limit": LOAD_LIMIT,
        "next": following,
    }


def _occupancy_form(summary: Summary) -> dict[str, Any]:
    view = summary.view
    return {
        "live": summary.live,
        "cells": int(view.groups.ctrl.size),
        "tombstones": summary.tombstones,
        "tables": len(view.tables),
        "groups": len(view.groups),
        "directory": len(view.tables.directory),
        "probe_lengths": {str(length): count for length, count in summary.probe_lengths.items()},
        "bytes": summary.held.form(),
    }
