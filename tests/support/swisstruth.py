"""Holding what the inspector says of Swiss maps against what the Go program itself printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from inspector.inspection.one_map import Inspection, inspect
from inspector.maps.swiss.header import SwissMap
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.target.target import Target
from tests.support.promised import PROMISED
from tests.support.swiss import SwissHeader, SwissState
from tests.support.truth import document_of, in_order

HELD_BY_INTERFACE = {"main.reflectMap", "main.reflectSmall", "main.reflectStruct"}
"""Variables that hold a map in an interface, whose name alone does not lead to the map."""

MADE_BY_REFLECT = {"reflect_map", "reflect_small"}
"""States whose map type only exists at run time, so that no name leads to it."""


class Differences:
    """What was found otherwise than told, in words."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def hold(self, what: str, seen: Any, told: Any) -> None:
        """Note a difference."""
        if seen != told:
            self.found.append(f"{what}: inspector {seen!r}, program {told!r}")


def differences(inspection: Inspection, state: SwissState) -> list[str]:
    """What an inspection says otherwise than the program; empty when they agree in every word and every entry."""
    seen = Differences()
    document = document_of(inspection)
    PROMISED.validate(document)
    seen.hold("address", int(document["map"]["address"], 16) if document["map"]["address"] else 0, state.address)
    seen.hold("len", document["map"]["count"], state.length)
    if document["map"]["type"] != state.type:
        # The bytes of a small map may be those of several types: the right one is then among the alternatives.
        seen.hold("types", state.type in document["map"]["type_alternatives"], True)
    else:
        seen.hold("entries", in_order(document["entries"]), in_order(list(state.entries)))
    seen.hold("verdict", document["verdict"], "consistent")
    seen.hold("errors", [each["rule"] for each in document["findings"] if each["severity"] == "error"], [])
    if state.header is not None:
        snapshot = inspection.snapshot
        assert isinstance(snapshot, SwissSnapshot)
        _hold_words(seen, snapshot, state)
        proof = inspection.judgement.proof
        reflexive = sum(state.hashes.values())
        seen.hold("proven", (proof.checked, proof.matched), (reflexive, reflexive))
    return seen.found


def _hold_words(seen: Differences, snapshot: SwissSnapshot, state: SwissState) -> None:
    seen.hold("header", words_of(snapshot.header), told_words(state.head))
    seen.hold("directory", tuple(snapshot.tables.directory.tolist()), state.directory)
    for number, told in enumerate(state.tables):
        seen.hold(f"table {number}", table_words(snapshot, number), (told.address, *told.words))
        if told.groups is not None:
            seen.hold(f"control bytes of table {number}", control_of(snapshot, number), told.groups.control)
    if state.group is not None:
        seen.hold("control bytes", control_of(snapshot, -1), state.group.control)
    if all(table.groups is not None for table in state.tables):
        seen.hold("places", places_seen(snapshot), places_told(state))


def words_of(header: SwissMap) -> tuple[Any, ...]:
    """The words of a header that was read."""
    place = header.dir_ptr, header.dir_len, header.global_depth, header.global_shift
    return (header.used, header.seed, *place, header.writing_byte, header.tombstone_possible, header.clear_seq)


def told_words(header: SwissHeader) -> tuple[Any, ...]:
    """The words of a header that the program printed."""
    place = header.dir_ptr or 0, header.dir_len, header.global_depth, header.global_shift
    tombstones = None if header.tombstone_possible is None else int(header.tombstone_possible)
    return (header.used, header.seed, *place, header.writing, tombstones, header.clear_seq)


def table_words(snapshot: SwissSnapshot, number: int) -> tuple[int, ...]:
    """The address of a table, and its words as the program prints them."""
    row = snapshot.tables.rows[number]
    names = ("used", "capacity", "growthLeft", "localDepth", "index", "groups", "lengthMask")
    return (int(snapshot.tables.addresses[number]), *(int(row[name]) for name in names))


def control_of(snapshot: SwissSnapshot, table: int) -> bytes:
    """The control bytes of a table's groups, -1 for a small map's."""
    return snapshot.groups.ctrl[snapshot.groups.table == table].tobytes()


def places_seen(snapshot: SwissSnapshot) -> Counter[tuple[int, int, int]]:
    """Table, group and slot of every entry that was decoded."""
    forms = (entry.place.form() for entry in snapshot.entries())
    return Counter((-1 if form["table"] is None else form["table"], form["group"], form["slot"]) for form in forms)


def places_told(state: SwissState) -> Counter[tuple[int, int, int]]:
    """Table, group and slot of every full slot that the program printed."""
    found = [(table.index, slot.group, slot.slot) for table in state.tables for slot in table.inside.slots]
    return Counter(found + [(-1, slot.group, slot.slot) for slot in (state.group.slots if state.group else ())])


def all_differences(target: Target, states: Iterable[SwissState], by: str) -> dict[str, list[str]]:
    """Differences of every state, by its name.

    `by` says how maps are named: by "variable" (where they have one), by "address" and type, or by address "alone".
    """
    wrong = {}
    for state in states:
        found = differences(_inspect(target, state, by), state) if _can_be_named(state, by) else []
        if found:
            wrong[state.name] = found
    return wrong


def _can_be_named(state: SwissState, by: str) -> bool:
    if by == "variable":
        return bool(state.variable) and state.variable not in HELD_BY_INTERFACE
    return bool(state.address) and (by == "alone" or state.name not in MADE_BY_REFLECT)


def _inspect(target: Target, state: SwissState, by: str) -> Inspection:
    if by == "variable":
        assert state.variable is not None
        return inspect(target, state.variable, None, entries=None, max_stop=30)
    return inspect(target, hex(state.address), state.type if by == "address" else None, entries=None, max_stop=30)
