"""--key ends where the Go program's own v, ok := m[k] ends: random keys of every kind, in every state of growth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures import CLASSIC, SWISS_RELEASES, Running
from inspector.goruntime.hmap import OLD_ITERATOR, SAME_SIZE_GROW
from inspector.gotypes.render import json_form
from inspector.inspection.one_key import ask
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.toolchains import EVERY_SWISS

ASKED = 100
"""Keys of a map that are present, and keys that are absent; fewer only where a kind has no more values."""

SHARE = 10
"""As many where another toolchain is asked for all."""

OF_EVERY_STATE = 150
"""As many where everything is asked: a thousand and more of each kind, as Swiss maps have seven states."""

STATES = {
    "still": (False, 0),
    "ranged_double_half": (True, OLD_ITERATOR),
    "ranged_same_half": (True, OLD_ITERATOR | SAME_SIZE_GROW),
    "double_begun": (True, 0), "double_half": (True, 0), "double_last": (True, 0),
    "same_begun": (True, SAME_SIZE_GROW), "same_half": (True, SAME_SIZE_GROW), "same_last": (True, SAME_SIZE_GROW),
}  # fmt: skip
"""Whether a map grows, and the flags that tell how. Longer names come before their own endings."""


def state_of(entry: dict[str, Any]) -> str:
    return next(state for state in STATES if entry["name"].endswith("_" + state))


def kind_of(entry: dict[str, Any]) -> str:
    return entry["name"].removesuffix("_" + state_of(entry))


def disagreements(run: Run, entry: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
    """Keys, as Go literals, for which the walk does not end as in the program."""
    for literal, value in told["present"]:
        lookup = ask(run, entry["address"], entry["type"], literal).lookup
        if lookup.found is None or json_form(lookup.value) != value:
            yield f"{entry['name']}[{literal}]: {lookup.ended} ({lookup.value!r}), the program has {value!r}"
    for literal in told["absent"]:
        lookup = ask(run, entry["address"], entry["type"], literal).lookup
        if lookup.found is not None:
            yield f"{entry['name']}[{literal}]: found ({lookup.value!r}), the program has no such key"


def ask_and_compare(running: Running, entries: list[dict[str, Any]], count: int) -> list[str]:
    told = [running.ask(f"look {entry['name']} {count}") for entry in entries]
    with open_target(str(running.pid), memory="direct") as target:
        asking = Run(target, None)
        with asking.held():
            return [
                wrong
                for entry, answers in zip(entries, told, strict=True)
                for wrong in disagreements(asking, entry, answers)
            ]


def everything() -> list[Any]:
    """Every toolchain and state. Between them the oldest and the newest answer for all keys, the others for a share."""
    asked = []
    for toolchain in CLASSIC:
        for number, state in enumerate(STATES):
            whole = toolchain == (CLASSIC[0], CLASSIC[-1])[number % 2]
            asked.append(pytest.param(toolchain, state, ASKED if whole else SHARE, id=f"{toolchain.name}-{state}"))
    return asked


def test_the_program_has_a_map_of_every_kind_in_every_state_it_names(run):
    maps = run("keys").truth["maps"]
    for entry in maps:
        growing, flags = STATES[state_of(entry)]
        header = entry["header"]
        assert (header["oldbuckets"] is not None) == growing, entry["name"]
        assert header["flags"] & (OLD_ITERATOR | SAME_SIZE_GROW) == flags, entry["name"]
    states = {kind: [state_of(e) for e in maps if kind_of(e) == kind] for kind in map(kind_of, maps)}
    assert states.pop("bool") == ["still"]
    assert all(sorted(found) == sorted(STATES) for found in states.values())
    few = {"bool", "int8", "uint8"}
    assert [e["name"] for e in maps if e["len"] < ASKED and kind_of(e) not in few] == []


def test_a_few_random_keys_of_every_kind_in_every_state_end_as_in_the_program(run):
    running = run("keys")
    assert ask_and_compare(running, running.truth["maps"], 3)[:5] == []


@pytest.mark.slow
@pytest.mark.parametrize(("toolchain", "state", "count"), everything())
def test_hundreds_of_random_keys_of_every_kind_end_as_in_the_program(run, toolchain, state, count):
    running = run("keys", toolchain)
    entries = [entry for entry in running.truth["maps"] if state_of(entry) == state]
    assert ask_and_compare(running, entries, count)[:5] == []


@pytest.mark.slow
def test_thousands_of_the_values_of_an_int16_end_as_in_the_program_in_the_middle_of_a_growth(run):
    running = run("keys", CLASSIC[-1])
    entry = running.map("int16_double_half")
    assert ask_and_compare(running, [entry], 5000)[:5] == []


# Swiss maps: the form of a map and its tombstones take the place of growths.


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_a_few_random_keys_of_every_kind_of_swiss_map_end_as_in_the_program(run, toolchain):
    running = run("keys", toolchain)
    assert len(running.truth["maps"]) > 150
    assert ask_and_compare(running, running.truth["maps"], 3)[:5] == []


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [SWISS_RELEASES[0], SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def test_hundreds_of_random_keys_of_every_kind_of_swiss_map_end_as_in_the_program(run, toolchain):
    running = run("keys", toolchain)
    assert ask_and_compare(running, running.truth["maps"], SHARE)[:5] == []


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", SWISS_RELEASES, ids=lambda toolchain: toolchain.name)
def test_a_thousand_present_and_a_thousand_absent_keys_of_every_kind_of_swiss_map_end_as_in_the_program(run, toolchain):
    running = run("keys", toolchain)
    assert ask_and_compare(running, running.truth["maps"], OF_EVERY_STATE)[:5] == []
