"""Rules G1 to G7: control bytes, and what lies in slots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS
from inspector.gotypes.redaction import bytes_of_memory
from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.steps import (
    OWN_ASSIGN,
    PRUNE,
    SMALL_ASSIGN,
    SMALL_DELETE,
    TABLE_ASSIGN,
    TABLE_DELETE,
    Step,
)
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.windows import Spots
from inspector.memory.protocol import Rows
from inspector.memory.sets import distinct

MOST_SHOWN = 16
"""Bytes of a slot that a finding shows."""

Part = Literal["key", "element"]


def g1_control_bytes_are_defined(view: MapView) -> Iterator[Finding]:
    """A control byte is empty (0x80), deleted (0xFE), or below 0x80."""
    groups = view.groups
    for row, slot in _pairs(groups.invalid_at[view.judged[groups.invalid_at // GROUP_SLOTS]]):
        yield Finding(
            rule="G1",
            message="a control byte is neither empty, nor deleted, nor seven bits of a hash",
            observed=f"{groups.ctrl[row, slot]:#04x}",
            expected="0x80, 0xfe, or less than 0x80",
            source="maps.ctrlGroup.set",
            where=view.where(row, slot),
        )


def g2_empty_and_deleted_exclude_each_other(view: MapView) -> Iterator[Finding]:
    """No group has both empty and deleted slots, and a small map has no deleted ones."""
    faults = np.flatnonzero(view.mixed)
    for row in faults.tolist():
        ctrl = view.groups.ctrl[row]
        empty, gone = np.flatnonzero(ctrl == EMPTY), np.flatnonzero(ctrl == DELETED)
        # It goes through the slots of a group upwards, and takes all its tombstones.
        pruning = view.can_prune and len(empty) and empty[-1] < gone[0]
        small = view.header.small
        slot = int(gone[0] if small or len(gone) <= len(empty) else empty[0])
        yield Finding(
            rule="G2",
            message="a small map has a deleted slot" if small else "a group has both empty and deleted slots",
            observed=f"control bytes {view.groups.ctrl[row].tobytes().hex(' ')}",
            expected="no deleted slot" if small else "deleted slots only where no slot is empty",
            source="maps.Map.deleteSmall" if small else "maps.table.Delete, maps.table.pruneTombstones",
            where=view.where(row, slot),
            in_flight=PRUNE if pruning and not small and len(faults) == 1 else (),
        )


def g3_unused_slots_have_no_element(view: MapView) -> Iterator[Finding]:
    """Elements of slots without an entry are zero: a deletion clears them, whatever their type."""
    layout = view.snapshot.layout
    yield from _left_over(view, "G3", "element", view.groups.elems, view.elems_left, layout.indirect_elem)


def g4_unused_slots_have_no_key_with_pointers(view: MapView) -> Iterator[Finding]:
    """Keys of slots without an entry are zero, if keys have pointers or are stored by reference; others may stay."""
    yield from _left_over(view, "G4", "key", view.groups.keys, view.keys_left, True)


def _left_over(
    view: MapView, rule: str, part: Part, slots: Rows, left: Spots, may_be_stored: bool
) -> Iterator[Finding]:
    for row, slot in _pairs(left):
        # An assign takes the first slot of its group that has no entry.
        stored = may_be_stored and len(left) == 1 and slot == int(np.argmax(view.groups.ctrl[row] >= EMPTY))
        expected = "zeros: a deletion clears it"
        if part == "element":
            expected += ", unless the program stored an element without the lock that this map needs"
        yield Finding(
            rule=rule,
            message=f"a slot without an entry has {'an element' if part == 'element' else 'a key'}",
            observed=f"control byte {view.groups.ctrl[row, slot]:#04x}, {part} {_shown(slots[row, slot])}",
            expected=expected,
            source="maps.table.Delete, maps.newarray",
            where=view.where(row, slot),
            in_flight=_assign(view) if stored else (),
        )


def _pairs(at: Spots) -> Iterator[tuple[int, int]]:
    """Rows and numbers of slots."""
    return (divmod(int(flat), GROUP_SLOTS) for flat in at)


def _shown(slot: Rows) -> str:
    text = slot[:MOST_SHOWN].tobytes().hex(" ", 8)
    return bytes_of_memory(text + (" ..." if len(slot) > MOST_SHOWN else ""))


def _assign(view: MapView) -> tuple[Step, ...]:
    if view.header.small:
        return SMALL_ASSIGN
    return TABLE_ASSIGN + OWN_ASSIGN if view.just_converted else TABLE_ASSIGN


def _delete(view: MapView) -> tuple[Step, ...]:
    return SMALL_DELETE if view.header.small else TABLE_DELETE


def g5_padding_is_zero(view: MapView) -> Iterator[Finding]:
    """Bytes of a group outside of control bytes, keys and elements are zero."""
    for row in np.flatnonzero(view.groups.padded & view.judged).tolist():
        padding = view.groups.part(slice(row, row + 1)).padding[0]
        yield Finding(
            rule="G5",
            message="bytes between or behind the slots of a group are not zero",
            observed=f"{int(np.count_nonzero(padding))} of {len(padding)} bytes",
            expected="zeros: only keys and elements are written",
            source="maps.typedmemmove",
            where=view.where(row),
        )


def g6_what_is_stored_apart_is_readable(view: MapView) -> Iterator[Finding]:
    """Pointers to keys and elements that are stored by reference lead to readable memory."""
    wrong = view.apart_wrong
    in_one_slot = len(wrong) > 0 and len(distinct(np.concatenate([part.wrong for part in wrong]))) == 1
    for part in wrong:
        for row, slot in _pairs(part.wrong):
            pointer = int(part.pointers[row, slot])
            yield Finding(
                rule="G6",
                message=f"{part.name} stored by reference cannot be read",
                observed=f"{pointer:#x}" if pointer else "nil",
                expected=f"the address of {part.size} readable bytes",
                source="maps.table.PutSlot, maps.Map.putSlotSmall",
                where=view.where(row, slot),
                # A deletion clears the pointers of a slot before it marks it.
                in_flight=_delete(view) if in_one_slot and not pointer else (),
                unreadable=pointer != 0,
            )


def g7_groups_are_made_of_empty_slots(view: MapView) -> Iterator[Finding]:
    """No group has a control word of zero and nothing in its slots: a new one is made of empty slots at once."""
    faults = np.flatnonzero(view.zeroed)
    for row in faults.tolist():
        yield Finding(
            rule="G7",
            message="a group is all zero: eight entries without a key",
            observed="control word 0",
            expected="empty slots (0x80) before anything else can see it",
            source="maps.Map.growToSmall, maps.table.Clear, maps.Map.clearSmall",
            where=view.where(row),
            in_flight=_making_empty(view, row) if len(faults) == 1 else (),
        )


def _making_empty(view: MapView, row: int) -> tuple[Step, ...]:
    """Who may have zeroed a group, and is to mark its slots empty next."""
    if view.header.small:
        return ("maps.Map.clearSmall",) if view.header.used else ("maps.Map.growToSmall",)
    table, (number, _) = int(view.groups.table[row]), view.groups.place_of(row)
    at_it = view.table_being_cleared == table and number < view.cleared_before[table]
    return ("maps.Map.Clear",) if at_it else ()
