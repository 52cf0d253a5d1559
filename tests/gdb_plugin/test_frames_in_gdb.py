"""Variables of all goroutines' functions in real gdb, whichever thread and frame are selected."""

from __future__ import annotations

import re
import shutil

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from tests.support.commandline import assert_running
from tests.support.gdbsession import gdb, gdbserver
from tests.support.promised import promised
from tests.support.truth import differences

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

SWISS = SWISS_RELEASES[-1]
FAMILIES = [pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow), pytest.param(SWISS, id=SWISS.name)]


def commands_for(states: list[dict]) -> list[str]:
    """One command for each map."""
    return [f"info gomap {state['variable']} -entries all -json" for state in states]


def differing(states: list[dict], said: list[str]) -> dict[str, list[str]]:
    """What gdb says otherwise than the program did, by map."""
    found = {state["name"]: differences(promised(text), state) for state, text in zip(states, said, strict=True)}
    return {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", FAMILIES)
def test_every_map_of_a_live_process_is_found_by_its_frame(toolchain):
    with start(build("handlers", toolchain)) as running:
        states = running.truth["maps"]
        assert differing(states, gdb(*commands_for(states), on=("-p", running.pid))) == {}
        assert_running(running)


@pytest.mark.slow
def test_every_map_of_a_kernel_core_is_found_by_its_frame(crash):
    core = crash("handlers", SWISS)
    states = core.truth["maps"]
    assert differing(states, gdb(*commands_for(states), on=(core.exe, core.path))) == {}


@pytest.mark.matrix
@pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")
def test_every_map_behind_gdbserver_is_found_by_its_frame():
    with start(build("handlers", SWISS)) as running:
        states = running.truth["maps"]
        with gdbserver(running) as place:
            said = gdb(f"target remote {place}", *commands_for(states), "detach")[1:-1]
        assert_running(running)
    assert differing(states, said) == {}


@pytest.mark.slow
def test_what_is_selected_and_set_stays(crash):
    core = crash("handlers", SWISS)
    look = ["info frame", "info threads", "show language", "thread", "frame"]
    said = gdb(
        "set language pascal", "thread 2", "up", *look, "info gomap main.argument:sessions -json",
        'print $gomap_len ("main.argument:sessions")', "info gomap main.nothing:x", *look, on=(core.exe, core.path),
    )  # fmt: skip
    before, after = said[3:8], said[11:]
    assert before == after
    assert promised(said[8])["entries_total"] == 9
    assert said[9] == "$1 = 9"


@pytest.mark.slow
def test_several_variables_are_distinguished_and_each_can_be_chosen(crash):
    core = crash("handlers", SWISS)
    listed = gdb("info gomap main.worker:jobs", on=(core.exe, core.path))[0]
    assert len(listed.splitlines()) == 1
    offered = re.findall(r"(\S+@\d+#\d+:\S+) \(", listed)
    sizes = gdb(*(f'print $gomap_len ("{name}")' for name in offered), on=(core.exe, core.path))
    assert sorted(text.split()[-1] for text in sizes) == ["1", "2"]
