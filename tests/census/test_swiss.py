"""The census of programs with Swiss maps: every live map is found, plain and stripped, live and in a core."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from rich.console import Console

from fixtures import SWISS_RELEASES, Toolchain, build, cached_core, start
from inspector.census import Census, CensusMap
from inspector.census.select import Selection
from inspector.report.json.census import census_form
from inspector.report.text.census import print_census
from inspector.report.text.view import View
from tests.support.census import census_of, differences
from tests.support.commandline import assert_free, assert_running
from tests.support.promised import PROMISED
from tests.support.swiss import STRIPPED, SwissProgram, SwissState, swiss_states
from tests.support.toolchains import EVERY_SWISS, NEWEST_SWISS, TWO_SWISS

FEW = "2"
NEWEST = SWISS_RELEASES[-1]
PLAIN_OR_STRIPPED = pytest.mark.parametrize("ldflags", ["", STRIPPED], ids=["plain", "stripped"])


@PLAIN_OR_STRIPPED
@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_every_live_map_of_a_process_is_found_with_its_type_and_count_and_no_other(toolchain, ldflags):
    with start(build("census", toolchain, ldflags=ldflags), FEW) as running:
        census = census_of(running.pid, max_stop=None)
        assert differences(running.truth, census, named=not ldflags) == []
        assert_running(running)
    assert (census.exit_code, census.notes) == (0, ())


@PLAIN_OR_STRIPPED
@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_every_live_map_of_a_core_is_found_and_the_emptied_one_leads_by_waste(toolchain, ldflags):
    core = cached_core(build("census", toolchain, ldflags=ldflags), FEW)
    census = census_of(core.path)
    assert differences(core.truth, census, named=not ldflags) == []
    emptied = next(one for one in core.truth["maps"] if one["name"] == "main.emptied")
    worst, second, *_ = Selection(sort="waste").matching(census.maps)
    assert (hex(worst.address), worst.count, worst.bytes.if_rebuilt) == (emptied["address"], 0, 48)
    assert worst.bytes.wasted > 30_000_000 > 1000 * second.bytes.wasted
    assert worst.state == f"{worst.form['tombstones']:,} tombstones"


@PLAIN_OR_STRIPPED
@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_emptied_maps_lead_by_waste_before_all_that_are_in_use(toolchain, ldflags):
    with start(build("emptied", toolchain, ldflags=ldflags)) as running:
        census = census_of(running.pid)
    told = {int(one["address"], 16): one for one in running.truth["maps"]}
    emptied = [address for address, one in told.items() if not one["len"]]
    leading = Selection(sort="waste").matching(census.maps)[: len(emptied)]
    assert {one.address for one in leading} == set(emptied)
    assert [one for one in leading if told[one.address]["type"] not in (one.type, *one.alternatives)] == []
    assert {(one.count, one.verdict, one.bytes.if_rebuilt) for one in leading} == {(0, "consistent", 48)}


MOMENTS = 20


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_maps_that_are_written_all_the_time_are_sound_and_only_their_churn_is_waste(toolchain):
    names = {f"main.{name}" for name in ("doubling", "churning", "pairs", "anything", "ranged")}
    leading: set[str | None] = set()
    with start(build("churn", toolchain)) as running:
        running.ask("write")
        # At some moments, above all in the beginning, they have no waste.
        for _ in range(MOMENTS):
            census = census_of(running.pid, max_stop=None)
            assert_free(running.pid)
            assert names <= {one.name for one in census.maps}
            assert {one.verdict for one in census.maps} <= {"consistent", "write-in-progress"}
            leading.add(Selection(sort="waste").matching(census.maps)[0].name)
            if leading & names:
                return
    raise AssertionError(leading)


# All states of Swiss maps


@dataclass(frozen=True)
class Listed:
    """The states by the addresses of their maps, and a census of the program that has them."""

    told: dict[int, SwissState]
    census: Census

    @property
    def found(self) -> dict[int, CensusMap]:
        """The maps of the census by their addresses."""
        return {one.address: one for one in self.census.maps}


@pytest.fixture(scope="module")
def listed(swiss: Callable[..., SwissProgram]) -> Callable[[Toolchain, bool], Listed]:
    """A census of the program with all states, one for each toolchain, plain or stripped."""

    @cache
    def taken(toolchain: Toolchain, stripped: bool) -> Listed:
        program = swiss(toolchain, stripped)
        told = {state.address: state for state in program.states.values() if state.address}
        return Listed(told, census_of(program.pid, max_stop=None))

    return taken


def without_memory(state: SwissState) -> bool:
    """Whether a map has nothing yet that could show what it is."""
    return state.header is not None and state.header.dir_ptr is None


@pytest.mark.parametrize("stripped", [False, True], ids=["plain", "stripped"])
@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_a_map_in_every_state_is_listed_and_no_table_or_group_that_an_iterator_holds(listed, toolchain, stripped):
    told, census, found = (taken := listed(toolchain, stripped)).told, taken.census, taken.found
    missing = [state.name for address, state in told.items() if address not in found and not without_memory(state)]
    assert missing == []
    for address, state in told.items():
        if address in found:
            seen = found[address]
            assert state.type in (seen.type, *seen.alternatives), state.name
            assert (seen.count, seen.verdict) == (state.length, "consistent"), state.name
    assert sum(one.found_by == "stack" for one in census.maps) == sum(name.startswith("stack_") for name in names(told))
    # What a replaced table or an old group is left of is reached by an iterator only, and is no map.
    stale = {int(word, 16) for state in told.values() for word in stale_words(state.notes)}
    assert stale
    assert not stale & set(found)


def names(told: dict[int, SwissState]) -> set[str]:
    return {state.name for state in told.values()}


def stale_words(notes: dict) -> list[str]:
    """Addresses of what an iterator holds, and of the iterator."""
    held = [notes.get("table"), notes.get("group"), notes.get("iterator")]
    return [part["address"] for part in held if isinstance(part, dict) and "address" in part]


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_clones_name_each_other_and_no_other_map_does(listed, toolchain):
    taken = listed(toolchain, False)
    told, found = taken.told, taken.found
    pairs = {state.name: address for address, state in told.items() if state.name.startswith("cloned")}
    assert len(pairs) == 12
    seeds = {name: told[address].header.seed for name, address in pairs.items()}
    if toolchain == SWISS_RELEASES[0]:
        # maps.Clone of Go 1.24 makes a map with a seed of its own, so nothing shows what it was made from.
        assert len(set(seeds.values())) == len(seeds)
        assert not any(one.clones for one in found.values())
        return
    for name, address in pairs.items():
        other = pairs[name.removesuffix("_from") if name.endswith("_from") else f"{name}_from"]
        assert found[address].clones == (other,), name
    assert {address for address, one in found.items() if one.clones} & set(told) == set(pairs.values())
    form = census_form(taken.census, Selection())
    PROMISED.validate(form)
    rows = {int(one["address"], 16): one.get("clones") for one in form["census"]["maps"]}
    assert rows[pairs["cloned"]] == [hex(pairs["cloned_from"])]
    told_of = io.StringIO()
    print_census(taken.census, Selection(), None, Console(file=told_of, width=200), View(maps=True))
    (line,) = (line for line in told_of.getvalue().splitlines() if " main.cloned " in line)
    assert re.search(r"\d+ tombstones, cloned +consistent", line)


@pytest.mark.slow
def test_types_of_maps_that_reflect_made_are_known_in_a_stripped_program(listed):
    taken = listed(NEWEST, True)
    found = taken.found
    made = [address for address, state in taken.told.items() if state.name.startswith("reflect_")]
    assert len(made) == 2
    assert all("map[[7]int8]uint16" in (found[at].type, *found[at].alternatives) for at in made)


@pytest.mark.slow
def test_states_of_a_core_are_those_of_the_process(swiss_core):
    core = swiss_core(NEWEST)
    told = {state.address: state for state in swiss_states(core.truth).values() if state.address}
    found = {one.address: one for one in census_of(core.path).maps}
    assert [state.name for address, state in told.items() if address not in found and not without_memory(state)] == []
