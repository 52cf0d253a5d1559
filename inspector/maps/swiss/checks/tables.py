"""Rules T1 to T3: what each table says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY
from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.steps import CLEAR, OWN_ASSIGN, PRUNE, TABLE_ASSIGN, TABLE_DELETE, Step
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.mirror.growth import PRUNED_SHARE


def t1_capacity_fits_the_groups(view: MapView) -> Iterator[Finding]:
    """Capacity is 8 * (lengthMask + 1), a power of two from 16 to 1024, and the byte behind localDepth is zero."""
    if not view.form_believed:
        return
    rows = view.tables.rows
    genuine = view.genuine.copy()
    if view.directory_judged:
        genuine[view.blocks.faults] = False
    padded = genuine & (rows["padding"] != 0)
    for at in np.flatnonzero((genuine & ~view.sound) | padded).tolist():
        row = rows[at]
        if padded[at]:
            message, expected = f"table {view.number(at)} has a byte that is not zero between its fields", "zero"
            observed = str(int(row["padding"]))
        else:
            message = f"capacity and lengthMask of table {view.number(at)} do not fit each other"
            observed = f"capacity {row['capacity']}, lengthMask {row['lengthMask']}"
            expected = (
                f"a capacity of {GROUP_SLOTS} * (lengthMask + 1): a power of two from {SMALLEST_CAPACITY} to "
                f"{MAX_TABLE_CAPACITY}"
            )
        yield Finding("T1", message, observed, expected, "maps.newTable, maps.table.reset", view.table_where(at))


def t2_used_is_the_number_of_entries(view: MapView) -> Iterator[Finding]:
    """A table's used is the number of its full slots."""
    for at in _different(view, view.used_of_tables, view.full_of_tables):
        used, full = int(view.used_of_tables[at]), int(view.full_of_tables[at])
        steps: tuple[Step, ...] = ()
        if full == used + 1:
            # An assign marks the slot before it counts, a deletion counts before it marks: first here, then in the map.
            not_in_map = view.header.used == int(view.used_of_tables.sum()) + 1
            steps = TABLE_DELETE if not_in_map else TABLE_ASSIGN + TABLE_DELETE
        elif full == used - 1:
            steps = _own_assign(view)
        yield Finding(
            rule="T2",
            message=f"used of table {view.number(at)} is {used}, but {full} of its slots hold an entry",
            observed=str(used),
            expected=str(full),
            source="maps.table.PutSlot, maps.table.Delete, maps.table.Clear",
            where=view.table_where(at),
            in_flight=steps + (CLEAR if full < used and _being_cleared(view, at) else ()),
        )


def t3_growth_left_is_what_seven_eighths_leave(view: MapView) -> Iterator[Finding]:
    """GrowthLeft is 7/8 of the capacity without entries and tombstones, and never below 0."""
    for at in _different(view, view.left_of_tables, view.room_of_tables):
        left, room = int(view.left_of_tables[at]), int(view.room_of_tables[at])
        steps: tuple[Step, ...] = ()
        if left == room + 1:
            steps = TABLE_ASSIGN
        elif left == room - 1:
            steps = TABLE_DELETE + (PRUNE if _pruned(view, at) else ()) + _own_assign(view)
        full, deleted = int(view.full_of_tables[at]), int(view.deleted_of_tables[at])
        yield Finding(
            rule="T3",
            message=f"growthLeft of table {view.number(at)} is {left}, but its slots leave {room}",
            observed=str(left),
            expected=f"{room}: 7/8 of {view.tables.rows['capacity'][at]} slots, less {full} full and {deleted} deleted",
            source="maps.table.maxGrowthLeft",
            where=view.table_where(at),
            in_flight=steps + (CLEAR if left < room and _being_cleared(view, at) else ()),
        )


def _different(view: MapView, said: NDArray[np.int64], counted: NDArray[np.int64]) -> list[int]:
    """Tables that say something else than their groups, as far as all of these are there."""
    if not view.form_believed or not len(view.tables):
        return []
    zeroed = np.zeros(len(view.tables), dtype=bool)
    zeroed[view.groups.table[view.zeroed]] = True
    different: list[int] = np.flatnonzero(view.counted & ~zeroed & (said != counted)).tolist()
    return different


def _pruned(view: MapView, table: int) -> bool:
    """Whether pruneTombstones may be at work: it begins with no growthLeft, and a tenth of all slots deleted."""
    freed = int(view.left_of_tables[table]) + 1
    deleted = int(view.deleted_of_tables[table]) + freed
    return view.can_prune and deleted * PRUNED_SHARE >= int(view.tables.rows["capacity"][table])


def _own_assign(view: MapView) -> tuple[Step, ...]:
    """The assign that counts before it marks: of a key that has made a table of a small map."""
    return OWN_ASSIGN if view.just_converted else ()


def _being_cleared(view: MapView, table: int) -> bool:
    return view.table_being_cleared == table and int(view.cleared_before[table]) > 0
