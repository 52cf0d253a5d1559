"""Exit code 1 says 'inconsistent' and nothing else: whatever fails, even for want of memory, ends with 2."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fixtures import USUAL, build, start
from inspector.census import census
from inspector.cli import failing
from inspector.errors import InspectError, NotReadInTime, TooLarge, UnreadableMemory
from inspector.report.text import census as text_of_census
from tests.support.commandline import Answer, assert_running, cli_here, environment

MEGABYTE = 1 << 20

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "inspector", *sys.argv[2:]])
"""
"""Runs the command with so many bytes of address space and no more."""


def limited(limit: int, *args: object) -> Answer:
    words = [sys.executable, "-c", LIMITED, str(limit), *map(str, args)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment())
    return Answer(done.returncode, done.stdout, done.stderr)


def assert_failed_well(answer: Answer) -> None:
    """One line, and not the exit code that speaks of a map."""
    assert answer.code == 2, answer
    lines = answer.err.splitlines()
    assert lines, answer
    assert lines[-1].startswith("go-map-inspect: "), answer
    assert "Traceback" not in answer.err, answer


@pytest.fixture(scope="module")
def large():
    """A process whose maps and heap are larger than what the inspector is given."""
    with start(build("million", USUAL)) as process:
        yield process


def needed(*args: object) -> int:
    """The least limit, to a few megabytes, with which the command answers."""
    low, high = 64 * MEGABYTE, 1024 * MEGABYTE
    while high - low > 4 * MEGABYTE:
        middle = (low + high) // 2
        low, high = (low, middle) if limited(middle, *args).code == 0 else (middle, high)
    return high


@pytest.mark.slow
def test_for_want_of_memory_nothing_is_called_inconsistent(run, large):
    # With less than a small process needs the libraries end in ways of their own.
    least = needed(run("plain").pid)
    codes = set()
    for more in (4, 10, 25, 60):
        for what in ((large.pid, "--json"), (large.pid, "main.m64", "--type", "map[int64]int64", "--memory", "direct")):
            answer = limited(least + more * MEGABYTE, *what)
            codes.add(answer.code)
            assert answer.code in (0, 2, 3), answer
            if answer.code == 2:
                assert_failed_well(answer)
            elif answer.code == 3 and "--json" in what:
                assert json.loads(answer.out)["census"]
    assert 2 in codes, "no limit was too low"
    assert_running(large)


FAILURES = [
    MemoryError(),
    RecursionError("deep"),
    KeyboardInterrupt(),
    SystemExit(1),
    GeneratorExit(),
    OSError(5, "no"),
]


def all_errors(base: type[InspectError] = InspectError) -> list[type[InspectError]]:
    return [base, *(each for direct in base.__subclasses__() for each in all_errors(direct))]


@pytest.mark.pure
def test_an_error_that_leaves_no_answer_has_the_exit_code_of_none():
    errors = all_errors()
    assert {UnreadableMemory, NotReadInTime, TooLarge} <= set(errors)
    assert {error.exit_code for error in errors} == {2}


class Odd(BaseException):
    """What nobody thought of."""


@pytest.mark.parametrize("error", [*FAILURES, Odd("odd"), BaseExceptionGroup("two", [Odd(), MemoryError()])], ids=repr)
@pytest.mark.parametrize("debug", [False, True])
def test_whatever_is_raised_ends_with_2(run, monkeypatch, error, debug):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(census, "take_census", fail)
    if debug:
        monkeypatch.setenv(failing.DEBUG_VARIABLE, "1")
    answer = cli_here(run("plain").pid)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1].startswith("go-map-inspect: ")
    assert ("Traceback" in answer.err) == debug


def test_a_report_that_cannot_be_drawn_is_a_failure_too(run, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("rich gave up")

    monkeypatch.setattr(text_of_census, "print_census", fail)
    answer = cli_here(run("plain").pid)
    assert answer.code == 2
    assert "rich gave up" in answer.err


def test_a_message_that_cannot_be_written_does_not_change_the_exit_code(run, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(census, "take_census", fail)
    monkeypatch.setattr(failing, "say", fail)
    assert cli_here(run("plain").pid).code == 2


BROKEN = """
import sys
sys.modules["inspector.cli.command"] = None
from inspector.__main__ import main
main()
"""


def test_a_program_that_cannot_be_loaded_ends_with_2():
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith("go-map-inspect: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_one_line():
    with start(build("plain", USUAL)) as process, open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "inspector", str(process.pid), "--json"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert cli_here(process.pid, "--json").code == 0
