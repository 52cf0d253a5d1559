"""Signals to the command line, to its gdb and to the target, in the middle of its work: nothing may stay stopped.

Each test counts how often it really came in the middle: runs that had ended before prove nothing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from fixtures import Running, build, start
from tests.support.chance import seeded
from tests.support.commandline import (
    Answer,
    assert_free,
    assert_one_line_at_most,
    assert_refused,
    assert_running,
    children_of,
    finish,
    gdbs_of,
    wait_until_gone,
)
from tests.support.moments import Moment, Process, come_at, has_begun, has_gdb, holds

WORDS = "main.words"
TYPE = ("--type", "map[string]int")
MODES = ("gdb-mi", "direct", "auto")
FEW_OR_MANY = pytest.mark.parametrize("tries", [2, pytest.param(15, marks=pytest.mark.slow)])
MANY = pytest.mark.parametrize("tries", [pytest.param(15, marks=pytest.mark.slow)])

SOON = 0.3
"""Seconds: our modules or gdb's symbols are being loaded then."""


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Random, but the same each time."""
    return seeded(request.node.name)


def in_the_middle(running: Running, mode: str, dice: random.Random) -> tuple[Process, bool]:
    """Start an inspection and come back while it loads, while gdb starts, or while it holds the process."""
    held = Moment(holds(running.pid))
    moments = [held, held, Moment(has_begun, SOON)] + ([Moment(has_gdb, SOON)] if mode == "gdb-mi" else [])
    return come_at(dice.choice(moments), dice, running.pid, WORDS, *TYPE, "--memory", mode)


def assert_enough(happened: int, tries: int) -> None:
    """At least two of three tries came in the middle."""
    assert happened >= tries * 2 // 3, f"only {happened} of {tries} came in the middle of an inspection"


def assert_interrupted_or_done(answer: Answer) -> bool:
    """It said in one line that it was interrupted, or it had its answer already; returns whether it was interrupted."""
    assert answer.code in (0, 130), answer
    assert_one_line_at_most(answer)
    assert ("Interrupted." in answer.err) == (answer.code == 130), answer
    return answer.code == 130


@FEW_OR_MANY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_inspection_ends_with_130_and_leaves_the_process_running(plain, dice, number, tries):
    interrupted = 0
    for attempt in range(tries):
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        gdbs = children_of(process.pid)
        process.send_signal(number)
        interrupted += assert_interrupted_or_done(finish(process))
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)
    assert_enough(interrupted, tries)


@pytest.mark.slow
def test_someone_who_presses_ctrl_c_many_times_does_no_harm(plain, dice):
    interrupted = 0
    for attempt in range(15):
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        interrupted += assert_interrupted_or_done(finish(process))
        assert_running(plain)
    assert_enough(interrupted, 15)


@MANY
def test_a_killed_inspection_leaves_the_process_running_and_no_gdb(plain, dice, tries):
    killed = 0
    for attempt in range(tries):
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        gdbs = children_of(process.pid)
        process.kill()
        killed += finish(process).code == -signal.SIGKILL
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)
    assert_enough(killed, tries)


@MANY
def test_a_gdb_killed_at_any_moment_costs_the_answer_at_most(plain, dice, tries):
    killed = failed = 0
    for _ in range(tries):
        moment = dice.choice([Moment(has_gdb, SOON), Moment(holds(plain.pid))])
        process, _ = come_at(moment, dice, plain.pid, WORDS, "--memory", "gdb-mi")
        for gdb in gdbs_of(process.pid):
            os.kill(gdb, signal.SIGKILL)
            killed += 1
        answer = finish(process)
        if answer.code:
            assert_refused(answer, "gdb", "--memory direct")
            failed += 1
        assert_running(plain)
    assert_enough(killed, tries)
    assert_enough(failed, tries)


@MANY
def test_a_process_that_is_killed_while_it_is_inspected_is_said_to_have_ended(dice, tries):
    failed = 0
    for attempt in range(tries):
        with start(build("plain")) as running:
            process, _ = in_the_middle(running, MODES[attempt % 3], dice)
            os.kill(running.pid, signal.SIGKILL)
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}", "ended")
            failed += 1
    assert failed >= tries // 3, f"only {failed} of {tries} came before everything was copied"


@pytest.mark.slow
def test_a_process_that_exits_and_is_reaped_while_it_is_inspected_is_said_to_be_gone(dice):
    failed = 0
    for attempt in range(15):
        with start(build("plain")) as running:
            process, _ = in_the_middle(running, MODES[attempt % 3], dice)
            running.end()
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}")
            failed += 1
    assert failed >= 5, f"only {failed} of 15 came before everything was copied"


@pytest.mark.slow
def test_a_stopped_process_stays_stopped_when_the_inspection_is_interrupted_or_gdb_dies(dice):
    interrupted = killed = 0
    with start(build("plain")) as running:
        os.kill(running.pid, signal.SIGSTOP)
        for attempt in range(16):
            process, _ = in_the_middle(running, "gdb-mi" if attempt % 2 else MODES[attempt // 2 % 3], dice)
            if attempt % 2:
                for gdb in gdbs_of(process.pid):
                    os.kill(gdb, signal.SIGKILL)
                    killed += 1
            else:
                process.send_signal(signal.SIGINT)
            answer = finish(process)
            assert_one_line_at_most(answer)
            interrupted += answer.code == 130
            with open(f"/proc/{running.pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
            assert (fields["State"].strip()[0], fields["TracerPid"].strip()) == ("T", "0")
        os.kill(running.pid, signal.SIGCONT)
        assert_free(running.pid)
        assert_running(running)
    assert_enough(interrupted, 8)
    assert killed >= 4
