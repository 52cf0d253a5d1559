"""Whoever is killed or stopped while a process is inspected, the process runs on and feels no signal of ours."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.kills import BY_GDB, VICTIMS, WAYS, Campaign, Inspector, Living, harm, living, traced
from fixtures import SWISS_RELEASES, USUAL
from inspector import inspect, open_target
from inspector.control.guard import undo_late_stop, undo_stop
from inspector.control.tracer import Tracer
from inspector.errors import HoldLost, ProgramReplaced
from inspector.image.elf import open_image
from inspector.memory import procfs
from inspector.memory.lifetime import Lifetime
from inspector.target.target import noticing_the_end
from tests.support.chance import seeded
from tests.support.commandline import Answer, assert_free, assert_refused, cli_here, thread_states

needs_gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
needs_gdbserver = pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")

LOCAL = tuple(way for way in WAYS if way != "remote")


@pytest.fixture
def resting() -> Iterator[Living]:
    with living(USUAL, 20, "rest") as target:
        yield target


def struck(campaign: Campaign, number: int) -> None:
    """Strike, print what was done, and fail if anything was wrong or if too little was struck to prove anything."""
    campaign.run(number)
    print(campaign.table())
    assert not campaign.wrong, [f"{blow}: {blow.wrong}" for blow in campaign.wrong]
    assert sum(bool(blow.struck) for blow in campaign.blows) >= number // 4


@needs_gdb
@pytest.mark.parametrize(
    "number", [pytest.param(24, marks=pytest.mark.slow), pytest.param(1000, marks=pytest.mark.matrix)]
)
def test_a_process_runs_on_whoever_is_killed_and_feels_no_signal(request, number):
    campaign = Campaign(seeded(request.node.name), ways=LOCAL, victims=VICTIMS)
    struck(campaign, number)


@needs_gdb
@pytest.mark.parametrize(
    "number", [pytest.param(6, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.matrix)]
)
def test_a_process_runs_on_when_gdb_and_we_are_killed_at_once(request, number):
    ways = [way for way in BY_GDB if way != "remote"]
    campaign = Campaign(seeded(request.node.name), ways=ways, victims=["both"], signals=[signal.SIGKILL])
    struck(campaign, number)


@needs_gdbserver
@pytest.mark.parametrize(
    "number", [pytest.param(8, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.matrix)]
)
def test_a_process_behind_a_gdbserver_runs_on_whoever_of_us_is_killed(request, number):
    # A gdbserver often leaves a process that starts children all the time stopped: here that is undone.
    campaign = Campaign(
        seeded(request.node.name),
        ways=["remote"],
        victims=["us", "gdb", "both", "guard"],
        lives=["rest", "fork"],
        threads=[1, 20],
    )
    struck(campaign, number)


@pytest.mark.parametrize("number", [signal.SIGTSTP, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_z_waits_until_the_process_runs(resting, number):
    came = 0
    for _ in range(4):
        inspector = Inspector([resting.pid, "main.sessions"])
        while not traced(resting.pid) and inspector.poll() is None:
            time.sleep(0.0001)
        came += inspector.strike("us", number)
        while inspector.poll() is None and thread_states(inspector.pid)[0][0] != "T":
            time.sleep(0.001)
        assert not traced(resting.pid)
        assert_free(resting.pid)
        assert inspector.end() == []
    assert came
    assert harm(resting, {}) == []


def test_a_stop_is_undone_and_neither_signal_reaches_the_process(resting):
    with closing(Lifetime(resting.pid)) as life:
        for _ in range(5):
            life.signal(signal.SIGSTOP)
            undo_stop(life.pid, life.handle, os.getpid())
            assert resting.wait_for_beats(3, 30)
    assert_free(resting.pid)
    assert resting.signals() == {}


PTRACE_CONT, PTRACE_ATTACH, PTRACE_DETACH = 7, 16, 17


def let_go_with_a_stop(pid: int) -> None:
    """Attach as gdb does, and let go of the process with the SIGSTOP that attaching has sent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0
    while os.WSTOPSIG(os.waitpid(pid, 0)[1]) != signal.SIGSTOP:
        assert libc.ptrace(PTRACE_CONT, pid, None, None) == 0
    assert libc.ptrace(PTRACE_DETACH, pid, None, signal.SIGSTOP) == 0


@contextmanager
def hardly_on_the_cpu(pid: int) -> Iterator[None]:
    """For the block all threads of a process run only when another, which is always busy, makes room for them."""
    usable = os.sched_getaffinity(0)
    cpu = {max(usable)}
    for thread in procfs.threads(pid):
        os.sched_setaffinity(thread, cpu)
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    # Where sessions share the time of the CPU instead of threads: most of it is for the other session.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("19")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    os.sched_setaffinity(busy.pid, cpu)
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def test_a_stop_is_undone_that_comes_only_when_a_thread_runs_again(resting):
    with closing(Lifetime(resting.pid)) as life, hardly_on_the_cpu(resting.pid):
        for _ in range(5):
            let_go_with_a_stop(resting.pid)
            undo_late_stop(life.pid, life.handle)
            assert resting.wait_for_beats(1, 30)
    assert_free(resting.pid)
    assert resting.signals() == {}


