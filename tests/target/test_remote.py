"""Processes behind a gdbserver on loopback: decoded as ever, and left as they were, whatever happens."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from click import ClickException

from fixtures import CLASSIC, NEWEST, SWISS, build, find, start
from inspector import inspect
from inspector.cli.command import command
from inspector.errors import InspectError
from inspector.target.remote import open_remote
from tests.support.chance import seeded
from tests.support.commandline import (
    PATIENCE,
    assert_free,
    assert_one_line_at_most,
    assert_refused,
    assert_running,
    children_of,
    cli_here,
    finish,
    gdbs_of,
    is_there,
    thread_states,
    wait_until_gone,
)
from tests.support.gdbservers import Server, attached, free_port, gdbserver, let_run, needs_gdbserver
from tests.support.moments import Moment, Process, Tries, come_at, has_begun, has_gdb
from tests.support.truth import all_differences, differences, document_of, inspect_state

pytestmark = needs_gdbserver

SOME = 4
TOOLCHAINS_AND_STATES = pytest.mark.parametrize(
    ("toolchain", "most"),
    [
        pytest.param(NEWEST, SOME, id="newest"),
        *(pytest.param(each, None, id=f"{each.name}-all", marks=pytest.mark.slow) for each in (CLASSIC[0], NEWEST)),
    ],
)
"""Some of the states in the quick suite, all of them in the whole one."""
MANY = 12
TWICE_OR_OFTEN = pytest.mark.parametrize("tries", [2, pytest.param(MANY, marks=pytest.mark.slow)])
SOON = 0.3
"""Seconds: our modules or gdb's symbols are being loaded then."""
CONNECTED = "Remote debugging"
"""What gdbserver says when somebody connects."""


@pytest.fixture
def plain() -> Iterator:
    with start(build("plain")) as running:
        yield running


def remote(server, *args):
    return cli_here("--remote", server.endpoint, *args)


# What it shows


@TOOLCHAINS_AND_STATES
def test_maps_of_a_remote_process_are_what_the_program_says(toolchain, most, tmp_path):
    with start(build("states", toolchain)) as running:
        with attached(running, tmp_path) as server, open_remote(server.endpoint) as target:
            assert (target.kind, target.pid, target.memory.name) == ("process", running.pid, "gdb-mi")
            named = [state for state in running.truth["maps"] if state["variable"]]
            assert len(named) > 20
            apart = len(named) // most if most else 1
            assert all_differences(target, named[::apart]) == {}
        assert_running(running)


def test_a_remote_stripped_process_is_decoded_by_address(tmp_path):
    exe = build("states", ldflags="-s -w")
    with start(exe) as running, attached(running, tmp_path) as server, open_remote(server.endpoint) as target:
        for name in ("double_middle", "same_middle"):
            state = running.map(name)
            # No type is given: the keys' hashes prove it.
            assert differences(document_of(inspect(target, state["address"], None, None)), state) == []


@pytest.mark.slow
def test_a_remote_position_independent_process_is_decoded_by_its_variables(tmp_path):
    exe = build("states", extra_flags=["-buildmode=pie"])
    with start(exe) as running, attached(running, tmp_path) as server, open_remote(server.endpoint) as target:
        assert target.program.image.bias
        fields = [each for each in running.truth["maps"] if each["variable"] and each["variable"].count(".") > 1]
        assert all_differences(target, [running.map("double_middle"), *fields]) == {}


@pytest.mark.slow
def test_a_copy_of_the_executable_can_be_named_and_must_be_the_right_one(plain, tmp_path):
    copy = shutil.copy(plain.exe, tmp_path / "copy")
    with attached(plain, tmp_path) as server:
        answer = remote(server, "main.words", "--exe", copy)
        assert (answer.code, answer.err) == (0, "")
        assert "all 3 keys are in the place" in answer.out
    with attached(plain, tmp_path) as server:
        answer = remote(server, "main.words", "--exe", build("plain", NEWEST))
        assert_refused(answer, "is not the executable of the process at", "--exe")
    assert_running(plain)


