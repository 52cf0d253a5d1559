"""Swiss maps in real gdb: judged and printed, on processes, cores and behind gdbserver, also while they split."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from fixtures import SWISS_EXPERIMENTS, SWISS_RELEASES, build, start
from tests.support.commandline import assert_running
from tests.support.gdbsession import gdb, gdb_mi, gdbserver
from tests.support.promised import promised
from tests.support.swiss import PROGRAM
from tests.support.truth import differences

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

SWISS = SWISS_RELEASES[-1]
RELEASES = [
    pytest.param(SWISS, id=SWISS.name),
    *(
        pytest.param(each, id=each.name, marks=pytest.mark.matrix)
        for each in (*SWISS_RELEASES[:-1], *SWISS_EXPERIMENTS)
    ),
]

SHOWN = (
    "small_3", "small_holes", "small_emptied", "hint_897", "growth_left_0", "tombstones", "cleared_stale",
    "two_tables", "three_tables_any", "sparse_tables", "emptied_tables", "cloned_indirect", "ranged_split",
    "few_key129", "type_elem129", "type_elem_zero", "few_padded", "named_map", "generic_pointer_map",
)  # fmt: skip
"""States that differ in what gdb has to read: forms, tables, tombstones, indirect keys and elements."""

PRINTED = re.compile(r"\[(-?\d+|\"[^\"]*\")\] = (-?\d+|\"[^\"]*\")")
"""Entries whose keys and elements are numbers or strings."""

SPLITTING = "internal/runtime/maps.(*Map).installTableSplit"


def chosen(truth: dict) -> list[dict]:
    """The states that are shown, as the program told them."""
    known = {state["name"]: state for state in truth["maps"]}
    return [known[name] for name in SHOWN]


def commands_for(states: list[dict]) -> list[str]:
    """One command for each state."""
    return [f"info gomap {state['variable']} -entries all -json" for state in states]


def differing(states: list[dict], said: list[str]) -> dict[str, list[str]]:
    """What gdb says otherwise than the program did, by state."""
    pairs = zip(states, map(promised, said), strict=True)
    found = {state["name"]: differences(document, state) for state, document in pairs}
    return {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", RELEASES)
def test_states_of_a_live_process_are_told_as_the_program_tells_them(toolchain):
    with start(build(PROGRAM, toolchain)) as running:
        states = chosen(running.truth)
        assert differing(states, gdb(*commands_for(states), on=("-p", running.pid))) == {}
        assert_running(running)


@pytest.mark.slow
def test_states_of_a_kernel_core_are_told_as_the_program_told_them(crash):
    core = crash(PROGRAM, SWISS)
    states = chosen(core.truth)
    assert differing(states, gdb(*commands_for(states), on=(core.exe, core.path))) == {}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")
def test_states_behind_gdbserver_are_told_as_the_program_tells_them(swiss):
    running = swiss(SWISS).running
    states = chosen(running.truth)
    with gdbserver(running) as place:
        said = gdb(f"target remote {place}", *commands_for(states), "detach")
    assert differing(states, said[1:-1]) == {}
    assert_running(running)


# The pretty-printer


def entries(text: str) -> list[tuple]:
    """What was printed, sorted; gdb's quoted strings are Python's, too."""
    return sorted((json.loads(key), json.loads(value)) for key, value in PRINTED.findall(text))


@pytest.mark.parametrize("toolchain", RELEASES)
def test_maps_of_every_form_are_printed_with_each_entry_once(toolchain):
    with start(build(PROGRAM, toolchain)) as running:
        states = {state["name"]: state for state in running.truth["maps"]}
        names = ("small_3", "small_holes", "just_converted", "tombstones", "two_tables", "type_string", "cloned_small")
        printed = (f"print '{states[name]['variable']}'" for name in names if "[" not in states[name]["variable"])
        said = gdb(
            "set gomap pretty-print on", "set print elements 0", *printed, "print 'main.small'[2]",
            "print 'main.nilMap'", "print 'main.emptied'", on=("-p", running.pid),
        )  # fmt: skip
    shown = [states[name] for name in names if name != "small_3"] + [states["small_3"]]
    for state, text in zip(shown, said[2:], strict=False):
        told = sorted((entry["key"], entry["value"]) for entry in state["entries"])
        assert entries(text) == told, state["name"]
        assert f"({len(told)} entries) = {{" in text
    assert said[-2].endswith("map[string]int(nil)")
    assert said[-1].endswith("map[string]int(0 entries)")


@pytest.mark.slow
def test_keys_and_elements_that_are_stored_by_reference_are_printed(swiss):
    said = gdb(
        "set gomap pretty-print on", "set print elements 0", "set print repeats unlimited", "print 'main.fewElem129'",
        on=("-p", swiss(SWISS).running.pid),
    )  # fmt: skip
    state = next(state for state in swiss(SWISS).running.truth["maps"] if state["name"] == "few_elem129")
    assert len(re.findall(r"\[-?\d+\] = \"", said[3])) + len(re.findall(r"\[-?\d+\] = \{", said[3])) == state["len"]


@pytest.mark.slow
def test_a_map_in_the_middle_of_a_split_is_printed_with_each_entry_once(tmp_path):
    requests = tmp_path / "requests"
    os.mkfifo(requests)
    printed = ["print 'main.doubling'", "print $gomap_len ('main.doubling')", "output *'main.doubling'"]
    begin = [
        "set gomap pretty-print on", "set print elements 0", "set startup-with-shell on",
        f"break '{SPLITTING}' if (long) m == (long) 'main.doubling'", f"run < {requests} > /dev/null",
    ]  # fmt: skip
    # Once the directory is longer, the function still has to replace the table in it. Where the scheduler took the
    # goroutine away meanwhile, the next split finds the longer directory.
    moves = ["nexti 12"] * 6 + ["finish", "continue"]
    steps = [command for move in moves for command in (move, *printed)]
    # The program ends with its input, so that stays open.
    with requests.open("r+b", buffering=0) as kept:
        kept.write(b"write\n")
        said = gdb(*begin, *printed, *steps, "kill", on=(build("churn", SWISS),))
    assert SPLITTING in said[len(begin) - 1]
    stops = said[len(begin) : -1]
    shown = [stops[at : at + 3] for at in (0, *range(4, len(stops), 4))]
    for text, length, _ in shown:
        found = entries(text)
        assert all(key == 7919 * value for key, value in found)
        assert len({key for key, _ in found}) == len(found)
        assert f"({int(length.split()[-1]):,} entr" in text
        # The entry that is being written may be counted already, or not yet.
        assert 890 < len(found) <= int(length.split()[-1]) + 1
    # The directory was there, and became longer meanwhile.
    assert len({re.search(r"dirLen = (\d+)", header)[1] for _, _, header in shown}) > 1


@pytest.mark.slow
def test_front_ends_open_a_swiss_map_entry_by_entry(swiss):
    *_, made, children = gdb_mi(
        "-enable-pretty-printing", "-gdb-set gomap pretty-print on", "-var-create split * \"'main.twoTables'\"",
        "-var-list-children --all-values split", on=("-p", swiss(SWISS).running.pid),
    )  # fmt: skip
    assert made["payload"]["displayhint"] == "map"
    values = [child["value"] for child in children["payload"]["children"]]
    state = next(state for state in swiss(SWISS).running.truth["maps"] if state["name"] == "two_tables")
    told = {(entry["key"], entry["value"]) for entry in state["entries"]}
    assert {(json.loads(key), int(value)) for key, value in zip(values[::2], values[1::2], strict=True)} == told
