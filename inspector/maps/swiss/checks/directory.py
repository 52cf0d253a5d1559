"""Rules D1 to D6: the directory and how tables fill it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, STALE_INDEX
from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.steps import Step
from inspector.maps.swiss.checks.view import DIRECTORY, MapView
from inspector.maps.swiss.header import POINTER_SIZE
from inspector.maps.swiss.places import Where

CAPACITY_BY_HINT = MAX_TABLE_CAPACITY // 2
"""What each of several tables may have instead, when a hint came out just above a power of two (NewMap)."""

USUAL_SPREAD = 1
"""How much local depths differ at most, as far as chance goes."""


def d1_tables_fill_blocks(view: MapView) -> Iterator[Finding]:
    """Every entry leads to a table, and each table fills one aligned block of 2^(globalDepth - localDepth) entries."""
    if not view.directory_judged:
        return
    tables, blocks = view.tables, view.blocks
    for at in blocks.faults.tolist():
        entry, address = int(tables.first[at]), int(tables.addresses[at])
        if not view.genuine[at]:
            readable = bool(tables.readable[at])
            yield Finding(
                rule="D1",
                message=f"directory entry {entry} does not lead to a table",
                observed=f"{address:#x}, {'what lies there is not one' if readable else 'which is not readable'}",
                expected="the address of a table",
                source="maps.Map.directorySet",
                where=_entry(view, entry),
                unreadable=not readable and address % POINTER_SIZE == 0,
            )
            continue
        yield Finding(
            rule="D1",
            message=f"table {view.number(at)} does not fill one aligned block of the directory",
            observed=f"{tables.entries[at]} entries from {entry} to {blocks.last[at]}, localDepth {blocks.depth[at]}",
            expected=f"2^(globalDepth - localDepth) consecutive entries, with globalDepth {view.header.global_depth}",
            source="maps.Map.replaceTable",
            where=view.table_where(at),
            in_flight=_replacing(view, at) if len(blocks.faults) == 1 else (),
        )


def _entry(view: MapView, entry: int) -> Where:
    return Where(entry=entry, address=view.header.dir_ptr + entry * POINTER_SIZE)


def _replacing(view: MapView, old: int) -> tuple[Step, ...]:
    """Who may just put the tables that lie in the block of an old one in its place."""
    rows, depth, blocks = view.tables.rows, view.blocks.depth, view.blocks
    new = blocks.replaced(old)
    index, used = int(rows["index"][old]), int(rows["used"][old])
    if len(new) == 1 and depth[new[0]] == depth[old]:
        (one,) = new
        double = rows["capacity"][one] == 2 * rows["capacity"][old]
        alike = rows["index"][one] == index and rows["used"][one] == used
        return ("maps.table.grow",) if double and alike else ()
    half = int(blocks.length[old]) // 2
    indices = [int(rows["index"][one]) for one in new]
    deeper = bool((depth[list(new)] == depth[old] + 1).all()) and rows["capacity"][old] == MAX_TABLE_CAPACITY
    if not new or not deeper or indices != [index, index + half][: len(new)]:
        return ()
    # What the left one does not hold goes to the right one, which may not be linked yet.
    held = int(rows["used"][list(new)].astype(np.int64).sum())
    return ("maps.table.split",) if held == used or (len(new) == 1 and held <= used) else ()


def d2_index_is_the_first_entry(view: MapView) -> Iterator[Finding]:
    """The index of a table is the first entry of its block; so it is never -1, as in a table that was replaced."""
    if not view.directory_judged:
        return
    tables, blocks = view.tables, view.blocks
    steps = _doubling(view)
    for at in blocks.misplaced.tolist():
        index, first = int(tables.rows["index"][at]), int(tables.first[at])
        stale = ": another table has replaced it" if index == STALE_INDEX else ""
        yield Finding(
            rule="D2",
            message=f"the index of table {view.number(at)} is {index}, but its entries begin at {first}{stale}",
            observed=str(index),
            expected=str(first),
            source="maps.Map.installTableSplit, maps.table.grow",
            where=view.table_where(at),
            in_flight=steps,
        )


def _doubling(view: MapView) -> tuple[Step, ...]:
    """installTableSplit, where it may have doubled these indices for a directory that is not in its place yet.

    It goes through the old directory from its beginning on, and only a table of globalDepth makes it double.
    """
    tables, wrong = view.tables, view.blocks.misplaced
    if len(view.blocks.faults) or not len(wrong) or not (view.blocks.depth == view.header.global_depth).any():
        return ()
    doubled = tables.rows["index"][wrong] == 2 * tables.first[wrong]
    right = np.setdiff1d(np.flatnonzero(tables.first > 0), wrong)
    begun = not len(right) or int(tables.first[wrong].max()) < int(tables.first[right].min())
    return ("maps.Map.installTableSplit",) if bool(doubled.all()) and begun else ()


def d3_deepest_table_has_global_depth(view: MapView) -> Iterator[Finding]:
    """The largest localDepth is globalDepth: the directory doubles only for a table that needs it."""
    if not view.directory_judged or len(view.blocks.faults):
        return
    deepest, depth = int(view.blocks.depth.max()), view.header.global_depth
    if deepest != depth:
        yield Finding(
            rule="D3",
            message=f"no table has the depth of the directory, {depth}",
            observed=f"localDepth {deepest} at most",
            expected=f"two tables with localDepth {depth}",
            source="maps.Map.installTableSplit",
            where=Where(address=view.snapshot.address),
            in_flight=("maps.Map.installTableSplit",) if deepest == depth - 1 else (),
        )


def d4_tables_lie_apart(view: MapView) -> Iterator[Finding]:
    """The directory, tables and groups arrays do not share memory."""
    for before, after, start in view.overlaps:
        yield Finding(
            rule="D4",
            message=f"{_owned(view, after)} and {_owned(view, before)} share memory",
            observed=f"from {start:#x} on",
            expected="directory, tables and groups apart from each other",
            source="maps.newTable",
            where=view.table_where(max(before, after)),
        )


def _owned(view: MapView, table: int) -> str:
    return "the directory" if table == DIRECTORY else f"table {view.number(table)} or its groups"


def d5_several_tables_are_large(view: MapView) -> Iterator[Finding]:
    """Of several tables each has 1024 slots, or 512 where a hint made it; those are the shallowest, all alike."""
    if not view.directory_judged or len(view.tables) < 2 or len(view.blocks.faults):
        return
    capacity, depth = view.tables.rows["capacity"], view.blocks.depth
    by_hint = capacity == CAPACITY_BY_HINT
    shallow = depth == depth.min()
    wrong = view.sound & ((by_hint & ~shallow) | (~by_hint & (capacity != MAX_TABLE_CAPACITY)))
    for at in np.flatnonzero(wrong).tolist():
        yield Finding(
            rule="D5",
            message=f"table {view.number(at)} has {capacity[at]} slots and localDepth {depth[at]}, "
            f"and is one of {len(capacity)}",
            observed=str(capacity[at]),
            expected=f"{MAX_TABLE_CAPACITY}; or {CAPACITY_BY_HINT} from a hint, with the smallest localDepth",
            source="maps.NewMap, maps.table.split",
            where=view.table_where(at),
        )


def d6_depths_are_even(view: MapView) -> Iterator[Finding]:
    """Local depths differ by one at most, unless keys share their upper hash bits."""
    if not view.directory_judged or len(view.blocks.faults):
        return
    least, most = int(view.blocks.depth.min()), int(view.blocks.depth.max())
    if most - least > USUAL_SPREAD:
        yield Finding(
            rule="D6",
            message=f"local depths go from {least} to {most}: keys share the hash bits that choose the table",
            observed=f"{least} to {most}",
            expected="depths that differ by 1",
            source="maps.table.split",
            where=view.table_where(int(view.blocks.depth.argmax())),
            severity="warning",
        )
