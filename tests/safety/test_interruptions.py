"""Signals to the command line, to its gdb and to the target, in the middle of its work: nothing may stay stopped.

Each test counts how often it really came in the middle: runs that had ended before prove nothing.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
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
    assert_stopped,
    children_of,
    finish,
    gdbs_of,
    wait_until_gone,
)
from tests.support.moments import Moment, Process, Tries, come_at, has_begun, has_gdb, holds

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


def assert_interrupted_or_done(answer: Answer) -> bool:
    """It said in one line that it was interrupted, or it had its answer already; returns whether it was interrupted."""
    assert answer.code in (0, 130), answer
    assert_one_line_at_most(answer)
    assert ("Interrupted." in answer.err) == (answer.code == 130), answer
    return answer.code == 130


@FEW_OR_MANY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_inspection_ends_with_130_and_leaves_the_process_running(plain, dice, number, tries):
    middle = Tries(tries)
    for attempt in middle:
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        gdbs = children_of(process.pid)
        process.send_signal(number)
        middle.happened += assert_interrupted_or_done(finish(process))
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)


WHILE_A_CLASS_IS_MADE = """
from inspector.cli.failing import exit_code_of
from inspector.cli.interrupting import Interrupted

class Field:
    def __set_name__(self, owner, name):
        raise Interrupted

raise SystemExit(exit_code_of(lambda: type("Made", (), {"field": Field()}) and 0))
"""


def test_a_signal_that_comes_while_a_class_is_made_is_an_interruption_too():
    done = subprocess.run([sys.executable, "-c", WHILE_A_CLASS_IS_MADE], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "go-map-inspect: Interrupted.\n")


INTERRUPTED = """
import os, signal, time, weakref
from inspector.cli.failing import exit_code_of

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    return [None for _ in range(100)]

def work():
    {work}
    time.sleep(60)

raise SystemExit(exit_code_of(work))
"""


def test_a_signal_that_comes_in_a_callback_of_a_weak_reference_is_not_lost():
    work = "weakref.ref(set(), interrupt)"
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(work=work)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "go-map-inspect: Interrupted.\n")


def test_a_signal_that_comes_while_a_module_is_imported_waits_until_it_is(tmp_path):
    (tmp_path / "loses.py").write_text(
        "from __main__ import interrupt\n"
        "try:\n    interrupt()\nexcept BaseException:\n    raise ImportError('it failed') from None\n"
        "print('imported')\n"
    )
    work = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import loses"
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(work=work)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported\n", "go-map-inspect: Interrupted.\n")


@pytest.mark.slow
def test_someone_who_presses_ctrl_c_many_times_does_no_harm(plain, dice):
    middle = Tries(15)
    for attempt in middle:
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        middle.happened += assert_interrupted_or_done(finish(process))
        assert_running(plain)


@MANY
def test_a_killed_inspection_leaves_the_process_running_and_no_gdb(plain, dice, tries):
    middle = Tries(tries)
    for attempt in middle:
        process, _ = in_the_middle(plain, MODES[attempt % 3], dice)
        gdbs = children_of(process.pid)
        process.kill()
        middle.happened += finish(process).code == -signal.SIGKILL
        assert not wait_until_gone(gdbs, 2)
        assert_running(plain)


@MANY
def test_a_gdb_killed_at_any_moment_costs_the_answer_at_most(plain, dice, tries):
    killed = 0
    middle = Tries(tries)
    for _ in middle:
        moment = dice.choice([Moment(has_gdb, SOON), Moment(holds(plain.pid))])
        process, _ = come_at(moment, dice, plain.pid, WORDS, "--memory", "gdb-mi")
        for gdb in gdbs_of(process.pid):
            os.kill(gdb, signal.SIGKILL)
            killed += 1
        answer = finish(process)
        if answer.code:
            assert_refused(answer, "gdb", "--memory direct")
            middle.happened += 1
        assert_running(plain)
    assert killed >= middle.happened


@MANY
def test_a_process_that_is_killed_while_it_is_inspected_is_said_to_have_ended(dice, tries):
    middle = Tries(tries)
    for attempt in middle:
        with start(build("plain")) as running:
            process, _ = in_the_middle(running, MODES[attempt % 3], dice)
            os.kill(running.pid, signal.SIGKILL)
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}", "ended")
            middle.happened += 1


@pytest.mark.slow
def test_a_process_that_exits_and_is_reaped_while_it_is_inspected_is_said_to_be_gone(dice):
    middle = Tries(15)
    for attempt in middle:
        with start(build("plain")) as running:
            process, _ = in_the_middle(running, MODES[attempt % 3], dice)
            running.end()
            answer = finish(process)
        if answer.code:
            assert_refused(answer, f"process {running.pid}")
            middle.happened += 1


@pytest.mark.slow
@pytest.mark.parametrize("kill_gdb", [False, True])
def test_a_stopped_process_stays_stopped_when_the_inspection_is_interrupted_or_gdb_dies(dice, kill_gdb):
    middle = Tries(8)
    with start(build("plain")) as running:
        os.kill(running.pid, signal.SIGSTOP)
        # A thread that has not got a processor yet would still read what comes.
        assert_stopped(running.pid)
        running.send("truth")
        asked = running.unread()
        for attempt in middle:
            process, _ = in_the_middle(running, "gdb-mi" if kill_gdb else MODES[attempt % 3], dice)
            gdbs = gdbs_of(process.pid)
            if not kill_gdb:
                process.send_signal(signal.SIGINT)
            for gdb in gdbs if kill_gdb else ():
                os.kill(gdb, signal.SIGKILL)
            answer = finish(process)
            assert_one_line_at_most(answer)
            middle.happened += bool(gdbs) if kill_gdb else answer.code == 130
            assert_stopped(running.pid)
        assert running.unread() == asked > 0
        os.kill(running.pid, signal.SIGCONT)
        assert_free(running.pid)
        assert_running(running)
