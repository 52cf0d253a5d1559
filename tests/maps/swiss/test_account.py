"""What the report says of a Swiss map, against the program's own words and the runtime's arithmetic."""

from __future__ import annotations

import io
import pickle
from collections import Counter
from collections.abc import Callable, Iterator

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from fixtures import SWISS_RELEASES, Toolchain
from inspector.hashing.keys import find_hash_keys
from inspector.inspection.one_map import Inspection, inspect
from inspector.maps.family import Account
from inspector.maps.swiss.mirror.growth import Room, expected_inserts, made_for
from inspector.report.text.one_map import print_report
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.chance import unforeseen
from tests.support.commandline import cli_here
from tests.support.promised import SCHEMA, promised
from tests.support.swiss import SwissProgram, SwissState, states_core, swiss_states
from tests.support.swissrules import Subject

PARTS = {name: jsonschema.Draft202012Validator(SCHEMA["properties"][name]) for name in ("growth", "occupancy")}
"""What each part of a document has to be."""

Reports = dict[str, tuple[SwissState, Inspection]]


@pytest.fixture(scope="module")
def core() -> Iterator[tuple[Target, dict[str, SwissState]]]:
    """A core of the newest release, and what the program said of its maps."""
    core = states_core()
    with open_target(str(core.path)) as target:
        yield target, swiss_states(core.truth)


@pytest.fixture(scope="module")
def reports(core: tuple[Target, dict[str, SwissState]]) -> Reports:
    """Every state that has an address and a name of its type, inspected."""
    target, states = core
    chosen = {name: state for name, state in states.items() if state.header and not name.startswith("reflect")}
    return {name: (state, inspect(target, hex(state.address), state.type, entries=0)) for name, state in chosen.items()}


def occupancy(account: Account) -> tuple[int, ...]:
    form = account.occupancy_form
    return tuple(form[name] for name in ("live", "cells", "tombstones", "tables", "groups", "directory"))


