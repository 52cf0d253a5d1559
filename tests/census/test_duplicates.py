"""Strings held more than once are counted as the program itself counts them, in one map and in all."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from fixtures.running import Running
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.questions import answer_of

MAPS = "|".join(("map\\[int\\]string", "main.address", r"map\[string\]interface"))


@pytest.fixture(scope="module", params=[USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program, with maps of either family."""
    with start(build("questions", request.param)) as started:
        yield started


def text_of(one: dict[str, Any]) -> bytes:
    text = one["text"]
    return base64.b64decode(text["bytes"]) if isinstance(text, dict) else text.encode()


def test_texts_of_all_maps_are_there_as_often_as_the_program_counts(running):
    told = {bytes.fromhex(text): one for text, one in answer_of(running.truth, "doubles").items()}
    found = cli_here(running.pid, "--duplicates", "--type-matches", MAPS, "--json").document["duplicates"]
    seen = {text_of(one): {"times": one["times"], "copies": one["copies"]} for one in found["top"]}
    assert seen == told
    assert [one["gives_back"] for one in found["top"]] == sorted(
        (len(text) * (one["copies"] - 1) for text, one in told.items()), reverse=True
    )
    assert (found["texts"], found["copies"]) == (len(told), sum(one["copies"] for one in told.values()))
    assert found["bytes"] == sum(one["gives_back"] for one in found["top"])
    assert found["not_read"] == 0
    assert_running(running)


def test_the_same_pointer_is_no_copy(running):
    found = cli_here(running.pid, "main.cities", "--duplicates", "--json").document["duplicates"]
    assert b"shared by all" not in {text_of(one) for one in found["top"]}
    assert (found["strings"], found["addresses"]) == (120, 120 - 14 + 1)


def test_the_list_is_short_and_the_sums_are_not(running):
    every = cli_here(running.pid, "main.addresses", "--duplicates", "--top", "all", "--json").document["duplicates"]
    answer = cli_here(running.pid, "main.addresses", "--duplicates", "--top", 2)
    assert f"strings held more than once (2 of {every['texts']})" in answer.out
    assert f"in {every['copies']} copies" in answer.out
    assert "\x1b" not in cli_here(running.pid, "--duplicates").out


def test_a_map_without_copies_is_said_to_have_none():
    assert "No text is there more than once." in cli_here("demo", "main.sessions", "--duplicates").out


def test_what_does_not_go_with_duplicates_is_refused_in_one_line():
    assert_refused(cli_here("demo", "--duplicates", "--grep", "x"), "leave --grep out")
    assert_refused(cli_here("demo", "--duplicates", "--entries", "3"), "leave --entries out")
    assert_refused(cli_here("demo", "--duplicates", "--key", "1"), "leave --key out")
