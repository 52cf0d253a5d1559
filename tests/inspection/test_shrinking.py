"""Why a map does not shrink, and what to do: the words follow from what the program's own release does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from fixtures.running import Running
from tests.support.commandline import cli_here
from tests.support.questions import answer_of

WHERE_CLONE_DIFFERS = [
    pytest.param(USUAL, id=USUAL.name),
    pytest.param(SWISS_RELEASES[0], id=SWISS_RELEASES[0].name),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]


@pytest.fixture(scope="module", params=WHERE_CLONE_DIFFERS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program, built by a release of each kind."""
    toolchain: Toolchain = request.param
    with start(build("questions", toolchain)) as started:
        yield started


def test_the_advice_names_maps_clone_only_where_it_makes_a_smaller_map(running):
    measured = answer_of(running.truth, "few")
    document = cli_here(running.pid, "main.few", "--json").document
    held, shrinking = document["occupancy"]["bytes"], document["shrinking"]
    assert shrinking["bytes"] == held["total"] - held["if_rebuilt"]
    # What the program itself says: a copy by make and a loop is small, and a clone only in some releases.
    assert measured["rebuilt"] < held["total"] / 50
    if measured["cloned"] < held["total"] / 50:
        assert "(make and a loop, or maps.Clone)" in shrinking["advice"]
    else:
        assert measured["cloned"] > held["total"] * 0.9
        assert "(make and a loop; maps.Clone copies its tables as they are since Go 1.25)" in shrinking["advice"]


def test_the_report_says_why_and_what_to_do_in_words(running):
    text = cli_here(running.pid, "main.emptied").out
    parts = "buckets" if "hmap at" in text else "tables"
    assert "This map is empty but holds " in text
    assert f": delete and clear keep its {parts}, and a Go map never shrinks. Replace it with a new map (make" in text


def test_tombstones_are_said_to_free_no_memory(running):
    few = cli_here(running.pid, "main.few", "--json").document
    if few["occupancy"].get("tombstones"):
        pruned = few["growth"]["prunes_tombstones"]
        advice = few["shrinking"]["advice"]
        assert ("(mapassign_faststr) prune its " in advice) == pruned
        assert ("mapassign_faststr never prunes them in go1.24" in advice) == (not pruned)
    else:
        assert "tombstone" not in few["shrinking"]["advice"]


def test_nothing_is_said_of_a_map_that_holds_nothing_in_vain(running):
    assert "shrinking" not in cli_here(running.pid, "main.full", "--json").document
    assert "never shrink" not in cli_here(running.pid, "main.full").out


@pytest.mark.slow
def test_the_list_by_waste_says_it_of_all_maps(running):
    text = cli_here(running.pid, "--sort", "waste").out
    document = cli_here(running.pid, "--sort", "waste", "--json").document
    assert "Go maps never shrink: delete and clear keep their " in text
    shrinking = document["census"]["shrinking"]
    assert shrinking["bytes"] == document["census"]["totals"]["wasted"]
    assert shrinking["advice"].startswith("Copy the entries into new maps (make and a loop")
    assert "shrinking" not in cli_here(running.pid, "--json").document["census"]
    assert "never shrink" not in cli_here(running.pid).out
