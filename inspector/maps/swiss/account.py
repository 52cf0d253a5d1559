"""Describes a map for every renderer: in words, as a picture, as parts of the JSON document."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.gotypes.words import number_of, size
from inspector.maps.family import Account, Held, Passage, Strip
from inspector.maps.shrinking import Keeping
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import HEADER, LOAD_LIMIT, NAME, SwissMap
from inspector.maps.swiss.mirror.growth import Dearest, NextGrowth, most_entries
from inspector.maps.swiss.summary import SMALL_LIMIT, Growth, Occupancy, growth_of, occupancy_of

LENGTHS_SHOWN = 3
"""Path lengths that a line has room for."""

SIZES_SHOWN = 3
"""Sizes of tables that a line has room for."""

SHARED_SHOWN = 3
"""Tables with several directory entries that a line has room for."""

FULLNESS = (0.25, 0.5, 0.75, 1.0)
"""Upper ends of the classes that tables are counted in by how full they are."""


def account_of(proof: Proof) -> Account:
    """See Snapshot.account."""
    view = proof.view
    growth, occupancy = growth_of(proof), occupancy_of(proof)
    tables = (_directory_passage(view), _tables_passage(view)) if len(view.tables) else ()
    passages = (_growth_passage(proof, growth), *tables, _occupancy_passage(proof, growth, occupancy))
    return _account(view.snapshot.release, view.header, growth, occupancy, _header_rows(view.header), passages)


def row_of(proof: Proof) -> Account:
    """See Snapshot.row: neither growth nor paths of keys are worked out, which take longer than all the rest."""
    view = proof.view
    occupancy = occupancy_of(proof, with_paths=False)
    load, limit = view.live_count / max(len(view.groups), 1), LOAD_LIMIT if len(view.tables) else SMALL_LIMIT
    return Account(
        family=NAME,
        header_name=HEADER,
        live=occupancy.live,
        load=load,
        load_limit=limit,
        growing=False,
        state=_state(occupancy),
        bytes=occupancy.bytes,
        row_form=_row_form(occupancy),
    )


def nothing(release: Release) -> Account:
    """See Reader.nothing."""
    header = SwissMap(0, 0, 0, 0, 0, 0, 0, 0 if release.has_tombstone_possible else None, b"", 0)
    growth = Growth("none", 0.0, SMALL_LIMIT, None, True, None, 0, "", False)
    held = Held({"groups": 0, "tables": 0, "directory": 0, "header": 0}, 0)
    return _account(release, header, growth, Occupancy(0, 0, 0, 0, 0, 0, {}, held), (), ())


def keeping(release: Release) -> Keeping:
    """See Family.keeping: Map.Delete and Map.Clear keep all tables and the directory; see clone_copies_tables, too."""
    return Keeping("tables", "copies" if release.clone_copies_tables else "rebuilds")


def _tombstones_kept(release: Release, growth: Growth, occupancy: Occupancy) -> str:
    """What becomes of this map's tombstones, which are no reason of their own for its size."""
    if not occupancy.tombstones:
        return ""
    many = number_of(occupancy.tombstones, "tombstone")
    if growth.prunes:
        return f"Writes of new keys ({growth.assign}) prune its {many} where they need the slots, and free no memory."
    return f"Its {many} stay until a table grows: {growth.assign} never prunes them in {release.version}."


def _account(
    release: Release,
    header: SwissMap,
    growth: Growth,
    occupancy: Occupancy,
    rows: tuple[tuple[str, str], ...],
    passages: tuple[Passage, ...],
) -> Account:
    return Account(
        family=NAME,
        header_name=HEADER,
        live=occupancy.live,
        load=growth.load,
        load_limit=growth.load_limit,
        growing=False,
        state=_state(occupancy),
        bytes=occupancy.bytes,
        header=rows,
        passages=passages,
        map_form=partial(_map_form, header),
        growth_form=_growth_form(growth),
        occupancy_form=_occupancy_form(occupancy),
        row_form=_row_form(occupancy),
        keeping=replace(keeping(release), tombstones=_tombstones_kept(release, growth, occupancy)),
    )


def _state(occupancy: Occupancy) -> str:
    return number_of(occupancy.tombstones, "tombstone") if occupancy.tombstones else ""


def _row_form(occupancy: Occupancy) -> dict[str, Any]:
    return {"tables": occupancy.tables, "capacity": occupancy.slots, "tombstones": occupancy.tombstones}


# For the user