@pytest.mark.slow
def test_one_key_of_a_remote_map_is_looked_up(plain, tmp_path):
    with attached(plain, tmp_path) as server:
        answer = remote(server, "main.words", "--key", "two")
    assert (answer.code, answer.err) == (0, "")
    assert "found in cell" in answer.out


@pytest.mark.slow
def test_swiss_maps_are_inspected_and_the_process_runs_on(tmp_path):
    with start(build("plain", SWISS)) as running:
        with attached(running, tmp_path) as server:
            answer = remote(server, "main.words")
        assert_running(running)
    assert answer.code == 0
    assert "all 3 keys are in the place" in answer.out


# How the process is left


@pytest.mark.slow
def test_a_process_that_gdbserver_attached_to_runs_again_and_gdbserver_ends(plain, tmp_path):
    with attached(plain, tmp_path) as server:
        assert {state for state, _ in thread_states(plain.pid)} == {"t"}
        assert remote(server, "main.words").code == 0
        assert server.process.wait(PATIENCE) == 0
        assert_running(plain)


@pytest.mark.slow
def test_a_program_that_gdbserver_started_stays_where_it_was_and_can_be_inspected_again(tmp_path):
    with gdbserver(tmp_path, build("plain")) as server:
        for times in (1, 2):
            answer = remote(server, "main.words")
            assert answer.code == 0
            assert answer.notes == ["the program has not run yet: gdbserver holds it at its very first instruction"]
            assert "A nil map reads as empty" in answer.out
            server.wait_for("Listening", times + 1)
            assert thread_states(server.pid) == [("t", server.process.pid)]
        let_run(server, "detach")
        assert find(server.truth(), "words")["len"] == 3
        assert_free(server.pid)


def test_a_started_program_that_another_debugger_left_in_the_middle_is_inspected_there(tmp_path):
    with gdbserver(tmp_path, build("plain")) as server:
        let_run(server, "break syscall.read", "continue", "delete", "disconnect")
        truth = find(server.truth(), "words")
        with open_remote(server.endpoint) as target:
            assert differences(inspect_state(target, truth), truth) == []
        assert thread_states(server.pid)[0] == ("t", server.process.pid)


@pytest.mark.slow
def test_a_program_of_a_gdbserver_for_one_debugger_only_is_not_killed(tmp_path):
    with gdbserver(tmp_path, build("plain"), once=True) as server:
        assert remote(server, "main.words").code == 0
        assert find(server.truth(), "words")["len"] == 3
        assert_free(server.pid)


# What goes wrong


REFUSED = pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--remote", "nowhere", "main.words"], ["'nowhere' is not HOST:PORT"]),
        (["--remote", "127.0.0.1:0", "main.words"], ["is not HOST:PORT"]),
        (["--remote", "127.0.0.1:99999", "main.words"], ["is not HOST:PORT"]),
        (["--remote", ":2345", "main.words"], ["is not HOST:PORT"]),
        (["--remote", "|touch /x:1", "main.words"], ["is not HOST:PORT"]),
        (["--remote", "a" * 64 + ":2345", "main.words"], ["cannot be found"]),
        (["--remote", "127.0.0.1:2345"], ["--remote needs a map"]),
        (["--remote", "127.0.0.1:2345", "123", "main.words"], ["'123' is one too many", "leave it out"]),
        (["--remote", "127.0.0.1:2345", "main.words", "--no-stop"], ["gdbserver stops its process"]),
        (["--remote", "127.0.0.1:2345", "main.words", "--memory", "direct"], ["only gdb can talk to a gdbserver"]),
        (["--remote", "127.0.0.1:2345", "--demo"], ["--demo", "--remote"]),
        (["--remote", "127.0.0.1:2345", "main.words", "--gdb", "/nowhere/gdb"], ["gdb is not installed"]),
    ],
    ids=lambda each: " ".join(each)[:40],
)


