"""Rules H1 to H7: the header."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.goruntime.swissgroup import DELETED, GROUP_SLOTS
from inspector.goruntime.swisstable import STALE_INDEX
from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.steps import (
    CLEAR,
    OWN_ASSIGN,
    SMALL_ASSIGN,
    SMALL_DELETE,
    TABLE_ASSIGN,
    TABLE_DELETE,
    Step,
)
from inspector.maps.swiss.checks.view import DIRECTORY, MapView
from inspector.maps.swiss.header import WORD_BITS
from inspector.maps.swiss.places import Where


def h1_writing_is_a_bit(view: MapView) -> Iterator[Finding]:
    """Writing is 0 or 1: every write toggles it twice."""
    if view.header.writing_byte > 1:
        yield Finding(
            rule="H1",
            message=f"writing is {view.header.writing_byte}",
            observed=str(view.header.writing_byte),
            expected="0, or 1 during a write",
            source="maps.Map.PutSlot, maps.Map.Delete, maps.Map.Clear",
            where=Where(),
        )


def h2_bytes_without_meaning_are_zero(view: MapView) -> Iterator[Finding]:
    """Bytes between the fields are zero, and tombstonePossible is 0 or 1."""
    header = view.header
    possible = header.tombstone_possible or 0
    if any(header.padding) or possible > 1:
        padding = any(header.padding)
        yield Finding(
            rule="H2",
            message="the bytes between the fields are not zero" if padding else f"tombstonePossible is {possible}",
            observed=header.padding.hex(" ") if padding else str(possible),
            expected="zeros" if padding else "0 or 1",
            source="maps.NewMap",
            where=Where(address=view.snapshot.address),
        )


def h3_directory_fields_agree(view: MapView) -> Iterator[Finding]:
    """Without a directory depth and shift are 0; else dirLen is 2^globalDepth and globalShift 64 - globalDepth."""
    header = view.header
    if not view.form_sound:
        yield Finding(
            rule="H3",
            message="dirLen, globalDepth and globalShift do not agree with each other",
            observed=f"{header.dir_len}, {header.global_depth}, {header.global_shift}",
            expected="0, 0, 0 without tables; else 2^globalDepth, globalDepth, 64 - globalDepth",
            source="maps.Map.growToTable, maps.Map.installTableSplit",
            where=Where(address=view.snapshot.address),
            in_flight=_setting_up_a_directory(view),
        )


def _setting_up_a_directory(view: MapView) -> tuple[Step, ...]:
    length, depth, shift = view.header.dir_len, view.header.global_depth, view.header.global_shift
    if (length, depth, shift) == (1, 0, 0):
        return ("maps.Map.growToTable",) if view.genuine.any() else ()
    # depth, shift, dirPtr and dirLen are stored in this order when the directory doubles.
    doubling = length > 0 and length == 1 << max(depth - 1, 0) and depth > 0 and view.genuine.all()
    shifts = (WORD_BITS - depth, WORD_BITS + 1 - depth)
    return ("maps.Map.installTableSplit",) if shift in shifts and doubling else ()


def h4_small_maps_are_small(view: MapView) -> Iterator[Finding]:
    """Without tables used is at most 8; dirPtr is nil only with used 0, and never with a directory."""
    header = view.header
    if not view.form_believed:
        return
    where = Where(address=view.snapshot.address)
    source = "maps.NewMap, maps.Map.growToSmall"
    if header.small and header.used > GROUP_SLOTS:
        message, observed = f"used is {header.used}, but the map has one group only", str(header.used)
        yield Finding("H4", message, observed, f"{GROUP_SLOTS} at most", source, where)
    elif not header.dir_ptr and (header.used or not header.small):
        message, observed = (
            "dirPtr is nil, but the map is not an empty one",
            f"used {header.used}, dirLen {header.dir_len}",
        )
        yield Finding("H4", message, observed, "used 0 and dirLen 0", source, where)


def h5_used_is_the_number_of_entries(view: MapView) -> Iterator[Finding]:
    """Used is the number of full slots.

    Where the tables agree with it, the control bytes are at fault, and T2 reports them.
    """
    header, live = view.header, view.full_judged
    if not view.countable or not header.dir_ptr or (header.small and header.used > GROUP_SLOTS):
        return
    if header.used == live or (not header.small and header.used == int(view.used_of_tables.sum())):
        return
    yield Finding(
        rule="H5",
        message=f"used is {header.used}, but {live} slots hold an entry",
        observed=str(header.used),
        expected=str(live),
        source="maps.Map.PutSlot, maps.Map.Delete, maps.Map.Clear",
        where=Where(address=view.snapshot.address),
        in_flight=_counting(view, live, live - header.used),
    )


def _counting(view: MapView, live: int, more: int) -> tuple[Step, ...]:
    """Who may leave so many full slots more than used counts."""
    small = view.header.small
    if more == 1:
        if small:
            return SMALL_ASSIGN + SMALL_DELETE
        return TABLE_ASSIGN + OWN_ASSIGN if view.just_converted and live > GROUP_SLOTS else TABLE_ASSIGN
    if small:
        # growToSmall has no entry to lose: what is empty with used above 0 was cleared.
        return ("maps.Map.clearSmall",) if not live else ()
    return CLEAR if more < 0 and view.table_being_cleared is not None else ()


def h6_tombstones_are_announced(view: MapView) -> Iterator[Finding]:
    """Where tombstonePossible is false there are no tombstones; in a small map it is always false (since 1.25)."""
    possible = view.header.tombstone_possible
    if possible is None or possible > 1 or not view.form_believed:
        return
    where = Where(address=view.snapshot.address)
    if possible and view.header.small:
        yield Finding(
            rule="H6",
            message="tombstonePossible is true in a map without tables",
            observed="true",
            expected="false: a deletion from a single group leaves an empty slot",
            source="maps.Map.deleteSmall",
            where=where,
        )
    elif not possible and not view.header.small and view.with_deleted.any():
        row, count = int(np.argmax(view.with_deleted)), int(view.groups.deleted_count.sum(where=view.with_deleted))
        yield Finding(
            rule="H6",
            message=f"tombstonePossible is false, but {count} slots are deleted",
            observed="false",
            expected="true",
            source="maps.Map.Delete",
            where=view.where(row, int(np.argmax(view.groups.ctrl[row] == DELETED))),
            in_flight=TABLE_DELETE if count == 1 else (),
        )


def h7_pointers_are_sound(view: MapView) -> Iterator[Finding]:
    """Pointers are aligned, and lead to a group, to a directory of tables, and to their groups."""
    header, unusable = view.header, view.snapshot.unusable
    if not header.dir_ptr or not view.form_sound:
        return
    no_table = len(view.tables) > 0 and not view.genuine.any()
    if "dirPtr" in unusable or view.misled_small or no_table:
        what = "group" if header.small else "directory"
        wrong = f"it leads to something that is not a {what}"
        missing = no_table and not view.tables.readable.any()
        yield Finding(
            rule="H7",
            message=f"dirPtr cannot be the address of a {what}: {unusable.get('dirPtr', wrong)}",
            observed=f"{header.dir_ptr:#x}",
            expected=f"the address of a {what}",
            source="maps.Map.growToSmall" if header.small else "maps.Map.growToTable, maps.Map.installTableSplit",
            where=Where(address=header.dir_ptr),
            unreadable=missing or ("dirPtr" in unusable and header.dir_ptr % 8 == 0),
        )
        return
    own = view.genuine & (view.tables.rows["index"] != STALE_INDEX)
    own[view.blocks.faults] = False
    own[[table for pair in view.overlaps for table in pair[:2] if table != DIRECTORY]] = False
    missed = view.sound & (view.groups_of_tables == 0)
    for at in np.flatnonzero(own & (missed | view.misled)).tolist():
        start = int(view.tables.rows["groups"][at])
        aligned = start % 8 == 0
        reason = ("not readable as a whole" if aligned else "not aligned") if missed[at] else "none, or overwritten"
        yield Finding(
            rule="H7",
            message=f"the groups of table {view.number(at)} are {reason}",
            observed=f"{start:#x}",
            expected=f"{int(view.tables.rows['lengthMask'][at]) + 1} groups",
            source="maps.newTable",
            where=view.table_where(at),
            unreadable=bool(missed[at]) and aligned,
        )
