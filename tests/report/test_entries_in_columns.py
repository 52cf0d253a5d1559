"""Entries are written from columns as they are one by one: byte for byte, whatever their types and their map."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, USUAL
from inspector.gotypes.columns import Numbers, Partial, Pointers, Structs, Texts
from inspector.gotypes.redaction import Redactor, redacting
from inspector.inspection.columns import EntryColumns
from inspector.inspection.one_map import Inspection, inspect
from inspector.maps.family import Snapshot
from inspector.report.json.dumping import dumps
from inspector.report.json.entries import entry_texts, window_text
from inspector.report.json.one_map import entry_form
from inspector.target.opening import open_target
from tests.support.truth import NOT_IN_EXECUTABLE

LARGE = 600
"""Entries of a Swiss map that others of its form have fewer of."""

FAMILIES = [pytest.param(toolchain, id=toolchain.name) for toolchain in (USUAL, SWISS_RELEASES[-1])]


def one_by_one(inspection: Inspection) -> str:
    return "".join(f"{dumps(entry_form(entry))}\n" for entry in inspection.entries())


def in_columns(inspection: Inspection) -> str:
    return "".join(entry_texts(inspection, "\n"))


def all_of(snapshot: Snapshot) -> str:
    return "".join(window_text(window, "\n") for window in EntryColumns(snapshot, 1 << 62))


def inspected(target, state, entries=None) -> Inspection:
    return inspect(target, state["variable"] or state["address"], state["type"], entries, max_stop=None)


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", FAMILIES)
@pytest.mark.parametrize("program", ["columns", "elements", "nested"])
def test_columns_write_what_the_decoder_of_single_values_says(run, program, toolchain):
    running = run(program, toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            inspection = inspected(target, state)
            assert in_columns(inspection) == one_by_one(inspection), state["name"]


def test_columns_write_every_state_of_a_classic_map(run):
    with open_target(str(run().pid), memory="direct") as target:
        for state in run().truth["maps"]:
            if state["variable"] and state["name"] not in NOT_IN_EXECUTABLE:
                inspection = inspected(target, state)
                assert in_columns(inspection) == one_by_one(inspection), state["name"]


def test_columns_write_every_type_and_form_of_a_swiss_map(swiss):
    program = swiss()
    with open_target(str(program.pid), memory="direct") as target:
        some = {
            (state.type, state.form): state
            for state in program.states.values()
            if state.variable and state.length < LARGE and not state.name.startswith("reflect")
        }
        assert {form for _, form in some} == {"nil", "none", "small", "tables"}
        for state in some.values():
            inspection = inspect(target, state.variable, state.type, entries=None, max_stop=None)
            assert in_columns(inspection) == one_by_one(inspection), state.name


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_columns_write_the_entries_of_sync_maps(run, toolchain):
    running = run("syncmaps", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for name in ("one", "churned", "deleted"):
            inspection = inspect(target, f"main.{name}", entries=None, max_stop=None)
            assert in_columns(inspection) == one_by_one(inspection), name


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_columns_say_of_what_was_not_copied_that_it_is_unreadable(run, toolchain):
    running = run("columns", toolchain)
    missing = 0
    with open_target(str(running.pid), memory="direct") as target:
        for name in ("texts", "people", "pointers", "apart", "blobs", "inners", "numbers", "manyTexts"):
            snapshot = inspected(target, running.map(name), entries=1).snapshot
            expected = "".join(f"{dumps(entry_form(entry))}\n" for entry in snapshot.entries())
            missing += expected.count("it was not copied")
            assert all_of(snapshot) == expected, name
    assert missing > 30


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_columns_hide_what_is_to_be_hidden(run, toolchain):
    running = run("secrets", toolchain)
    with open_target(str(running.pid), memory="direct") as target, redacting(Redactor.random()):
        for state in running.truth["maps"]:
            inspection = inspected(target, state)
            written = in_columns(inspection)
            assert written == one_by_one(inspection), state["name"]
            assert "zqsecret" not in written
            assert next(inspection.columns(split=True)).keys.values()[0] == next(inspection.entries()).key


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_split_columns_hold_the_same_values(run, toolchain):
    running = run("columns", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for name in ("people", "pointers", "apart", "arrays", "mixeds", "blobs", "times"):
            inspection = inspected(target, running.map(name))
            windows = list(inspection.columns(split=True))
            assert [value for window in windows for value in window.keys.values()] == [
                entry.key for entry in inspection.entries()
            ]
            assert [value for window in windows for value in window.values.values()] == [
                entry.value for entry in inspection.entries()
            ]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_columns_are_numpy_arrays_and_the_layout_of_arrow(run, toolchain):
    running = run("columns", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        numbers = [*inspected(target, running.map("manyNumbers")).columns()]
        assert len(numbers) > 1
        found: dict[int, float] = {}
        for window in numbers:
            assert isinstance(window.keys, Numbers)
            assert isinstance(window.values, Numbers)
            assert (window.keys.numbers.dtype, window.values.numbers.dtype) == (np.int64, np.float64)
            found |= dict(zip(window.keys.numbers.tolist(), window.values.numbers.tolist(), strict=True))
        assert found == {i - 10000: i / 4 for i in range(20000)}

        texts: dict[bytes, bytes] = {}
        for window in inspected(target, running.map("manyTexts")).columns():
            assert isinstance(window.keys, Texts)
            assert isinstance(window.values, Texts)
            assert window.keys.offsets[-1] == len(window.keys.data) == window.keys.lengths.sum()
            texts |= dict(zip(window.keys.each(), window.values.each(), strict=True))
        assert texts == {f"key-{i}".encode(): f"value-{i}".encode() for i in range(20000)} | {b"not plain": b'"\xfe"'}

        people = next(inspected(target, running.map("manyPeople")).columns(split=True))
        assert isinstance(people.values, Pointers)
        assert isinstance(people.values.targets, Partial)
        person = people.values.targets.column
        assert isinstance(person, Structs)
        assert [name for name, _ in person.fields][:4] == ["base", "Name", "Weight", "Home"]


def test_windows_hold_few_bytes_however_long_texts_are(run):
    running = run("columns")
    with open_target(str(running.pid), memory="direct") as target:
        windows = list(inspected(target, running.map("manyLong")).columns())
    assert sum(map(len, windows)) == 500
    assert len(windows) > 1
    assert max(window.values.weight for window in windows) <= 1 << 23
