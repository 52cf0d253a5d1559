"""Keys, elements and types that lead back to themselves: everything ends, and at the same depth."""

from __future__ import annotations

import json
import time

import pytest

from inspector.gotypes.render import go_form, json_form
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.commandline import assert_running, cli_here
from tests.support.truth import document_of

SECONDS = 60
"""A walk that is not bounded would take years, or the whole stack, and no test waits for that."""


@pytest.mark.parametrize("name", ["once", "fanned", "endless"])
def test_a_key_that_leads_to_itself_is_not_hashed_and_all_other_keys_are(run, name):
    running = run("tangled")
    started = time.monotonic()
    with open_target(str(running.pid), memory="direct") as target:
        told = running.map(name)
        document = document_of(inspect(target, told["address"], told["type"]))
    proof = document["hash_proof"]
    assert document["map"]["count"] == len(document["entries"]) == told["len"]
    assert (proof["checked"], proof["matched"], proof["skipped"]) == (told["len"] - 1, told["len"] - 1, 1)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("elements", "self", "a part of itself"),
        ("laughs", "many", "a part of itself"),
        ("laughs", "tower", "too many parts"),
        ("branches", "tree", "a part of itself"),
    ],
)
def test_a_slice_that_has_no_end_is_shown_up_to_the_place_where_that_is_plain(run, monkeypatch, name, key, words):
    # With the real limit a tower of slices takes three seconds.
    monkeypatch.setattr("inspector.gotypes.decode.MOST_PARTS", 10_000)
    started = time.monotonic()
    running = run("tangled")
    with open_target(str(running.pid), memory="direct") as target:
        told = running.map(name)
        entries = list(inspect(target, told["address"], told["type"]).entries())
        shown = {json_form(entry.key): (json.dumps(json_form(entry.value)), go_form(entry.value)) for entry in entries}
    assert words in shown[key][0]
    assert "plain" in shown
    assert time.monotonic() - started < SECONDS


def test_a_value_with_countless_ways_to_itself_is_copied_as_soon_as_one_with_a_single_way(run):
    running = run("tangled")
    told = running.map("branches")
    with open_target(str(running.pid), memory="direct") as target:
        inspection = inspect(target, told["address"], told["type"], max_stop=None)
    assert inspection.judgement.verdict == "consistent"
    # Eight slices of the same branch, level by level: one branch is copied, and its type's name is all that repeats.
    assert inspection.snapshot is not None
    assert inspection.snapshot.bytes_read < 1 << 20
    assert inspection.timing.read < SECONDS * 1000


@pytest.mark.slow
def test_the_census_and_the_command_answer_for_a_program_full_of_knots(run):
    running = run("tangled")
    answer = cli_here(running.pid, "--memory", "direct", "--json")
    maps = {one["name"]: one for one in json.loads(answer.out)["census"]["maps"]}
    for told in running.truth["maps"]:
        assert maps[told["variable"]]["count"] == told["len"]
    assert "internal error" not in answer.err
    assert_running(running)
