"""--grep finds the entries that Go's own regexp finds, in one map and in all, and no expression keeps it busy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from fixtures.running import Running
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.questions import answer_of

MAPS = ("words", "bytesOf", "owners", "mixed")
HOSTILE = r"^(a+)+$"


@pytest.fixture(scope="module", params=[USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program, with maps of either family."""
    with start(build("questions", request.param)) as started:
        yield started


@pytest.mark.slow
def test_all_maps_are_searched_as_gos_own_regexp_searches_them(running):
    for expression, told in answer_of(running.truth, "searched").items():
        document = cli_here(running.pid, "--grep", expression, "--json").document["grep"]
        found = Counter(one["map"]["name"] for one in document["entries"])
        ours = {name.removeprefix("main."): count for name, count in found.items() if name}
        assert {name: count for name, count in ours.items() if name in MAPS} == {
            name: len(keys) for name, keys in told["keys"].items()
        }, expression
        assert document["matches"] == sum(found.values())
        assert document["maps_with_matches"] == len({one["map"]["address"] for one in document["entries"]})
    assert_running(running)


@pytest.mark.parametrize("name", MAPS)
def test_one_map_is_searched_and_its_keys_can_be_typed_back(running, name):
    told = answer_of(running.truth, "searched")["needle"]["keys"].get(name, [])
    answer = cli_here(running.pid, f"main.{name}", "--grep", "needle", "--entries", "all", "--json")
    found = answer.document["grep"]
    assert (found["matches"], len(found["entries"])) == (len(told), len(told))
    short = {one["literal"] for one in found["entries"] if "..." not in one["literal"] and "\\u" not in one["literal"]}
    assert short <= {each.replace("é", "é") for each in told}
    for literal in sorted(short)[:3]:
        assert cli_here(running.pid, f"main.{name}", "--key", literal).code == 0


def test_a_long_key_is_listed_in_the_short_form_that_leads_to_it(running):
    found = cli_here(running.pid, "main.words", "--grep", "needle-long", "--json").document["grep"]["entries"]
    assert [one["literal"].startswith('"needle-long-yyyyyyyy"...312#') for one in found] == [True]


def test_elements_are_searched_if_asked_for(running):
    told = answer_of(running.truth, "searched")["needle"]["entries"]
    for name in MAPS:
        found = cli_here(running.pid, f"main.{name}", "--grep", "needle", "--values", "--json").document["grep"]
        assert (found["matches"], found["searched"]) == (told[name], ["keys", "values"])


@pytest.mark.slow
def test_lists_are_limited_and_counts_are_not(running):
    every = cli_here(running.pid, "--grep", "needle", "--json").document["grep"]["matches"]
    text = cli_here(running.pid, "--grep", "needle", "--top", 3).out
    assert f"entries that match (3 of {every:,}, in " in text
    text = cli_here(running.pid, "main.words", "--grep", "needle", "--entries", 5).out
    assert "entries that match (5 of 81, among 83 entries)" in text
    assert "1 text was searched in the first 65,536 characters only." in text


@pytest.mark.slow
def test_only_maps_that_are_selected_are_searched(running):
    found = cli_here(running.pid, "--grep", "needle", "--group", "main.owners", "--json").document["grep"]
    assert (found["maps_searched"], found["matches"]) == (1, 40)
    found = cli_here(running.pid, "--grep", "needle", "--type-matches", "blob$", "--json").document["grep"]
    assert {one["map"]["type"] for one in found["entries"]} == {"map[main.pair]*main.blob"}


@pytest.mark.slow
def test_an_expression_that_would_never_end_is_refused_and_the_process_runs(running):
    for where in ((), ("main.words",)):
        began = time.process_time()
        assert_refused(cli_here(running.pid, *where, "--grep", HOSTILE), "takes too long", "(a+)+")
        assert time.process_time() - began < 30
    assert_running(running)


@pytest.mark.slow
def test_nothing_from_the_target_reaches_the_terminal(running):
    text = cli_here(running.pid, "--grep", "hay-needle", "--values").out
    assert "\x1b" not in text
    assert r"\x1b[31m" in text


def test_what_matches_nothing_is_said():
    assert "No key matches, of 209 entries." in cli_here("demo", "--grep", "nobody").out
    assert "No key or element matches, in 6 maps." in cli_here("demo", "--grep", "nobody", "--values", "--top", 3).out


def test_what_does_not_go_with_grep_is_refused_in_one_line():
    assert_refused(cli_here("demo", "--values"), "--values is for --grep")
    assert_refused(cli_here("demo", "--grep", "("), "not a regular expression", "--grep")
    assert_refused(cli_here("demo", "--grep", "x", "--ndjson"), "leave --ndjson out")
    assert_refused(cli_here("demo", "--grep", "x", "--key", "1"), "leave --key out")
    assert_refused(cli_here("demo", "--grep", "x", "--top-entries", "1"), "leave --top-entries out")
