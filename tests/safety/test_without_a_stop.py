"""What is said of maps that were copied while their process ran: a torn copy is never called a fault."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.nostop import TOOLCHAINS, measure
from fixtures import NEWEST, SWISS_RELEASES, build, start
from tests.support.chance import unforeseen
from tests.support.commandline import cli_here

SAMPLE = 20
"""Inspections of each family in every run of the tests; the toolchain is another in each run."""

FAMILIES = [pytest.param(toolchain, id=toolchain.name) for toolchain in (NEWEST, SWISS_RELEASES[-1])]


@pytest.mark.slow
@pytest.mark.parametrize("family", TOOLCHAINS)
def test_nothing_that_a_process_writes_at_full_speed_is_called_inconsistent(family):
    dice = unforeseen()
    seen = measure(family, dice.choice(TOOLCHAINS[family]), SAMPLE, dice, float("inf"))
    assert seen.false == []
    assert seen.verdicts["consistent"] > 0


@pytest.mark.matrix
@pytest.mark.parametrize("family", TOOLCHAINS)
def test_two_thousand_inspections_call_nothing_inconsistent(family):
    dice = unforeseen()
    for toolchain in TOOLCHAINS[family]:
        seen = measure(family, toolchain, 2000 // len(TOOLCHAINS[family]) + 1, dice, float("inf"))
        assert seen.false == []


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_a_broken_map_is_inconsistent_without_a_stop_although_other_maps_are_written(toolchain, monkeypatch):
    # A busy machine may let the writers wait for longer: then nothing would be said.
    monkeypatch.setattr("inspector.inspection.moving.LONGEST_WAIT", 60.0)
    with start(build("blinking", toolchain)) as running:
        assert cli_here(running.pid, "main.resting", "--no-stop", "--json").document["verdict"] == "consistent"
        running.ask("break")
        running.ask("write")
        unstopped = cli_here(running.pid, "main.resting", "--no-stop", "--json")
        stopped = cli_here(running.pid, "main.resting", "--json")
        census = cli_here(running.pid, "--no-stop", "--json")
    assert (unstopped.code, stopped.code, census.code) == (1, 1, 1)
    assert unstopped.document["verdict"] == stopped.document["verdict"] == "inconsistent"
    assert unstopped.document["findings"] == stopped.document["findings"]
    assert any("12 copies of the map show the same" in note for note in unstopped.document["notes"])
    wrong = [one["name"] for one in census.document["census"]["maps"] if one["verdict"] == "inconsistent"]
    assert wrong == ["main.resting"]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_a_map_of_which_no_two_copies_are_alike_is_moving(toolchain):
    with start(build("blinking", toolchain)) as running:
        running.ask("lie")
        document = cli_here(running.pid, "main.resting", "--no-stop", "--json")
        text = cli_here(running.pid, "main.resting", "--no-stop")
        census = cli_here(running.pid, "--no-stop", "--json")
        table = cli_here(running.pid, "--no-stop")
        stopped = cli_here(running.pid, "main.resting")
    assert (document.code, text.code, census.code, stopped.code) == (3, 3, 3, 1)
    assert document.document["verdict"] == "moving"
    severities = {finding["severity"] for finding in document.document["findings"]}
    assert severities == {"warning"}
    assert text.out.splitlines()[0].endswith("  MOVING")
    assert "verdict: moving (the map changes while it is copied: stop the process to judge it)" in text.out
    assert "warning:" not in text.out
    assert "stop the process to judge it" in text.err
    verdicts = {one["name"]: one["verdict"] for one in census.document["census"]["maps"]}
    assert verdicts.pop("main.resting") == "moving"
    assert set(verdicts.values()) == {"consistent"}
    assert "moving (the map changes while it is copied: stop the process to judge it)" in table.out


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_a_writer_that_the_kernel_hardly_lets_run_is_moving_and_not_inconsistent(toolchain):
    cpu = {min(os.sched_getaffinity(0))}
    with (
        start(build("blinking", toolchain)) as running,
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy,
    ):
        try:
            os.sched_setaffinity(busy.pid, cpu)
            running.ask("lie")
            for thread in os.listdir(f"/proc/{running.pid}/task"):
                os.sched_setaffinity(int(thread), cpu)
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
            answers = [cli_here(running.pid, "main.resting", "--no-stop", "--json") for _ in range(3)]
        finally:
            busy.kill()
    assert [(answer.code, answer.document["verdict"]) for answer in answers] == [(3, "moving")] * 3