def told(state: SwissState) -> tuple[int, ...]:
    slots = sum(len(groups.control) for groups in state.storages)
    tombstones = sum(groups.deleted for groups in state.storages)
    return (state.length, slots, tombstones, len(state.tables), slots // 8, len(state.directory))


def test_counts_are_those_of_the_program(reports: Reports) -> None:
    assert len(reports) > 190
    for name, (state, inspection) in reports.items():
        assert occupancy(inspection.account) == told(state), name
        form = {"none": "none", "small": "small", "tables": "tables"}[state.form]
        assert inspection.account.growth_form["form"] == form, name


def test_probe_lengths_are_those_that_the_programs_hashes_give(reports: Reports) -> None:
    longest = 0
    for name, (state, inspection) in reports.items():
        lengths = Counter(t.inside.path(slot) for t in state.tables for slot in t.inside.slots if slot.reflexive)
        if state.form == "tables":
            seen = {int(length): count for length, count in inspection.account.occupancy_form["probe_lengths"].items()}
            assert seen == dict(lengths), name
            longest = max(longest, *lengths, 0)
    assert longest > 3


def test_the_first_new_key_that_can_start_a_growth_follows_from_growth_left(reports: Reports) -> None:
    kinds: Counter[str] = Counter()
    for name, (state, inspection) in reports.items():
        coming = inspection.account.growth_form["next"]
        assert coming is not None, name
        kinds[coming["kind"]] += 1
        if state.form == "tables":
            assert coming["inserts"]["min"] == min(table.growth_left for table in state.tables) + 1, name
        elif state.form == "small":
            assert (coming["kind"], coming["inserts"]["min"]) == ("to-table", 9 - state.length), name
        else:
            assert (coming["kind"], coming["inserts"]["min"]) == ("to-small", 1), name
        assert coming["inserts"]["expected"] >= coming["inserts"]["min"], name
    assert set(kinds) == {"to-small", "to-table", "double", "split", "prune"}, kinds


def test_make_with_a_hint_makes_the_tables_that_the_program_got(reports: Reports) -> None:
    seen = 0
    for name, (state, _) in reports.items():
        hint = name.removeprefix("hint_")
        if name == hint or not hint.isdecimal() or state.length or not state.tables:
            continue
        made = made_for(int(hint))
        assert (made.tables, made.capacity) == (len(state.tables), state.tables[0].capacity), name
        seen += 1
    assert seen >= 5


@pytest.mark.pure
@pytest.mark.parametrize(
    ("hint", "tables", "capacity"),
    [(0, 0, 0), (8, 0, 0), (9, 1, 16), (14, 1, 16), (15, 1, 32), (449, 1, 1024), (896, 1, 1024), (897, 2, 512)],
)
def test_hints_give_the_tables_of_newmap(hint: int, tables: int, capacity: int) -> None:
    assert (made_for(hint).tables, made_for(hint).capacity) == (tables, capacity)


@pytest.mark.slow
def test_every_document_of_a_swiss_program_keeps_the_schema(swiss: Callable[..., SwissProgram]) -> None:
    pid = str(swiss().pid)
    assert promised(cli_here(pid, "main.small[2]", "--json").out)["map"]["family"] == "swiss"
    assert promised(cli_here(pid, "main.small[2]", "--ndjson").out)["occupancy"]["live"] == 3
    assert promised(cli_here(pid, "main.small[2]", "--key", "key-0", "--json").out)["lookup"]["found"]
    assert not promised(cli_here(pid, "main.small[2]", "--key", "no such key", "--json").out)["lookup"]["found"]
    census = promised(cli_here(pid, "--json").out)["census"]
    assert census["totals"]["inconsistent"] == 0


# In words


def text_of(inspection: Inspection) -> str:
    """The text report on 80 columns, without what is wrapped by the terminal."""
    out = io.StringIO()
    print_report(inspection, Console(file=out, width=1000, markup=False, highlight=False))
    return out.getvalue()


@pytest.mark.slow
def test_lines_about_a_map_fit_80_columns_in_every_state(reports: Reports) -> None:
    for name, (_, inspection) in reports.items():
        lines = [f"{title}: {line}" for title, line in first_lines(inspection.account)]
        lines += [f"  {line}" for passage in inspection.account.passages for line in passage.lines[1:]]
        lines += [f"tombstonePossible  {value}" for _, value in inspection.account.header]
        assert [line for line in lines if len(line) > 80] == [], name


def first_lines(account: Account) -> list[tuple[str, str]]:
    return [(passage.title, passage.lines[0]) for passage in account.passages]


def test_a_map_whose_tombstones_are_never_pruned_is_warned_of(reports: Reports) -> None:
    """The program saw which maps were pruned while it replaced keys, and which split instead."""
    for kind, prunes in [("int64", True), ("string", True), ("pointer", True), ("struct", False), ("float", False)]:
        state, inspection = reports[f"churned_{kind}"]
        assert (state.notes["prunes"] > 0) == prunes, kind
        assert inspection.account.growth_form["prunes_tombstones"] == prunes, kind
        assert ("never prunes tombstones" in text_of(inspection)) == (not prunes), kind


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", SWISS_RELEASES, ids=lambda toolchain: toolchain.name)
def test_which_maps_are_pruned_is_known_for_every_release(toolchain: Toolchain) -> None:
    core = states_core(toolchain)
    states = swiss_states(core.truth)
    with open_target(str(core.path)) as target:
        for kind in ("int64", "string", "pointer", "struct", "float"):
            state = states[f"churned_{kind}"]
            account = inspect(target, hex(state.address), state.type, entries=0).account
            assert account.growth_form["prunes_tombstones"] == (state.notes["prunes"] > 0), kind


def test_entries_that_share_a_table_are_pictured(reports: Reports) -> None:
    state, inspection = reports["three_tables"]
    (passage,) = (each for each in inspection.account.passages if each.title == "directory")
    alone = [state.directory.count(table) == 1 for table in state.directory]
    assert passage.strip is not None
    assert passage.strip.shares.tolist() == [float(each) for each in alone]
    assert "4 entries lead to 3 tables; 1 of depth 1, 2 of depth 2" in passage.lines[0]


def test_a_full_group_is_converted_by_an_update_until_go_1_26(reports: Reports) -> None:
    words = "A write to a key that is present starts it, too"
    assert words not in text_of(reports["small_8"][1])
    core = states_core(SWISS_RELEASES[0])
    with open_target(str(core.path)) as target:
        assert words in text_of(inspect(target, hex(swiss_states(core.truth)["small_8"].address), "map[string]int"))


# Maps that are damaged, or not known as a whole


def test_probe_lengths_of_keys_that_cannot_be_hashed_are_not_known(core: tuple[Target, dict[str, SwissState]]) -> None:
    target, states = core
    account = subject(target, states["tombstones"]).copy(hashed=False).account()
    assert account.occupancy_form["probe_lengths"] == {}
    assert any("not counted, because the hash function is not known" in line for line in all_lines(account))


def all_lines(account: Account) -> list[str]:
    return [line for passage in account.passages for line in passage.lines]


def subject(target: Target, state: SwissState) -> Subject:
    go_type = target.program.types.find_map_type(state.type)
    keys = find_hash_keys(target.program.image, target.memory, target.program.types)
    return Subject(target, state.address, go_type, keys)


@pytest.mark.slow
def test_a_map_with_any_bytes_overwritten_is_described(core: tuple[Target, dict[str, SwissState]]) -> None:
    target, states = core
    chance = unforeseen()
    for name in ("three_tables", "small_5", "tombstones", "half_beside_whole", "type_key129", "never_written"):
        it = subject(target, states[name])
        places = [it.address + byte for byte in range(48)]
        places += [int(at) + byte for at in it.copy().tables.addresses for byte in range(32)]
        places += [int(at) + slot for at in it.copy().groups.addresses[:4] for slot in range(8)]
        for _ in range(40):
            patches = {chance.choice(places): chance.randrange(256) for _ in range(chance.randrange(1, 4))}
            snapshot = it.copy(patches)
            account = snapshot.account()
            PARTS["growth"].validate(account.growth_form)
            PARTS["occupancy"].validate(account.occupancy_form)
            assert all_lines(account), (name, patches)


def test_a_copied_snapshot_says_the_same(reports: Reports) -> None:
    snapshot = reports["three_tables"][1].snapshot
    again = pickle.loads(pickle.dumps(snapshot))
    assert again.judge() == snapshot.judge()
    assert again.account().occupancy_form == snapshot.account().occupancy_form


# Arithmetic


@pytest.mark.pure
@pytest.mark.parametrize(
    ("tables", "left", "tombstones", "reuse"), [(1, 9, 0, 0.0), (8, 100, 0, 0.0), (3, 40, 30, 0.4)]
)
def test_expected_inserts_are_the_mean_of_what_chance_gives(tables, left, tombstones, reuse):
    chance = unforeseen()
    filled = np.full(tables, 1)
    room = Room(
        filled * 512, filled * left, filled * (tables - 1).bit_length(), filled * tombstones, filled * reuse, filled * 0
    )
    share = 1 / (1 << (tables - 1).bit_length())
    tries = []
    for _ in range(300):
        free, marked, inserts = [left] * tables, [tombstones] * tables, 0
        while min(free) >= 0:
            inserts += 1
            at = int(chance.random() / share)
            if at >= tables:
                continue
            # A tombstone that is gone is one that no path crosses any more.
            if tombstones and chance.random() < reuse * marked[at] / tombstones:
                marked[at] -= 1
            else:
                free[at] -= 1
        tries.append(inserts)
    assert expected_inserts(room) == pytest.approx(sum(tries) / len(tries), rel=0.05)
