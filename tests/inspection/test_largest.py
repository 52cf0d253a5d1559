"""The largest entries of a map are those that the program itself counts as the largest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from fixtures.running import Running
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.questions import answer_of

FEW = 12
SIZES = {"size": ("key", "value"), "key-size": ("key",), "value-size": ("value",)}


@pytest.fixture(scope="module", params=[USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program, with maps of either family."""
    with start(build("questions", request.param)) as started:
        yield started


@pytest.mark.parametrize("name", ["blobs", "pairs", "wides", "anys", "lists"])
def test_every_entry_weighs_what_the_program_counts(running, name):
    told = answer_of(running.truth, "weights")[name]
    document = cli_here(running.pid, f"main.{name}", "--top-entries", 1000, "--json").document
    found, sums = document["top_entries"]["entries"], document["top_entries"]["all_bytes"]
    seen = [one["bytes"] for one in found]
    assert Counter((one["key"], one["value"]) for one in seen) == Counter((one["key"], one["value"]) for one in told)
    assert [one["total"] for one in seen] == sorted((one["key"] + one["value"] for one in told), reverse=True)
    assert sums == {part: sum(one[part] for one in seen) for part in ("key", "value", "total")}
    assert document["top_entries"]["pointers_missed"] == 0
    assert_running(running)


@pytest.mark.parametrize("by", SIZES)
def test_the_largest_come_first_by_the_size_that_was_asked_for(running, by):
    told = answer_of(running.truth, "weights")["blobs"]
    sizes = sorted((sum(one[part] for part in SIZES[by]) for one in told), reverse=True)
    answer = cli_here(running.pid, "main.blobs", "--top-entries", FEW, "--by", by, "--json")
    found = answer.document["top_entries"]["entries"]
    assert [sum(one["bytes"][part] for part in SIZES[by]) for one in found] == sizes[:FEW]
    assert (answer.code, answer.document["entries"]) == (0, [])


def test_the_text_says_what_is_counted_and_of_how_many_entries(running):
    text = cli_here(running.pid, "main.pairs", "--top-entries", FEW).out
    assert f"entries by size ({FEW} of 200)" in text
    assert "the arrays of its slices (their capacity)" in text
    assert text.splitlines()[0].endswith("OK")


def test_a_nil_map_has_no_largest_entry():
    answer = cli_here("demo", "0x0", "--type", "map[string]int", "--top-entries", "3", "--json")
    assert answer.document["top_entries"]["entries"] == []


def test_what_does_not_go_with_top_entries_is_refused_in_one_line():
    assert_refused(cli_here("demo", "--by", "key-size"), "--by is for --top-entries")
    assert_refused(cli_here("demo", "--top-entries", "3", "--entries", "4"), "leave --entries out")
    assert_refused(cli_here("demo", "--top-entries", "3", "--key", "1"), "leave --key out")
    assert_refused(cli_here("demo", "--top-entries", "3", "--ndjson"), "leave --ndjson out")
    assert_refused(cli_here("demo", "--top-entries", "many"), "'many' is not a number")
    assert_refused(cli_here("1", "--top-entries", "3"), "--top-entries needs a map", "main.sessions --top-entries 10")