def _header_rows(header: SwissMap) -> tuple[tuple[str, str], ...]:
    depth = header.global_depth
    top = f"the top {depth} bits of a hash choose the table" if depth > 1 else "the top bit of a hash chooses the table"
    tombstones = {None: "not in this release", 0: "0 (no)", 1: "1 (deletes may have left some)"}
    writing = {0: "0 (no write under way)", 1: "1 (a write was under way)"}
    return (
        ("used", f"{header.used} (entries)"),
        ("seed", f"{header.seed:#018x}"),
        ("dirPtr", _storage(header)),
        ("dirLen", f"{header.dir_len}" + (" (no directory)" if header.small else "")),
        ("globalDepth", f"{depth}" + (f" ({top})" if depth and not header.small else "")),
        ("globalShift", str(header.global_shift)),
        ("writing", writing.get(header.writing_byte, str(header.writing_byte))),
        ("tombstonePossible", tombstones.get(header.tombstone_possible, str(header.tombstone_possible))),
        ("clearSeq", f"{header.clear_seq} ({_times(header.clear_seq)})"),
    )


def _times(clear_seq: int) -> str:
    return "never cleared" if not clear_seq else "counts clears"


def _storage(header: SwissMap) -> str:
    if not header.dir_ptr:
        return "nil (no memory yet)"
    return f"{header.dir_ptr:#x} ({'its only group' if header.small else 'the directory'})"


def _growth_passage(proof: Proof, growth: Growth) -> Passage:
    release = proof.snapshot.release
    first = f"none; {growth.load:.2f} entries a group of at most {growth.load_limit:g}"
    lines = _next_lines(growth) if growth.next else []
    full = growth.form == "small" and proof.view.header.used == GROUP_SLOTS
    if full and release.update_converts_full_group:
        lines.append("A write to a key that is present starts it, too (until Go 1.26).")
    if growth.dearest:
        lines.append(_cost(growth.dearest, growth.dearest_bytes))
    if growth.form == "tables" and (proof.view.groups.deleted_count.any() or proof.view.header.tombstone_possible):
        lines += _tombstone_lines(growth, release)
    return Passage("growth", (first, *lines))


def _tombstone_lines(growth: Growth, release: Release) -> tuple[str, ...]:
    """What becomes of the tombstones of a map that keys are deleted from."""
    if growth.prunes:
        return (f"{growth.assign} prunes tombstones where that frees a tenth of a table.",)
    return (
        f"Warning: {growth.assign} never prunes tombstones in {release.version}:",
        "replacing keys makes this map grow without end.",
    )


def _next_lines(growth: Growth) -> list[str]:
    coming = growth.next
    assert coming is not None
    least = number_of(coming.min, "more new key")
    if coming.kind == "to-small":
        return ["The next new key makes its first group (to-small)."]
    if growth.certain:
        starts = "starts" if coming.min == 1 else "start"
        lines = [f"{least} {starts} the next ({coming.kind})"]
    else:
        lines = [f"{least} can start the next ({coming.kind}); random keys take about {coming.expected:,}"]
    if coming.directory_doubles:
        lines.append("The split doubles the directory.")
    return lines


def _cost(dearest: Dearest, new_bytes: int) -> str:
    if not dearest.tables:
        return f"One insert costs at most {size(new_bytes)} for the first group."
    table = "a table" if dearest.tables == 1 else f"{dearest.tables} tables"
    return (
        f"One insert moves at most {dearest.moved:,} entries to {table} of {dearest.capacity:,} slots"
        f" ({size(new_bytes)})"
    )


def _directory_passage(view: MapView) -> Passage:
    """Which entries share a table, and how deep tables are; a picture where some are shared."""
    tables, header = view.tables, view.header
    leads = "lead" if header.dir_len != 1 else "leads"
    first = f"{number_of(header.dir_len, 'entry')} {leads} to {number_of(len(tables), 'table')}"
    depths, counts = np.unique(tables.rows["localDepth"], return_counts=True)
    if len(depths) == 1:
        first += f" of local depth {depths[0]}"
    elif len(depths) == 2:
        first += "; " + ", ".join(f"{many:,} of depth {depth}" for depth, many in zip(depths, counts, strict=True))
    else:
        first += f"; local depths {depths[0]} to {depths[-1]}"
    shared = np.flatnonzero(tables.entries > 1)
    if not len(shared):
        return Passage("directory", (first,))
    spans = [f"{tables.first[at]} to {tables.first[at] + tables.entries[at] - 1}" for at in shared[:SHARED_SHOWN]]
    more = f" and {len(shared) - SHARED_SHOWN:,} more" if len(shared) > SHARED_SHOWN else ""
    strip = Strip((tables.entries[tables.of_entry] == 1).astype(float), ("a table of its own", "both", "shared"))
    return Passage("directory", (first, f"entries that share a table: {', '.join(spans)}{more}"), strip)


