"""What the report says of a Swiss map, against the program's own words and the runtime's arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from inspector.goruntime.releases import Release
from inspector.inspection.one_map import Inspection, inspect
from inspector.maps.family import Account
from inspector.maps.swiss.mirror.growth import most_entries, plan_for_entries, plan_for_hint
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.maps.swiss.summary import planned_size
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.commandline import cli_here
from tests.support.promised import promised
from tests.support.swiss import SwissProgram, SwissState, states_core, swiss_states

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


def test_make_with_a_hint_allocates_what_the_program_got(reports: Reports) -> None:
    release = Release.parse("go1.27.3")
    seen = 0
    for name, (state, inspection) in reports.items():
        hint = name.removeprefix("hint_")
        if name == hint or not hint.isdecimal() or state.length or not state.tables:
            continue
        plan = plan_for_hint(int(hint))
        assert (plan.tables, plan.capacity) == (len(state.tables), state.tables[0].capacity), name
        snapshot = inspection.snapshot
        assert isinstance(snapshot, SwissSnapshot)
        parts = inspection.account.bytes.parts
        assert planned_size(release, snapshot.layout, plan) == sum(parts.values()) - parts["header"], name
        seen += 1
    assert seen >= 5


@pytest.mark.pure
@pytest.mark.parametrize(
    ("hint", "tables", "capacity"),
    [(0, 0, 8), (8, 0, 8), (9, 1, 16), (14, 1, 16), (15, 1, 32), (449, 1, 1024), (896, 1, 1024), (897, 2, 512)],
)
def test_hints_give_the_tables_of_newmap(hint: int, tables: int, capacity: int) -> None:
    assert (plan_for_hint(hint).tables, plan_for_hint(hint).capacity) == (tables, capacity)


@pytest.mark.pure
def test_what_a_count_needs_has_room_for_it_on_average() -> None:
    for count in range(9, 5000):
        plan = plan_for_entries(count)
        assert plan.tables * most_entries(plan.capacity) >= count, count


def test_every_document_of_a_swiss_program_keeps_the_schema(swiss: Callable[..., SwissProgram]) -> None:
    pid = str(swiss().pid)
    assert promised(cli_here(pid, "main.small[2]", "--json").out)["map"]["family"] == "swiss"
    assert promised(cli_here(pid, "main.small[2]", "--ndjson").out)["occupancy"]["live"] == 3
    assert promised(cli_here(pid, "main.small[2]", "--key", "key-0", "--json").out)["lookup"]["found"]
    assert not promised(cli_here(pid, "main.small[2]", "--key", "no such key", "--json").out)["lookup"]["found"]
    census = promised(cli_here(pid, "--json").out)["census"]
    assert census["totals"]["inconsistent"] == 0
