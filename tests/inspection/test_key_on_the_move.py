"""A key that is on its way from one place to another is never called absent."""

from __future__ import annotations

import os

import pytest

from benchmarks.faults.patched import PatchedMemory
from benchmarks.lookups import measure
from benchmarks.nostop import TOOLCHAINS
from fixtures import NEWEST, SWISS_RELEASES, Running, build, start
from inspector.cli.demo import open_demo
from inspector.inspection.one_key import look_up
from tests.support.chance import unforeseen
from tests.support.commandline import assert_running, cli_here

FLAGS = {"classic": (8, 4), "swiss": (34, 1)}
"""Where a header says that it is being written, and how: hmap.flags has hashWriting, Map has writing."""

KEYS = ("session-0007", "nobody's")
"""Of the demo's map: one that is in it, and one that is not."""

NEWEST_OF = {"classic": NEWEST, "swiss": SWISS_RELEASES[-1]}
SAMPLE = 30
"""Lookups in the program of each family in every run of the tests; the toolchain is another in each run."""


def poke(running: Running, name: str, offset: int, value: int) -> None:
    """Overwrite a byte of the header of one of a program's maps."""
    memory = os.open(f"/proc/{running.pid}/mem", os.O_RDWR)
    try:
        assert os.pwrite(memory, bytes([value]), int(running.map(name)["address"], 16) + offset) == 1
    finally:
        os.close(memory)


@pytest.mark.slow
@pytest.mark.parametrize("family", TOOLCHAINS)
def test_of_maps_that_grow_at_full_speed_no_key_is_called_absent_that_stays(family):
    dice = unforeseen()
    said = measure(dice.choice(TOOLCHAINS[family]), SAMPLE, dice)
    assert said.wrong == []
    assert said.answers["no stop, present: present"] + said.answers["no stop, absent: absent"] > SAMPLE // 2


@pytest.mark.matrix
@pytest.mark.parametrize("family", TOOLCHAINS)
def test_two_thousand_lookups_without_a_stop_call_no_key_absent_that_stays(family):
    dice = unforeseen()
    for toolchain in TOOLCHAINS[family]:
        assert measure(toolchain, 2000 // len(TOOLCHAINS[family]) + 1, dice).wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("family", NEWEST_OF)
@pytest.mark.parametrize("option", [(), ("--no-stop",)], ids=["stopped", "no-stop"])
def test_of_a_map_in_the_middle_of_a_write_only_a_key_that_is_found_is_believed(family, option):
    offset, writing = FLAGS[family]
    with start(build("regrowing", NEWEST_OF[family])) as running:
        before = [cli_here(running.pid, "main.steady", "--key", key, *option).code for key in ("stays", "never")]
        poke(running, "steady", offset, writing)
        present = cli_here(running.pid, "main.steady", "--key", "stays", *option)
        document = cli_here(running.pid, "main.steady", "--key", "never", *option, "--json")
        text = cli_here(running.pid, "main.steady", "--key", "never", *option)
        poke(running, "steady", offset, 0)
        after = cli_here(running.pid, "main.steady", "--key", "never", *option)
        assert_running(running)
    assert (before, present.code, document.code, text.code, after.code) == ([0, 1], 0, 3, 3, 1)
    lookup = document.document["lookup"]
    assert (lookup["found"], lookup["value"], "inserting" in lookup) == (None, None, False)
    assert lookup["ended"].startswith("undecided: ")
    assert text.out.splitlines()[0].endswith("  undecided")
    assert lookup["ended"] in text.out
    assert "absent" not in text.out


@pytest.mark.pure
def test_in_a_core_of_a_map_in_the_middle_of_a_write_only_a_key_that_is_found_is_believed(monkeypatch):
    offset, writing = FLAGS["classic"]
    with open_demo() as opened:
        target, what = opened.target, (opened.variable, opened.type)
        present, absent = (look_up(target, what[0], key, what[1]) for key in KEYS)
        assert (present.exit_code, absent.exit_code) == (0, 1)
        flags = present.ref.address + offset
        byte = target.memory.read(flags, 1)[0] | writing
        monkeypatch.setattr(target, "memory", PatchedMemory(target.memory, {flags: byte}))
        present, absent = (look_up(target, what[0], key, what[1]) for key in KEYS)
    assert (present.exit_code, present.present) == (0, True)
    assert (absent.exit_code, absent.present) == (3, None)
    assert "being written" in absent.doubt
