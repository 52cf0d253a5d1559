"""The walk of a census: it ends, it does not grow beyond what there is, and says where it was cut."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.census import take_census, walk
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.whole import copied_whole
from tests.support.census import census_of

NEWEST = SWISS_RELEASES[-1]
NODES = 2000


@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(NEWEST, marks=pytest.mark.slow)])
def test_objects_to_which_thousands_of_pointers_lead_wait_once(toolchain):
    with (
        start(build("hub", toolchain)) as running,
        open_target(str(running.pid), memory="direct") as target,
        copied_whole(Run(target, None)) as whole,
    ):
        assert whole is not None
        tracemalloc.start()
        census = take_census(whole.target)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sum(one.type == "map[string]int" and one.count == 1 for one in census.maps) == NODES + 1
    # There are four million ways from node to node, of 32 bytes each.
    assert peak < NODES * NODES * 32 / 2


@pytest.mark.slow
@pytest.mark.parametrize("ldflags", ["", "-s -w"])
def test_a_walk_that_is_cut_says_so_in_every_program(ldflags, monkeypatch):
    with start(build("census", USUAL, ldflags=ldflags), "2") as running:
        assert not any("are reachable" in note for note in census_of(running.pid).notes)
        monkeypatch.setattr(walk, "MOST_OBJECTS", 20)
        census = census_of(running.pid)
    assert any("objects are reachable; the rest were not followed" in note for note in census.notes)
    assert census.exit_code == 3


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(NEWEST, marks=pytest.mark.slow)])
def test_maps_in_long_lists_are_found_by_what_holds_them(toolchain):
    with start(build("lists", toolchain)) as running:
        census = census_of(running.pid)
    assert census.notes == ()
    holders = Counter(one.holder or "named" for one in census.maps if one.type == "map[string]int" and one.count)
    # The first elements of the chain are so near to its variable that their maps have names.
    assert holders.keys() <= {"(main.node).tags", "(main.entry).tags", "named"}
    assert holders["(main.entry).tags"] + holders["(main.node).tags"] + holders["named"] == 2 * 1000
    assert holders["(main.node).tags"] > 990
    assert holders["(main.entry).tags"] > 990
    assert census.marked
    assert not any(one.unreachable for one in census.maps if one.holder in holders)
