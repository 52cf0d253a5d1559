"""Cores of live processes: what is in them is what the process had, and the process goes on."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures import CLASSIC, SWISS_RELEASES, USUAL, Running, build, start
from fixtures.debian import NoPackage
from fixtures.delve import delve
from inspector.census import take_census
from inspector.copying.pages import Pages
from inspector.copying.plan import make_plan
from inspector.coredump import Written, write_core
from inspector.errors import UsageError
from inspector.inspection.one_map import inspect
from inspector.memory import procfs
from inspector.memory.corefile import CoreFile
from inspector.target.opening import open_target
from tests.support import swisstruth, truth
from tests.support.chance import seeded
from tests.support.commandline import (
    assert_free,
    assert_one_line_at_most,
    assert_refused,
    assert_running,
    cli,
    cli_here,
    finish,
)
from tests.support.gdbsession import gdb
from tests.support.moments import Moment, Process, Tries, come_at, holds
from tests.support.swiss import HEADER, TABLE, SwissProgram

THREADS = 20
GOROUTINES = 50
SIZE, BYTES = "60", 60 << 20
"""How much memory the program `bulk` takes."""

PACKED = pytest.mark.parametrize("zstd", [False, True], ids=["plain", "zstd"])


@pytest.fixture(scope="module")
def beating() -> Iterator[Running]:
    """A program with many threads, one of which looks at the clock all the time."""
    with start(build("beating", USUAL), str(THREADS)) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def bulk() -> Iterator[Running]:
    """A program with SIZE MiB that hardly can be compressed."""
    with start(build("bulk", USUAL), SIZE) as running:
        yield running
        assert_running(running)


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """Where a core can be written; its folder has nothing else in it."""
    folder = tmp_path / "cores"
    folder.mkdir()
    return folder / "core"


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    return seeded(request.node.name)


def snapshot(running: Running, core: Path, zstd: bool = False) -> Written:
    """Write a core of a program, which runs on."""
    with open_target(str(running.pid), memory="direct") as target:
        written = write_core(target, core, zstd=zstd)
    assert_running(running)
    assert written.unreadable == 0
    return written


def left_in(core: Path) -> list[str]:
    return [path.name for path in core.parent.iterdir()]


# What is in it


def test_every_state_of_a_classic_map_is_in_the_core_as_the_program_says(run, core):
    running = run("states", USUAL)
    snapshot(running, core, zstd=True)
    with open_target(str(core), memory="direct") as target:
        assert target.pid == running.pid
        assert truth.all_differences(target, running.truth["maps"]) == {}


def test_every_word_of_a_swiss_map_is_in_the_core_as_the_program_says(swiss, core):
    program: SwissProgram = swiss(SWISS_RELEASES[-1])
    snapshot(program.running, core)
    with closing(CoreFile(core)) as read:
        for state in program.states.values():
            if state.header is not None:
                assert HEADER.unpack(read.read(state.address, HEADER.size)) == state.header.words
            for table in state.tables:
                assert TABLE.unpack(read.read(table.address, TABLE.size)) == table.words
            if state.descriptor is not None:
                for groups in (each for each in (*(one.groups for one in state.tables), state.group) if each):
                    at, step = groups.address, state.descriptor.group_size
                    words = [read.read(at + step * number, 8) for number in range(len(groups.control_words))]
                    assert b"".join(words) == groups.control


@pytest.mark.matrix
def test_every_state_of_a_swiss_map_is_in_the_core_as_the_program_says(swiss, core):
    program: SwissProgram = swiss(SWISS_RELEASES[-1])
    snapshot(program.running, core, zstd=True)
    with open_target(str(core), memory="direct") as target:
        assert swisstruth.all_differences(target, program.states.values(), "name") == {}


@pytest.mark.slow
def test_the_census_of_the_core_is_that_of_the_process(core):
    with start(build("census", SWISS_RELEASES[-1], ldflags="-s -w"), "2") as running:
        snapshot(running, core)
        seen = []
        for name in (str(running.pid), str(core)):
            with open_target(name, memory="direct") as target:
                census = take_census(target, max_share=None)
            seen.append({(one.address, str(one.type), one.count) for one in census.maps})
        assert len(seen[0]) > 100
        assert seen[0] == seen[1]


def test_types_that_were_relocated_and_made_read_only_are_in_the_core(core):
    with start(build("plain", USUAL, extra_flags=["-buildmode=pie"])) as running:
        snapshot(running, core)
        with open_target(str(core), memory="direct") as target:
            assert inspect(target, "main.words").judgement.verdict == "consistent"


# What others read in it


def await_sleepers(pid: int, number: int) -> None:
    """Wait until so many threads are inside nanosleep."""
    deadline = time.monotonic() + 60
    while sum(procfs.system_call(pid, thread).startswith("35 ") for thread in procfs.threads(pid)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda each: each.name)
def test_gdb_finds_every_thread_its_stack_and_its_registers(core, toolchain):
    with start(build("beating", toolchain), str(THREADS)) as running:
        # Its heart and all who wait for ever: on a busy machine it takes them a while to come to it.
        await_sleepers(running.pid, THREADS)
        written = snapshot(running, core)
        tasks = {int(task.name) for task in Path(f"/proc/{running.pid}/task").iterdir()}
    threads, stack, registers, named = gdb(
        "info threads", "thread apply all bt", "p $xmm0", "info proc", on=(running.exe, core)
    )
    seen = {int(number) for number in re.findall(r"LWP (\d+)", threads)}
    assert len(seen) == written.threads > THREADS
    assert seen <= tasks
    # Those threads that wait for ever are bound to a goroutine each.
    assert stack.count("main.waiter") >= THREADS - 1
    assert "v2_double" in registers
    assert "beating" in named
    assert "Cannot access memory" not in stack


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [CLASSIC[0], SWISS_RELEASES[-1]], ids=lambda each: each.name)
def test_delve_finds_the_threads_and_every_goroutine(core, toolchain):
    with start(build("parked", toolchain), str(GOROUTINES)) as running:
        written = snapshot(running, core)
    try:
        said = delve(running.exe, core, ["threads", "goroutines", "goroutine 1 bt 20"], core.parent)
    except NoPackage as reason:
        pytest.skip(str(reason))
    assert len(re.findall(r"Thread \d+ at", said)) == written.threads
    assert len(re.findall(r"Goroutine \d+ - User: .*main\.(?:park|main\.gowrap1)", said)) == GOROUTINES
    assert "in main.main" in said


def test_a_core_is_sparse_and_only_its_owner_reads_it(bulk, core):
    written = snapshot(bulk, core)
    status = core.stat()
    assert status.st_mode & 0o777 == 0o600
    assert written.size == status.st_size
    assert written.on_disk == status.st_blocks * 512
    assert BYTES < written.on_disk < written.memory + (1 << 20) < written.size


def test_both_ways_to_ask_the_kernel_for_pages_find_the_same_memory(bulk):
    with Pages(bulk.pid) as scanned, Pages(bulk.pid) as counted:
        counted.scans = False
        plans = [make_plan(bulk.pid, pages) for pages in (scanned, counted)]
        if not scanned.scans:
            pytest.skip("this kernel has no PAGEMAP_SCAN")
    assert [segment.size for segment in plans[0].segments] == [segment.size for segment in plans[1].segments]
    pages = [{at for start, end in plan.ranges for at in range(start, end, 4096)} for plan in plans]
    assert len(pages[0]) > BYTES // 4096
    # What was only read is the kernel's page of zeros; the heap goes on between two looks.
    assert len(pages[0] ^ pages[1]) < len(pages[0]) // 50


# How long it is held


def test_the_hold_that_is_reported_is_the_pause_that_the_program_feels(beating, core):
    beating.ask("reset")
    written = snapshot(beating, core)
    felt = float(beating.ask("gap")["gap"]) / 1e9
    # The program feels what others take from it, too, but never less than the hold without its edges.
    assert felt > written.held / 2 > 0


def test_a_hold_that_would_take_too_long_is_refused_before_the_process_is_held(bulk, core):
    answer = cli_here("snapshot", bulk.pid, "-o", core, "--max-stop", "1ms")
    assert_refused(answer, "it was not held", "1 ms", "--max-stop")
    assert left_in(core) == []


def test_a_generous_limit_is_kept(bulk, core):
    answer = cli_here("snapshot", bulk.pid, "-o", core, "--max-stop", "60s")
    assert answer.code == 0, answer
    assert core.exists()


@pytest.mark.slow
def test_where_memory_is_short_the_copy_goes_into_the_file(bulk, core):
    for path in (core, core.with_suffix(".zst")):
        answer = cli("snapshot", bulk.pid, "-o", path, before=("prlimit", f"--data={250 << 20}"))
        assert answer.code == 0, answer
        assert [note for note in answer.notes if "too little memory" in note], answer
        with open_target(str(path), memory="direct") as target:
            census = take_census(target, max_share=None)
        assert len(census.maps) > 10
        assert {one.verdict for one in census.maps} == {"consistent"}
    assert sorted(left_in(core)) == ["core", "core.zst"]
    assert_running(bulk)


# The command line


@PACKED
def test_the_command_line_says_what_was_written_and_for_how_long_it_held(beating, core, zstd):
    answer = cli_here("snapshot", beating.pid, "-o", core, *(["--zstd"] if zstd else []))
    assert (answer.code, answer.err) == (0, ""), answer
    assert re.match(rf"{core}  [\d.]+ [KM]iB on disk, ", answer.out)
    assert re.search(rf"process {beating.pid}, beating \(go1.23.9\), was held for [\d.]+ ms: .* threads", answer.out)
    assert (core.read_bytes()[:4] == b"\x7fELF") is not zstd
    looked_up = cli_here(core, "main.sessions", "--key", "session-7")
    assert looked_up.code == 0, looked_up


def test_a_file_that_exists_is_only_replaced_by_force(beating, core):
    core.write_text("mine")
    assert_refused(cli_here("snapshot", beating.pid, "-o", core), "exists already", "--force")
    assert core.read_text() == "mine"
    assert cli_here("snapshot", beating.pid, "-o", core, "--force").code == 0
    assert core.read_bytes()[:4] == b"\x7fELF"
    assert left_in(core) == ["core"]


def test_what_is_no_regular_file_is_never_replaced(beating, core):
    core.symlink_to("elsewhere")
    assert_refused(cli_here("snapshot", beating.pid, "-o", core, "--force"), "not a regular file")
    assert core.is_symlink()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("snapshot", "4194304", "-o", "{core}"), "there is no process 4194304"),
        (("snapshot", "core.1", "-o", "{core}"), "only a live process"),
        (("snapshot", "{pid}", "-o", "{core}/in/it"), "there is no folder"),
        (("snapshot", "{pid}"), "--output"),
        (("snapshot", "{python}", "-o", "{core}"), "not"),
    ],
)
def test_what_cannot_be_written_is_one_line(beating, core, words, said):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as python:
        places = {"core": core, "pid": beating.pid, "python": python.pid}
        assert_refused(cli_here(*(word.format_map(places) for word in words)), said)
        python.communicate(b"\n")
    assert left_in(core) == []


@pytest.mark.slow
def test_somebody_elses_process_is_not_written(beating, core):
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    core.parent.chmod(0o777)
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    assert_refused(cli("snapshot", beating.pid, "-o", core, before=other), "no permission")
    assert left_in(core) == []


# When something goes wrong in the middle


@pytest.mark.slow
def test_a_disk_that_becomes_full_leaves_nothing_behind(bulk, core):
    small = core.parent / "small"
    small.mkdir()
    inside = f'mount -t tmpfs -o size=8m none {small} && {{ "$@"; code=$?; ls -A {small} >&2; exit $code; }}'
    answer = cli("snapshot", bulk.pid, "-o", small / "core.zst", before=("unshare", "-m", "sh", "-c", inside, "sh"))
    if "mount" in answer.err or "unshare" in answer.err:
        pytest.skip("no mounts here")
    assert_refused(answer, "cannot write", "No space left", "more room")
    plain = cli("snapshot", bulk.pid, "-o", small / "core", before=("unshare", "-m", "sh", "-c", inside, "sh"))
    assert_refused(plain, "the disk has", "--zstd")


def test_a_limit_on_the_size_of_files_leaves_nothing_behind(bulk, core):
    answer = cli("snapshot", bulk.pid, "-o", core, before=("prlimit", f"--fsize={1 << 24}"))
    assert_refused(answer, "cannot write", "ulimit -f")
    assert left_in(core) == []


def come_in_the_middle(running: Running, core: Path, dice: random.Random) -> tuple[Process, bool]:
    """Start a snapshot that compresses, and come back while it holds the process, or while it writes."""
    later = dice.choice([0.0, 0.1])
    return come_at(Moment(holds(running.pid), later), dice, "snapshot", running.pid, "-o", core, "--zstd")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_in_the_middle_leaves_no_part_of_a_file_and_the_process_running(bulk, core, dice, number):
    came = 0
    middle = Tries(2)
    for _ in middle:
        process, _ = come_in_the_middle(bulk, core, dice)
        process.send_signal(number)
        answer = finish(process)
        if answer.code != 0:
            assert answer.code == (-signal.SIGKILL if number == signal.SIGKILL else 130), answer
            assert_one_line_at_most(answer)
            middle.happened += 1
            came += left_in(core) == []
        if core.exists():
            # It had its name already.
            with closing(CoreFile(core)) as whole:
                assert (whole.missing, whole.note) == (0, "")
        assert left_in(core) in ([], [core.name])
        core.unlink(missing_ok=True)
        assert_running(bulk)
    assert came >= 1


def test_a_process_that_ends_while_it_is_held_is_one_line(core, dice):
    for _ in range(5):
        with start(build("bulk", USUAL), SIZE) as running:
            held = holds(running.pid)
            process, _ = come_at(Moment(held), dice, "snapshot", running.pid, "-o", core)
            # It cannot let go of the process now.
            process.send_signal(signal.SIGSTOP)
            in_time = held(process)
            if in_time:
                os.kill(running.pid, signal.SIGKILL)
            process.send_signal(signal.SIGCONT)
            answer = finish(process)
        if in_time:
            break
        core.unlink()
    assert_refused(answer, "ended")
    assert left_in(core) == []


def test_the_process_is_let_go_when_the_copy_has_no_time_left(bulk, core):
    with open_target(str(bulk.pid), memory="direct") as target, pytest.raises(UsageError, match="was not held"):
        write_core(target, core, max_stop=0.0001)
    assert_free(bulk.pid)
    assert left_in(core) == []