def headline(answer: Answer) -> tuple[str, int]:
    """Name and type of the map that an answer is about, and how many entries it has."""
    name, go_type, entries, *_ = answer.out.splitlines()[0].split("  ")
    number = entries.split()[0].replace(",", "")
    return f"{name} {go_type}", 0 if number == "nil" else int(number)


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(SWISS_RELEASES[-1], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("threads", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_of_a_process_that_calls_exec_all_the_time_nothing_is_said_but_that(toolchain, threads):
    asked = ["main.sessions"], ["main.sessions", "--memory", "gdb-mi"], ["main.serve:local"]
    with living(toolchain, threads, "rest") as resting:
        wanted = [headline(cli_here(resting.pid, *words)) for words in asked]
    with living(toolchain, threads, "exec") as target:
        answer = cli_here(target.pid)
        if answer.code:
            assert_refused(answer, f"process {target.pid}", "exec")
        for words, (name, entries) in zip(asked, wanted, strict=True):
            answer = cli_here(target.pid, *words)
            if answer.code:
                assert_refused(answer, f"process {target.pid}", "exec")
                continue
            # All was read between two calls: it is said of a map that is sound, and may not have all its entries yet.
            said, so_far = headline(answer)
            assert (said, so_far <= entries) == (name, True)
        assert harm(target, {}) == []


@pytest.mark.slow
def test_a_process_whose_threads_are_killed_by_an_exec_while_they_are_held_goes_on(monkeypatch):
    # To copy a large environment takes the kernel long: threads are often stopped while it does that.
    for number in range(15):
        monkeypatch.setenv(f"LARGE{number}", "x" * 120_000)
    held = 0
    with living(USUAL, 20, "exec") as target:
        for _ in range(150):
            with (
                closing(Lifetime(target.pid)) as life, closing(Tracer(life)) as tracer,
                suppress(ProgramReplaced), tracer.holding(),
            ):  # fmt: skip
                held += 1
        assert harm(target, {}) == []
    assert held > 50


@pytest.mark.slow
def test_a_process_that_calls_exec_all_the_time_never_looks_as_if_it_had_ended():
    with living(USUAL, 200, "exec") as target:
        looks = 0
        until = time.monotonic() + 8
        while time.monotonic() < until:
            looks += 1
            assert not procfs.has_ended(target.pid), looks
    assert procfs.has_ended(target.pid)


@pytest.mark.slow
def test_a_process_is_inspected_while_one_of_its_threads_waits_for_a_child_of_vfork():
    with living(USUAL, 20, "vfork") as target:
        for _ in range(3):
            with open_target(str(target.pid), memory="direct") as opened:
                assert inspect(opened, "main.sessions").judgement.verdict == "consistent"
        deadline = time.monotonic() + 30
        # A thread that was not let go at once is let go when the child has ended.
        while traced(target.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert harm(target, {}) == []


def test_threads_that_run_show_no_registers_and_nobody_waits_for_them(resting):
    with closing(Lifetime(resting.pid)) as life, closing(Tracer(life)) as tracer:
        assert tracer.threads() == []
        with tracer.holding():
            assert len(tracer.threads()) >= 20
        assert tracer.threads() == []
    assert harm(resting, {}) == []


def require_for_a_while(life: Lifetime) -> None:
    """Ask again and again: in the middle of an exec there is no telling."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        life.require()
        time.sleep(0.01)


SLEEPS = "import threading, time; [threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(5)]; print()"
PARENT = (
    "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); print(p.wait(), flush=True)"
)


def test_the_parent_of_a_process_that_is_killed_while_it_is_held_learns_of_it_at_once():
    command = [sys.executable, "-c", PARENT, sys.executable, "-uc", SLEEPS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "\n"
        with closing(Lifetime(pid)) as life, closing(Tracer(life)) as tracer:
            with suppress(HoldLost), tracer.holding():
                life.signal(signal.SIGKILL)
            # The tracer is still there, as between two inspections of one target.
            assert select.select([parent.stdout], [], [], 10)[0]
        assert parent.stdout.readline() == f"{-signal.SIGKILL}\n"


LOSES_ITS_FIRST_THREAD = """
import ctypes, os, sys, threading, time
def call_exec():
    time.sleep(0.5)
    os.execv("/bin/cat", ["cat"])
sys.stdin.readline()
threading.Thread(target=call_exec).start()
ctypes.CDLL(None).syscall(60, 0)
"""
"""A program whose first thread ends by the system call exit, half a second before another calls exec."""


def test_an_executable_that_cannot_be_opened_in_the_middle_of_an_exec_is_no_wrong_executable():
    with subprocess.Popen([sys.executable, "-c", LOSES_ITS_FIRST_THREAD], stdin=subprocess.PIPE) as process:
        link, life = f"/proc/{process.pid}/exe", Lifetime(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        while not life.headless:
            time.sleep(0.01)
        with pytest.raises(ProgramReplaced), noticing_the_end(life):
            open_image(link)
        life.close()
        process.stdin.close()


def test_a_pid_stands_for_one_process_and_one_program():
    with living(USUAL, 1, "exec") as target, closing(Lifetime(target.pid)) as life:
        execs = target.count(100)
        while target.count(100) < execs + 2:
            time.sleep(0.01)
        with pytest.raises(ProgramReplaced):
            require_for_a_while(life)
        target.process.kill()
        target.process.wait()
        assert life.ended
        assert not life.replaced
    with closing(Lifetime(os.getpid())) as ours:
        assert not ours.replaced
        assert not ours.ended