@REFUSED
def test_what_makes_no_sense_with_remote_is_refused(args, words, capsys):
    with pytest.raises((InspectError, ClickException)) as refused:
        command.main(args, standalone_mode=False)
    for word in words:
        assert word in str(refused.value), refused.value
    assert capsys.readouterr().out == ""


def test_a_port_where_nobody_listens_is_said_to_be_one():
    endpoint = f"127.0.0.1:{free_port()}"
    assert_refused(cli_here("--remote", endpoint, "main.words"), f"nothing listens at {endpoint}", "gdbserver --attach")


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something on loopback that is not a gdbserver."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def hang_up(_: socket.socket) -> None:
    pass


def answer_http(connection: socket.socket) -> None:
    while connection.recv(4096):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"$0123456789" * 1000)


def stay_silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    "serve",
    [pytest.param(each, marks=pytest.mark.slow) for each in (hang_up, answer_http, flood, stay_silent)],
)
def test_what_is_no_gdbserver_is_said_to_be_none(serve):
    with listener(serve) as endpoint:
        assert_refused(cli_here("--remote", endpoint, "main.words"), endpoint, "gdbserver")


# Interruptions in the middle of the work, which each test counts


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Random, but the same each time."""
    return seeded(request.node.name)


def in_the_middle(server: Server, dice: random.Random) -> tuple[Process, bool]:
    """Start a remote inspection and come back while it loads, while gdb starts, or after it has connected."""
    connections = server.said.read_text().count(CONNECTED)
    there = Moment(lambda _: server.said.read_text().count(CONNECTED) > connections, SOON / 3)
    moments = [there, there, Moment(has_begun, SOON), Moment(has_gdb, SOON)]
    return come_at(dice.choice(moments), dice, "--remote", server.endpoint, "main.words")


def skip_where_it_crashed(server: Server) -> None:
    """Skip the test where gdbserver 13 has crashed, which may end what it held.

    Its readchar reads on behind its buffer after a connection was reset, as that of a killed gdb is when something was
    on its way to it.
    """
    if server.process.poll() == -signal.SIGSEGV and "Connection reset" in server.said.read_text():
        pytest.skip("gdbserver itself crashed")


def assert_left_alone(server, running) -> None:
    """The process runs, or gdbserver holds it as if nobody had come."""
    deadline = time.monotonic() + PATIENCE
    while server.process.poll() is None and CONNECTED in server.said.read_text():
        assert time.monotonic() < deadline, server.said.read_text()
        time.sleep(0.01)
    if server.process.poll() is None:
        # We ended before we came to connect.
        let_run(server, "detach")
    skip_where_it_crashed(server)
    assert is_there(running.pid), server.said.read_text()
    assert_running(running)


@pytest.mark.parametrize(
    ("number", "tries"),
    [
        (signal.SIGKILL, 2),
        *(pytest.param(number, MANY, marks=pytest.mark.slow) for number in (signal.SIGKILL, signal.SIGTERM)),
        pytest.param(signal.SIGINT, MANY, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_remote_inspection_leaves_the_process_running(plain, dice, number, tries, tmp_path):
    stopped_by = -number if number == signal.SIGKILL else 130
    connected = 0
    middle = Tries(tries)
    for _ in middle:
        with attached(plain, tmp_path) as server:
            process, _ = in_the_middle(server, dice)
            gdbs = children_of(process.pid)
            process.send_signal(number)
            answer = finish(process)
            assert answer.code in (stopped_by, 0), answer
            middle.happened += answer.code == stopped_by
            assert_one_line_at_most(answer)
            assert not wait_until_gone(gdbs, PATIENCE)
            assert_left_alone(server, plain)
            connected += CONNECTED in server.said.read_text()
    assert connected or tries < MANY


@pytest.mark.slow
@pytest.mark.parametrize("tries", [MANY])
def test_an_interrupted_remote_inspection_leaves_a_started_program_where_it_was(dice, tries, tmp_path):
    middle = Tries(tries)
    with gdbserver(tmp_path, build("plain")) as server:
        for attempt in middle:
            process, _ = in_the_middle(server, dice)
            gdbs = children_of(process.pid)
            process.send_signal((signal.SIGKILL, signal.SIGINT)[attempt % 2])
            middle.happened += finish(process).code != 0
            assert not wait_until_gone(gdbs, PATIENCE)
            connections = server.said.read_text().count(CONNECTED)
            server.wait_for("Listening", connections + 1)
            assert thread_states(server.pid) == [("t", server.process.pid)]
        let_run(server, "detach")
        assert find(server.truth(), "words")["len"] == 3


@pytest.mark.slow
@TWICE_OR_OFTEN
def test_a_gdb_killed_at_any_moment_leaves_the_remote_process_running(plain, dice, tries, tmp_path):
    killed = 0
    middle = Tries(tries)
    for _ in middle:
        with attached(plain, tmp_path) as server:
            process, _ = come_at(Moment(has_gdb, SOON), dice, "--remote", server.endpoint, "main.words")
            for gdb in gdbs_of(process.pid):
                os.kill(gdb, signal.SIGKILL)
                killed += 1
            answer = finish(process)
            if answer.code:
                assert_refused(answer, "gdb")
                middle.happened += 1
            assert_left_alone(server, plain)
    assert killed >= middle.happened


@pytest.mark.slow
@pytest.mark.parametrize("tries", [MANY])
def test_a_gdbserver_that_ends_midway_is_told_in_one_line(plain, dice, tries, tmp_path):
    middle = Tries(tries)
    for _ in middle:
        with attached(plain, tmp_path) as server:
            process, _ = in_the_middle(server, dice)
            server.process.kill()
            answer = finish(process)
            if answer.code:
                assert_refused(answer, server.endpoint)
                middle.happened += 1
        os.kill(plain.pid, signal.SIGCONT)
        assert_running(plain)


@pytest.mark.slow
@pytest.mark.parametrize("tries", [MANY])
def test_a_remote_process_that_is_killed_midway_is_told_in_one_line(dice, tries, tmp_path):
    middle = Tries(tries)
    for _ in middle:
        with start(build("plain")) as running, attached(running, tmp_path) as server:
            process, _ = in_the_middle(server, dice)
            os.kill(running.pid, signal.SIGKILL)
            answer = finish(process)
            if answer.code:
                assert_refused(answer, server.endpoint)
                middle.happened += 1


BUSY = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
print("busy", flush=True)
until = time.monotonic() + 0.5
while time.monotonic() < until:
    pass
"""


@contextmanager
def no_turn_for(pid: int) -> Iterator[None]:
    """Keep a process from running for half a second: one that is killed has registers no longer, and memory still."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip("there is one processor, which we need ourselves")
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {processors[-1]})
    words = [sys.executable, "-c", BUSY, str(processors[-1])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as busy:
        assert busy.stdout is not None
        try:
            if busy.stdout.readline() != b"busy\n":
                pytest.skip("only root may keep a process from running")
            yield
        finally:
            busy.kill()


def answer_of(endpoint: str) -> int | str:
    """How many entries a map of it has, or why that is not known."""
    try:
        with open_remote(endpoint) as target:
            return inspect(target, "main.words").entries_total
    except InspectError as error:
        return error.message


@pytest.mark.slow
def test_a_process_that_was_killed_and_has_no_registers_is_read_or_told_as_ended(tmp_path):
    # In most tries gdb asks before the process has ended.
    for _ in range(3):
        with start(build("plain")) as running, attached(running, tmp_path) as server, no_turn_for(running.pid):
            os.kill(running.pid, signal.SIGKILL)
            told = answer_of(server.endpoint)
            assert told == 3 or server.endpoint in str(told)
