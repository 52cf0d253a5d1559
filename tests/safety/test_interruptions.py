"""Signals at random moments, to the command line, to its gdb and to the target: nothing may stay stopped."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from fixtures import build, start
from tests.support.commandline import (
    assert_free,
    assert_one_line_at_most,
    assert_refused,
    assert_running,
    catches_sigterm,
    children_of,
    finish,
    start_cli,
    wait_until_gone,
)

WORDS = "main.words"
TYPE = ("--type", "map[string]int")
MODES = ("auto", "direct", "gdb-mi")
FEW_OR_MANY = pytest.mark.parametrize("tries", [2, pytest.param(15, marks=pytest.mark.slow)])

AT_ONCE = 0.0
LATEST = 1.1
"""Seconds from the moment when our code runs; an inspection of a small map is over by then."""


@pytest.fixture(scope="module")
def plain() -> Iterator:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


@pytest.fixture
def moments(request) -> random.Random:
    """Random, but the same each time."""
    return random.Random(request.node.name)


def run_until(moment: float, running, mode: str) -> subprocess.Popen[str]:
    """Start an inspection and come back at a moment in the middle of it."""
    process = start_cli(running.pid, WORDS, *TYPE, "--memory", mode)
    # What a signal does before the interpreter has reached our code is not ours.
    while not catches_sigterm(process.pid) and process.poll() is None:
        time.sleep(0.002)
    time.sleep(moment)
    return process


@FEW_OR_MANY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_inspection_ends_with_130_and_leaves_the_process_running(plain, moments, number, tries):
    for attempt in range(tries):
        process = run_until(moments.uniform(AT_ONCE, LATEST), plain, MODES[attempt % 3 if tries > 2 else -1])
        gdbs = children_of(process.pid)
        process.send_signal(number)
        answer = finish(process)
        assert answer.code in (0, 130), answer
        assert_one_line_at_most(answer)
        assert ("Interrupted." in answer.err) == (answer.code == 130), answer
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)


@pytest.mark.slow
def test_someone_who_presses_ctrl_c_many_times_does_no_harm(plain, moments):
    for attempt in range(15):
        process = run_until(moments.uniform(AT_ONCE, LATEST / 2), plain, MODES[attempt % 3])
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        answer = finish(process)
        assert answer.code in (0, 130), answer
        assert_one_line_at_most(answer)
        assert_running(plain)


@FEW_OR_MANY
def test_a_killed_inspection_leaves_the_process_running_and_no_gdb(plain, moments, tries):
    for attempt in range(tries):
        process = run_until(moments.uniform(AT_ONCE, LATEST), plain, MODES[attempt % 3 if tries > 2 else -1])
        gdbs = children_of(process.pid)
        process.kill()
        finish(process)
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)


@FEW_OR_MANY
def test_a_gdb_killed_at_any_moment_costs_the_answer_at_most(plain, moments, tries):
    for _ in range(tries):
        process = start_cli(plain.pid, WORDS, "--memory", "gdb-mi")
        while not (gdbs := children_of(process.pid)) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.3))
        for gdb in gdbs & children_of(process.pid):
            os.kill(gdb, signal.SIGKILL)
        answer = finish(process)
        if answer.code:
            assert_refused(answer, "gdb", "--memory direct")
        assert_running(plain)


@FEW_OR_MANY
def test_a_process_that_is_killed_while_it_is_inspected_is_said_to_have_ended(moments, tries):
    for attempt in range(tries):
        with start(build("plain")) as running:
            process = run_until(moments.uniform(AT_ONCE, LATEST / 1.5), running, MODES[attempt % 3])
            os.kill(running.pid, signal.SIGKILL)
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}", "ended")


@pytest.mark.slow
def test_a_process_that_exits_and_is_reaped_while_it_is_inspected_is_said_to_be_gone(moments):
    for attempt in range(15):
        with start(build("plain")) as running:
            process = run_until(moments.uniform(AT_ONCE, LATEST / 1.5), running, MODES[attempt % 3])
            running.end()
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}")


@pytest.mark.slow
def test_a_stopped_process_stays_stopped_when_the_inspection_is_interrupted_or_gdb_dies(moments):
    with start(build("plain")) as running:
        os.kill(running.pid, signal.SIGSTOP)
        for attempt in range(15):
            process = run_until(moments.uniform(0.3, 0.8), running, MODES[attempt % 3])
            if attempt % 2:
                process.send_signal(signal.SIGINT)
            else:
                for gdb in children_of(process.pid):
                    os.kill(gdb, signal.SIGKILL)
            assert_one_line_at_most(finish(process))
            with open(f"/proc/{running.pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
            assert (fields["State"].strip()[0], fields["TracerPid"].strip()) == ("T", "0")
        os.kill(running.pid, signal.SIGCONT)
        assert_free(running.pid)
        assert_running(running)