def _tables_passage(view: MapView) -> Passage:
    """Tables by size and by how full they are."""
    rows = view.tables.rows
    capacities, which, counts = np.unique(rows["capacity"], return_inverse=True, return_counts=True)
    sizes = [f"{many:,} of {slots:,} slots" for slots, many in zip(capacities.tolist(), counts.tolist(), strict=True)]
    first = ", ".join(sizes[:SIZES_SHOWN])
    room = np.maximum([most_entries(capacity) for capacity in capacities.tolist()], 1)[which]
    taken = np.minimum((view.full_of_tables + view.deleted_of_tables) / room, 1.0)
    if len(rows) == 1:
        return Passage("tables", (f"{first}, {taken[0]:.0%} of its room taken",))
    classes = np.bincount(np.digitize(taken, FULLNESS[:-1], right=True), minlength=len(FULLNESS))
    parts = [f"{many:,} up to {end:.0%}" for end, many in zip(FULLNESS, classes.tolist(), strict=True) if many]
    lines = [first, f"by room taken: {', '.join(parts)}"]
    with_tombstones = int(np.count_nonzero(view.deleted_of_tables))
    if with_tombstones:
        most = int(view.deleted_of_tables.max())
        lines.append(f"{number_of(with_tombstones, 'table')} with tombstones, at most {most:,} in one")
    return Passage("tables", tuple(lines))


def _occupancy_passage(proof: Proof, growth: Growth, occupancy: Occupancy) -> Passage:
    view, held = proof.view, occupancy.bytes
    if view.header.dir_ptr and not len(view.groups):
        line = f"not known, because no group was read; the header counts {number_of(view.header.used, 'entry')}"
        return Passage("occupancy", (line,))
    used = f"{occupancy.live / occupancy.slots:.0%} used" if occupancy.slots else "the first write makes some"
    tombstones = f", {number_of(occupancy.tombstones, 'tombstone')}" if occupancy.tombstones else ""
    parts = ", ".join(f"{name} {size(part)}" for name, part in held.parts.items() if part)
    lines = [
        f"{number_of(occupancy.live, 'entry')} in {number_of(occupancy.slots, 'slot')} ({used}){tombstones}",
        *([_lookups(proof, occupancy)] if occupancy.live else []),
        f"{size(held.total)}: {parts}",
        f"A fresh map would need {size(held.if_rebuilt)}{_clone(view.snapshot.release, growth)}",
    ]
    return Passage("occupancy", tuple(lines))


def _clone(release: Release, growth: Growth) -> str:
    """What maps.Clone would give, where it is not a fresh map."""
    if growth.form != "tables" or not release.clone_copies_tables:
        return ""
    return "; maps.Clone keeps tables and tombstones."


def _lookups(proof: Proof, occupancy: Occupancy) -> str:
    """How many groups lookups of the keys visit."""
    if proof.functions is None:
        return "lookups are not counted, because the hash function is not known"
    lengths = occupancy.probe_lengths
    if not lengths:
        return "no key can be looked up"
    if list(lengths) == [1]:
        return "a lookup of any key visits 1 group"
    shown = [f"{length} for {many:,}" for length, many in list(lengths.items())[1:LENGTHS_SHOWN]]
    longest = f"; {max(lengths)} at most" if len(lengths) > LENGTHS_SHOWN else ""
    return f"a lookup visits 1 group for {number_of(lengths.get(1, 0), 'key')}, {', '.join(shown)}{longest}"


# For programs


def _map_form(header: SwissMap) -> dict[str, Any]:
    possible = header.tombstone_possible
    fields = {
        "used": header.used,
        "seed": f"{header.seed:#x}",
        "dirPtr": f"{header.dir_ptr:#x}" if header.dir_ptr else None,
        "dirLen": header.dir_len,
        "globalDepth": header.global_depth,
        "globalShift": header.global_shift,
        "writing": header.writing_byte,
        "tombstonePossible": None if possible is None else bool(possible),
        "clearSeq": header.clear_seq,
    }
    return {"header": fields}


def _growth_form(growth: Growth) -> dict[str, Any]:
    return {
        "growing": False,
        "kind": None,
        "form": growth.form,
        "load": growth.load,
        "load_factor_limit": growth.load_limit,
        "next": _next_form(growth.next) if growth.next else None,
        "most_for_one_insert": _dearest_form(growth.dearest, growth.dearest_bytes) if growth.dearest else None,
        "assign": f"runtime.{growth.assign}" if growth.assign else None,
        "prunes_tombstones": growth.prunes,
    }


def _next_form(coming: NextGrowth) -> dict[str, Any]:
    return {
        "kind": coming.kind,
        "inserts": {"min": coming.min, "expected": coming.expected},
        "directory_doubles": coming.directory_doubles,
    }


def _dearest_form(dearest: Dearest, new_bytes: int) -> dict[str, int]:
    return {"entries_moved": dearest.moved, "tables": dearest.tables, "bytes": new_bytes}


def _occupancy_form(occupancy: Occupancy) -> dict[str, Any]:
    return {
        "live": occupancy.live,
        "cells": occupancy.slots,
        "tombstones": occupancy.tombstones,
        "tables": occupancy.tables,
        "groups": occupancy.groups,
        "directory": occupancy.directory,
        "probe_lengths": {str(length): count for length, count in occupancy.probe_lengths.items()},
        "bytes": occupancy.bytes.form(),
    }
