"""Everything a person can get wrong, with the real command line on real processes and cores.

Each case must give one clear line, the right exit code, and leave the target as it was.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures import CLASSIC, SWISS, USUAL, build, kernel_core, start
from tests.support.commandline import (
    COMMAND,
    ROOT,
    assert_free,
    assert_refused,
    assert_running,
    assert_stopped,
    cli,
    cli_here,
    each_here,
    environment,
    thread_states,
)
from tests.support.promised import promised

WORDS = "main.words"
TYPE = ("--type", "map[string]int")
MODES = ("auto", "direct", "gdb-mi")
EVERY_MODE = pytest.mark.parametrize(
    "mode", ["auto", pytest.param("direct", marks=pytest.mark.slow), pytest.param("gdb-mi", marks=pytest.mark.slow)]
)
USUAL_AND_ODD = pytest.mark.parametrize(
    "part", [pytest.param(slice(2), id="usual"), pytest.param(slice(2, None), id="odd", marks=pytest.mark.slow)]
)
"""The first two cases of a test belong to the quick suite, the others to the whole one."""

Cases = dict[str, tuple[str, ...]]
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs")


NEEDS_SETPRIV = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


@pytest.fixture(scope="module")
def plain() -> Iterator:
    """A process of our own: others may hold the shared ones at the same time."""
    with start(build("plain")) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def states() -> Iterator:
    with start(build("states")) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def core(crash):
    return crash("plain")


@contextmanager
def process(*command: str, **options) -> Iterator[subprocess.Popen]:
    """Run a program that is not ours to talk to, and that waits or ends as soon as it can."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as popen:
        try:
            # Its exec may not be over yet, which would be told.
            while {state for state, _ in thread_states(popen.pid)} & {"R", "D"}:
                time.sleep(0.001)
            yield popen
        finally:
            popen.kill()


def hold_each_refused(cases: Cases, part: slice, *before: object, after: Sequence[object] = ()) -> None:
    """Run the command line once for each case of this part, with the case's text in the middle."""
    chosen = dict([*cases.items()][part])
    for answer, words in zip(each_here([[*before, text, *after] for text in chosen]), chosen.values(), strict=True):
        assert_refused(answer, *words)


# Targets


@pytest.mark.slow
def test_pids_of_nothing_are_refused():
    missing, kernel = each_here([[999999999, WORDS], [2, WORDS]])
    assert_refused(missing, "no process 999999999", "pgrep")
    if Path("/proc/2/cmdline").exists() and not Path("/proc/2/cmdline").read_bytes():
        assert_refused(kernel, "process 2", "kernel thread", "pgrep")


def test_the_pid_of_a_zombie_is_refused():
    with process("true") as zombie:
        while "Z" not in [state for state, _ in thread_states(zombie.pid)]:
            time.sleep(0.01)
        assert_refused(cli_here(zombie.pid, WORDS), "has ended", "zombie", "core")


@pytest.mark.slow
def test_numbers_that_cannot_be_pids_are_refused():
    enormous, zero = each_here([["9" * 300, WORDS], [0, WORDS]])
    assert_refused(enormous, "no process")
    assert_refused(zero, "no process 0")


@pytest.mark.slow
def test_the_id_of_a_thread_leads_to_its_process(plain):
    threads = [int(task) for task in os.listdir(f"/proc/{plain.pid}/task") if int(task) != plain.pid]
    assert_refused(cli_here(threads[0], WORDS), "is a thread of process", str(plain.pid))


def test_programs_that_are_not_go_are_refused():
    with process("sleep", "1000") as sleep:
        for answer in each_here([[sleep.pid, WORDS], [sleep.pid, "0xc000", *TYPE, "--json"]]):
            assert_refused(answer, "sleep", "not built by the Go toolchain")
        assert_free(sleep.pid)


@pytest.mark.slow
def test_a_core_of_another_language_is_refused(tmp_path):
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    limit = lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited)  # noqa: E731
    with process("sleep", "1000", cwd=tmp_path, preexec_fn=limit) as sleep:
        sleep.send_signal(signal.SIGABRT)
        sleep.wait()
    found = list(tmp_path.iterdir())
    if not found:
        pytest.skip("the kernel writes no core files to the current folder")
    assert_refused(cli_here(found[0], WORDS), "sleep", "not built by the Go toolchain")


@USUAL_AND_ODD
def test_files_that_are_no_cores_are_refused(part, tmp_path):
    empty, fifo, text = tmp_path / "empty", tmp_path / "fifo", tmp_path / "text"
    empty.touch()
    os.mkfifo(fifo)
    text.write_text("hello")
    cases = {
        "/bin/sleep": ("is an executable, not a core dump", "pid"),
        str(text): ("not a core dump", "not an ELF file"),
        str(empty): ("the file is empty",),
        str(tmp_path): ("it is a directory",),
        str(fifo): ("not a regular file",),
        str(tmp_path / "nothing"): ("neither a process nor a file",),
        "": ("neither a process nor a file",),
        str(tmp_path / "new\nline"): ("neither a process nor a file", "new\\nline"),
    }
    hold_each_refused(cases, part, after=[WORDS, "--json"])


@EVERY_MODE
def test_32_bit_programs_are_refused(mode):
    with start(build("plain", env={"GOARCH": "386"})) as running:
        assert_refused(cli(running.pid, WORDS, "--memory", mode), "32-bit", "only linux/amd64")
        assert_running(running)


@pytest.mark.slow
def test_cores_of_32_bit_programs_are_refused(tmp_path):
    exe = build("plain", env={"GOARCH": "386"})
    assert_refused(cli_here(kernel_core(exe, directory=tmp_path).path, WORDS), "32-bit", "only linux/amd64")


@EVERY_MODE
def test_swiss_maps_are_inspected_in_every_mode_and_the_process_runs_on(mode):
    with start(build("plain", SWISS)) as running:
        document = promised(cli(running.pid, WORDS, "--memory", mode, "--json").out)
        assert_running(running)
    assert (document["map"]["family"], document["map"]["count"], document["verdict"]) == ("swiss", 3, "consistent")
    assert document["hash_proof"]["matched"] == 3


@NEEDS_SETPRIV
@EVERY_MODE
@pytest.mark.parametrize("more", [[], pytest.param(["--no-stop"], marks=pytest.mark.slow)])
def test_a_process_of_somebody_more_powerful_is_refused_with_the_ways_to_get_at_it(plain, mode, more):
    if more and mode == "gdb-mi":
        pytest.skip("the two do not go each_here")
    answer = cli(plain.pid, WORDS, *TYPE, "--memory", mode, *more, before=WITHOUT_CAPABILITIES)
    assert_refused(
        answer, "no permission", str(plain.pid), "same user", "CAP_SYS_PTRACE", "ptrace_scope", "kubectl debug"
    )
    assert_running(plain)


@pytest.mark.slow
@NEEDS_SETPRIV
def test_a_core_of_somebody_else_is_refused(core, tmp_path):
    mine = tmp_path / "core"
    shutil.copy(core.path, mine)
    os.chown(mine, 65534, 65534)
    mine.chmod(0o600)
    assert_refused(cli(mine, WORDS, before=WITHOUT_CAPABILITIES), "no permission to read", str(mine), "user")


@pytest.mark.slow
def test_a_process_in_the_hands_of_another_debugger_is_refused_but_can_be_read_without_a_stop(plain):
    with process("gdb", "-nx", "-q", "-p", str(plain.pid), stderr=subprocess.DEVNULL) as gdb:
        while not all(tracer == gdb.pid for _, tracer in thread_states(plain.pid)):
            time.sleep(0.02)
        for answer in each_here([[plain.pid, WORDS, *TYPE, "--memory", mode] for mode in MODES]):
            assert_refused(answer, "already traced", str(gdb.pid), "--no-stop")
        answer = cli_here(plain.pid, WORDS, "--no-stop", "--json")
        assert (answer.code, json.loads(answer.out)["map"]["count"]) == (0, 3)
        assert {tracer for _, tracer in thread_states(plain.pid)} == {gdb.pid}
        gdb.stdin.close()
        gdb.wait()
    assert_running(plain)


@EVERY_MODE
def test_a_stopped_process_is_inspected_and_stays_stopped(mode):
    with start(build("plain")) as running:
        os.kill(running.pid, signal.SIGSTOP)
        answer = cli(running.pid, WORDS, "--memory", mode, *TYPE)
        assert (answer.code, answer.err) == (0, "")
        assert_stopped(running.pid)
        os.kill(running.pid, signal.SIGCONT)
        assert_running(running)


# Addresses


@USUAL_AND_ODD
def test_addresses_that_hold_no_map_are_refused_with_the_reason(plain, part):
    words = plain.map("words")
    address = int(words["address"], 16)
    cases = {
        "0x1000": ("0x1000", "not mapped"),
        words["variable_address"]: ("not a map header", "variable's own address"),
        "0x401000": ("not a map header", "too large"),
        "0xfffffffffffffff0": ("cannot read", "no such address"),
        "0xc000000000000": ("cannot read", "no such address"),
        hex(address + 4): ("addresses of maps end in 0 or 8", "digit"),
        words["header"]["buckets"]: ("not a map header",),
        hex(int(words["variable_address"], 16) // 4096 * 4096 + 16 * 4096): ("not a map header",),
    }
    for where, expected in [*cases.items()][part]:
        assert_refused(cli_here(plain.pid, where, *TYPE, "--memory", "direct"), *expected)
    assert_running(plain)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "gdb-mi"])
def test_addresses_that_hold_no_map_are_refused_through_gdb_too(plain, mode):
    answer = cli(plain.pid, plain.map("words")["variable_address"], *TYPE, "--memory", mode)
    assert_refused(answer, "not a map header", "variable's own address")
    assert_refused(cli(plain.pid, "0x1000", *TYPE, "--memory", mode), "0x1000", "cannot read")
    assert_running(plain)


@pytest.mark.slow
def test_numbers_beyond_64_bits_are_refused(plain):
    for answer in each_here([[plain.pid, n, *TYPE] for n in ("1" + "0" * 30, "9" * 6000, "0x" + "f" * 6000)]):
        assert_refused(answer, "more than 64 bits")


def test_an_address_that_holds_no_map_is_refused_without_a_type_too(plain):
    assert_refused(
        cli_here(plain.pid, plain.map("words")["variable_address"]), "not a map header", "variable's own address"
    )
    assert_running(plain)


@pytest.mark.slow
def test_an_address_without_its_0x_is_refused_with_a_hint(plain):
    assert_refused(cli_here(plain.pid, "c000012340", *TYPE), "addresses begin with 0x", "0xc000012340")


@pytest.mark.parametrize("nothing", ["0", pytest.param("0x0", marks=pytest.mark.slow)])
def test_address_0_is_a_nil_map(plain, nothing):
    answer = cli_here(plain.pid, nothing, *TYPE, "--json", "--memory", "direct")
    assert (answer.code, json.loads(answer.out)["map"]["nil"]) == (0, True)


# Types


@USUAL_AND_ODD
def test_names_that_are_no_map_types_are_refused(states, part):
    address = states.map("key_string")["address"]
    cases = {
        "map[string]itn": ("map[string]itn", "did you mean", "map[string]int"),
        "map[\x1b[31m]": ("no map type", "\\x1b[31m"),
        "int": ("no map type 'int'",),
        "x" * 100_000: ("too long",),
        "map[" * 1000: ("no map type", "..."),
        "%s%n%d%2e%": ("no map type", "%s%n%d"),
        "map[[[[": ("no map type",),
        "map[string]int]": ("no map type", "did you mean"),
        "": ("no type name given",),
        "map[string]int;shell id": ("no map type",),
    }
    hold_each_refused(cases, part, states.pid, address, "--type")


@pytest.mark.parametrize(
    "other",
    [
        "map[int64]int64",
        pytest.param("map[interface {}]string", marks=pytest.mark.slow),
        pytest.param("map[struct {}]int", marks=pytest.mark.slow),
    ],
)
def test_another_map_type_than_the_declared_one_is_refused(states, other):
    answer = cli_here(states.pid, "main.keyString", "--type", other, "--json")
    assert_refused(answer, f"the type given is {other}", "main.keyString is declared as map[string]int", "--type")
    assert_running(states)


# Variables


@USUAL_AND_ODD
def test_names_that_lead_to_no_map_are_refused(states, part):
    cases = {
        "main.keyStrng": ("no variable main.keyStrng", "did you mean", "main.keyString"),
        "main.server": (
            "main.server is of type struct { port int; sessions map[string]int }, not a map",
            "maps in it: main.server.sessions",
        ),
        "main.server.sesions": ("main.server has no field sesions", "fields: ", "did you mean main.server.sessions?"),
        "keyString": ("no variable", "main.keyString"),
        "server.sessions": ("no variable server.sessions", "did you mean main.server.sessions?"),
        "main": ("no variable main", "main is a package; name a variable of it: main."),
        "main.keyString[-1]": ("map[string]int", "-1 is not a string", "in quotes"),
        "main.qqqqqqqqqqqqqq": ("no variable main.qqqqqqqqqqqqqq",),
        "main.app.name": ("string", "not a map"),
        "main.server.port": ("int", "not a map"),
        "main.keyString.x": ("main.keyString is of type map[string]int, which has no fields", "--key"),
        "main.keyString[0]": ("map[string]int", "0 is not a string", "in quotes"),
        'main.keyString["nobody"]': ("has no key", "nobody"),
        "main.main": ("function",),
        "main.": ("no variable",),
        "." * 20: ("no variable",),
        "." * 200: ("neither an address nor a Go variable",),
        "x" * 5_000: ("neither an address nor a Go variable",),
        "x" * 100_000: ("cannot be read as a name", "65,536 characters"),
    }
    hold_each_refused(cases, part, states.pid)


@pytest.mark.slow
def test_a_variable_that_is_no_map_is_not_believed_to_be_one_because_type_says_so(states):
    for name in ("main.server.port", "main.app"):
        answer = cli_here(states.pid, name, *TYPE)
        assert_refused(answer, "not a map")
    assert_running(states)


@USUAL_AND_ODD
def test_nothing_typed_as_a_variable_is_executed_by_gdb_or_written_to_the_process(states, part, tmp_path):
    pwned = tmp_path / "pwned"
    attempts = [
        f"main.keyString; shell touch {pwned}",
        f"main.keyString\nshell touch {pwned}",
        "main.server.sessions++",
        f"main.keyString\n-interpreter-exec console \"shell touch {pwned}\"",
        f"`touch {pwned}`",
        f"$(touch {pwned})",
        "main.keyString'",
        "main.keyString\"",
        "main.keyString\\",
        "$_siginfo",
        "$_exitcode",
        "main.f()",
        "main.server.sessions--",
        "main.server.sessions,main.x",
        "main.app.sessions@4",
        "main.server.port-1",
        "main.server.sessions=0",
        "main.server.0",
    ]  # fmt: skip
    hold_each_refused(dict.fromkeys(attempts, ()), part, states.pid, after=TYPE)
    assert cli_here(states.pid, "(main.keyString)", *TYPE).code == 0
    assert not pwned.exists()
    now = states.ask("truth")["maps"]
    assert [each["address"] for each in now] == [each["address"] for each in states.truth["maps"]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_nil_pointer_in_a_field_path_is_told(mode, tmp_path):
    with start(build_nil_path(tmp_path)) as running:
        answer = cli(running.pid, "main.app.sessions", "--memory", mode)
        assert_refused(answer, "main.app.sessions cannot be read: main.app is nil", "--type")
        assert_running(running)


def test_a_field_path_is_followed_without_a_stop(states):
    answer = cli_here(states.pid, "main.app.sessions", "--no-stop", "--json")
    assert (answer.code, answer.notes) == (0, ["the process was not stopped while the map was copied"])
    told = next(state for state in states.truth["maps"] if state["variable"] == "main.app.sessions")
    assert json.loads(answer.out)["map"]["address"] == told["address"]


# Executables and cores that do not belong each_here


@pytest.mark.parametrize(
    ("toolchain", "flags"),
    [(CLASSIC[0], []), pytest.param(USUAL, ["-gcflags=-N"], marks=pytest.mark.slow)],
)
def test_another_build_of_the_program_is_refused(plain, core, toolchain, flags):
    other = build("plain", toolchain, extra_flags=flags)
    for answer in each_here([[target, WORDS, "--exe", other] for target in (plain.pid, core.path)]):
        assert_refused(answer, str(other), "not the executable of", "--exe")


@USUAL_AND_ODD
def test_executables_that_are_none_are_refused(plain, part, core, tmp_path):
    cases = {
        "/nonexistent": ("cannot open the executable /nonexistent", "No such file"),
        "/etc/passwd": ("not an ELF executable",),
        str(core.path): ("is a core dump, not an executable", "--exe"),
        str(tmp_path): ("it is a directory",),
        "/bin/sleep": ("/bin/sleep", "not"),
    }
    hold_each_refused(cases, part, plain.pid, WORDS, "--exe")
    hold_each_refused(cases, slice(1) if part.start is None else part, core.path, WORDS, "--exe")


@pytest.mark.slow
def test_a_deleted_executable_is_no_obstacle_for_a_live_process_and_named_for_a_core(tmp_path):
    exe = tmp_path / "service"
    shutil.copy(build("plain"), exe)
    with start(exe) as running:
        exe.unlink()
        for mode in MODES:
            answer = cli(running.pid, WORDS, "--json", "--memory", mode, *TYPE)
            assert (answer.code, answer.err, json.loads(answer.out)["map"]["count"]) == (0, "", 3)
        assert_running(running)
    shutil.copy(build("plain"), exe)
    dead = kernel_core(exe, directory=tmp_path)
    exe.unlink()
    assert_refused(cli_here(dead.path, WORDS), str(exe), "No such file", "--exe")
    assert cli_here(dead.path, WORDS, "--exe", build("plain")).code == 0


# Cores that are cut short


def cut(core, folder: Path, size: int) -> Path:
    path = folder / f"cut-{size}"
    with core.path.open("rb") as whole:
        path.write_bytes(whole.read(size))
    return path


def header_end(core) -> int:
    """Where the program headers end: number times 56 bytes after 64."""
    with core.path.open("rb") as file:
        head = file.read(64)
    return 64 + 56 * int.from_bytes(head[56:58], "little")


def file_offset(core, address: int) -> int:
    """Where a byte of the process lies in its core."""
    with core.path.open("rb") as file:
        head = file.read(header_end(core))
    for at in range(64, len(head), 56):
        kind, _, offset, low, _, size = struct.unpack_from("<IIQQQQ", head, at)
        if kind == 1 and low <= address < low + size:
            return offset + address - low
    raise AssertionError(f"{address:#x} is not in the core")


def test_a_core_cut_in_its_headers_is_refused(core, tmp_path):
    sizes = [10, 64, header_end(core) - 1]
    for answer in each_here([[cut(core, tmp_path, size), WORDS] for size in sizes]):
        assert_refused(answer, "damaged or cut short", "copied whole")


def test_a_core_cut_in_its_notes_or_before_its_memory_gives_what_there_is(core, tmp_path):
    sizes = [header_end(core) + 100, header_end(core) + 2000]
    paths = [cut(core, tmp_path, size) for size in sizes]
    for answer in each_here([[path, WORDS] for path in paths]):
        assert answer.code in (2, 3)
        assert_refused(answer, code=answer.code)
    runs = [[path, WORDS, *TYPE, "--exe", core.exe] for path in paths]
    for answer in each_here(runs):
        assert_refused(answer, "cannot read", "cut short")


@pytest.mark.parametrize("mode", ["auto", pytest.param("gdb-mi", marks=pytest.mark.slow)])
def test_a_core_whose_map_survived_a_cut_is_answered_with_a_note(core, tmp_path, mode):
    path = cut(core, tmp_path, core.path.stat().st_size - 5000)
    answer = cli(path, WORDS, "--json", "--memory", mode)
    assert (answer.code, json.loads(answer.out)["verdict"]) == (0, "consistent")
    assert any(re.search(r"cut short: \d,\d{3} bytes", note) for note in answer.notes), answer.notes


def test_a_core_with_a_header_but_no_buckets_is_answered_in_part(tmp_path, core):
    words = core.truth["maps"][0]
    header, buckets = (file_offset(core, int(word, 16)) for word in (words["address"], words["header"]["buckets"]))
    assert header < buckets
    path = cut(core, tmp_path, buckets + 10)
    for answer in each_here([[path, name, *TYPE, "--json"] for name in (WORDS, words["address"])]):
        document = json.loads(answer.out)
        assert (answer.code, document["verdict"]) == (3, "unreadable")
        assert document["map"]["count"] == 3
    lost = cut(core, tmp_path, header - 100)
    for answer in each_here([[lost, name, *TYPE, "--json"] for name in (WORDS, words["address"])]):
        assert_refused(answer, "cannot read", "cut short")


@pytest.mark.slow
def test_a_core_cut_anywhere_or_with_damaged_headers_never_ends_in_confusion(core, tmp_path):
    whole = core.path.read_bytes()
    sizes = [len(whole) * part // 16 for part in range(16)]
    runs = [[cut(core, tmp_path, size), WORDS, *TYPE] for size in sizes]
    end = header_end(core)
    for at in range(16, end + 400, 53):
        path = tmp_path / f"damaged-{at}"
        with path.open("wb") as file:
            file.write(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 8]) + whole[at + 8 :])
        runs.append([path, WORDS, *TYPE])
    for answer in each_here(runs):
        assert answer.code in (0, 2, 3), answer
        assert "Traceback" not in answer.err
        assert "internal error" not in answer.err
        if answer.code == 2:
            assert_refused(answer)


# gdb


@pytest.mark.parametrize("mode", ["auto", pytest.param("direct", marks=pytest.mark.slow)])
def test_package_variables_and_their_fields_need_no_gdb(states, mode):
    answer = cli(states.pid, "main.app.sessions", "--json", "--gdb", "/nonexistent", "--memory", mode)
    told = next(state for state in states.truth["maps"] if state["variable"] == "main.app.sessions")
    assert (answer.code, answer.err, json.loads(answer.out)["map"]["address"]) == (0, "", told["address"])


def test_what_needs_gdb_says_so_where_there_is_none(plain):
    assert_refused(
        cli_here(plain.pid, "main.main:x", "--gdb", "/nonexistent"),
        "frames are found by gdb: gdb is not installed",
    )
    assert_refused(cli_here(plain.pid, WORDS, *TYPE, "--gdb", "/nonexistent", "--memory", "gdb-mi"), "not installed")
    assert_running(plain)


@pytest.mark.parametrize(
    "program", ["/bin/true", *(pytest.param(p, marks=pytest.mark.slow) for p in ("/bin/cat", "/bin/sh"))]
)
def test_a_gdb_that_is_none_is_found_out(plain, program):
    refused = cli_here(plain.pid, WORDS, "--gdb", program, "--memory", "gdb-mi")
    assert_refused(refused, program, "not a gdb with the MI interface", "--gdb")
    assert_running(plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", ["exec cat", "exec yes nonsense", "while :; do echo '^done'; sleep 0.1; done", "exec sleep 60"]
)
def test_a_gdb_that_talks_nonsense_is_found_out(plain, tmp_path, script):
    fake = executable_script(tmp_path / "gdb", script)
    answer = cli_here(plain.pid, WORDS, "--gdb", fake, "--memory", "gdb-mi")
    assert_refused(answer, "not a gdb with the MI interface", "does not answer", "--gdb")
    assert_running(plain)


def test_a_gdb_that_dies_as_soon_as_it_has_attached_leaves_the_process_running(plain, tmp_path):
    real = shutil.which("gdb")
    # The watcher kills gdb the moment that the process has a tracer, which may be half-way through.
    watch = f'while ! grep -q "TracerPid:.*$$" /proc/{plain.pid}/status; do :; done; kill -9 $$'
    fake = executable_script(tmp_path / "gdb", f'( {watch} ) &\nexec {real} "$@"')
    answer = cli_here(plain.pid, WORDS, *TYPE, "--gdb", fake, "--memory", "gdb-mi")
    assert_refused(answer, "gdb ended", "--memory direct")
    assert_running(plain)


def executable_script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


# Options


@USUAL_AND_ODD
def test_contradictory_and_missing_arguments_are_refused(plain, part, core):
    cases = [
        ([], "no target"),
        ([plain.pid, WORDS, "--entries", "-1"], "--entries"),
        ([plain.pid, WORDS, "--entries", "abc"], "'abc'"),
        ([plain.pid, WORDS, "--entries", "9" * 30], "--entries"),
        ([plain.pid, WORDS, "--entries", ""], "--entries"),
        ([plain.pid, WORDS, "--json", "--ndjson"], "--json and --ndjson"),
        (["--demo", plain.pid], "looks like a pid"),
        (["--demo", "main.sessions", "more"], "one too many"),
        (["--demo", "--exe", plain.exe], "--exe"),
        (["demo", "--no-stop"], "--no-stop"),
        (["demo", "--max-stop", "1s"], "--max-stop"),
        (["demo", "--remote", "localhost:1"], "--remote"),
        (["--remote", "localhost:1", "main.words", "--max-stop", "1s"], "--max-stop"),
        ([plain.pid, core.path], "diff"),
        ([plain.pid, plain.pid], "looks like a pid"),
        ([plain.pid, WORDS, "--exe", plain.exe, "--exe", plain.exe], "--exe"),
        ([plain.pid, WORDS, "--key", "one", "--entries", "3"], "--entries"),
        ([core.path, "--no-stop", "--diff", core.path], "--no-stop"),
        (["--gdb-script", plain.pid], "--gdb-script"),
        (["diff", core.path], "AFTER"),
        ([plain.pid, WORDS, "--no-stop", "--memory", "gdb-mi"], "--no-stop"),
        ([core.path, WORDS, "--no-stop"], "--no-stop"),
        ([plain.pid, WORDS, "--memory", "magic"], "magic"),
        ([plain.pid, WORDS, "--bogus"], "--bogus"),
        ([plain.pid, WORDS, "more"], "more"),
    ]
    chosen = cases[part]
    for answer, (_, word) in zip(each_here([args for args, _ in chosen]), chosen, strict=True):
        assert_refused(answer, word)


@pytest.mark.slow
@pytest.mark.parametrize("form", [[], ["--json"], ["--ndjson"]])
def test_output_that_nobody_reads_to_its_end_is_no_error(states, form):
    command = [*COMMAND, str(states.pid), "main.manyOverflow", "--entries", "all", "--memory", "direct", *form]
    reader, writer = socket.socketpair()
    reader.shutdown(socket.SHUT_RD)
    reader.close()
    states_type = states.map("many_overflow")["type"]
    done = subprocess.run(
        [*command, "--type", states_type], stdout=writer.fileno(), stderr=subprocess.PIPE, cwd=ROOT, env=environment()
    )
    writer.close()
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_a_reader_of_the_help_may_leave():
    reader, writer = socket.socketpair()
    reader.shutdown(socket.SHUT_RD)
    reader.close()
    done = subprocess.run([*COMMAND, "--help"], stdout=writer.fileno(), stderr=subprocess.PIPE, env=environment())
    writer.close()
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_output_that_cannot_be_written_is_told(plain):
    with open("/dev/full", "w") as full:
        command = [*COMMAND, str(plain.pid), WORDS, *TYPE, "--memory", "direct"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 2
    assert re.fullmatch(r"go-map-inspect: cannot write the answer: No space left on device.*\n", done.stderr)
    script = f"{' '.join(COMMAND)} {plain.pid} {WORDS} >&-"
    done = subprocess.run(["sh", "-c", script], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 2
    assert re.fullmatch(r"go-map-inspect: standard output is closed.*\n", done.stderr)


@pytest.mark.slow
def test_a_terminal_that_only_knows_ascii_gets_an_answer(plain):
    command = [*COMMAND, str(plain.pid), WORDS, *TYPE, "--memory", "direct"]
    ascii_only = environment() | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict: consistent" in done.stdout


# Unusual surroundings

MANY_THREADS = """
package main

import (
	"fmt"
	"os"
	"runtime"
)

var words = map[string]int{"one": 1, "two": 2, "three": 3}

func main() {
	for i := 0; i < 300; i++ {
		go func() {
			runtime.LockOSThread()
			line := make([]byte, 1)
			r, _, _ := os.Pipe()
			_ = line
			_ = r
			select {}
		}()
	}
	fmt.Println(`{"pid":`, os.Getpid(), `,"maps":[]}`)
	line := make([]byte, 100)
	for {
		if n, err := os.Stdin.Read(line); n == 0 || err != nil {
			return
		}
		fmt.Println(`{"pid":`, os.Getpid(), `,"maps":[]}`)
		words["read"]++
	}
}
"""

NIL_PATH = """
package main

import (
	"fmt"
	"os"
)

type App struct {
	name     string
	sessions map[string]int
}

var app *App

func main() {
	if len(os.Args) > 5 {
		app = &App{sessions: map[string]int{"never": 1}}
	}
	line := make([]byte, 100)
	for {
		fmt.Println(`{"pid":`, os.Getpid(), `,"maps":[]}`)
		if n, err := os.Stdin.Read(line); n == 0 || err != nil {
			fmt.Println(app.name, app.sessions)
			return
		}
	}
}
"""


def build_source(folder: Path, source: str) -> Path:
    """Build a program that only one test needs."""
    (folder / "main.go").write_text(source)
    command = [str(USUAL.go), "build", "-o", str(folder / "program"), "main.go"]
    subprocess.run(command, cwd=folder, env=USUAL.environment, check=True)
    return folder / "program"


def build_nil_path(folder: Path) -> Path:
    return build_source(folder, NIL_PATH)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_hundreds_of_threads_are_all_stopped_and_all_let_go(tmp_path, mode):
    with start(build_source(tmp_path, MANY_THREADS)) as running:
        deadline = time.monotonic() + 20
        while len(thread_states(running.pid)) < 300 and time.monotonic() < deadline:
            time.sleep(0.05)
        # How long that takes on a busy machine is not what is asked here.
        answer = cli(running.pid, WORDS, *TYPE, "--memory", mode, "--json", "--max-stop", "10s")
        assert (answer.code, json.loads(answer.out)["map"]["count"]) == (0, 3)
        assert len(thread_states(running.pid)) >= 300
        assert_running(running)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_a_process_in_another_root_is_inspected(tmp_path):
    shutil.copy(build("plain"), tmp_path / "service")
    enter = {"preexec_fn": lambda: os.chroot(tmp_path)}
    with process("/service", **enter, executable="/service", cwd=tmp_path) as service:
        service.stdout.readline()
        for mode in MODES:
            answer = cli(service.pid, WORDS, "--memory", mode, "--json", *TYPE)
            assert (answer.code, answer.err, json.loads(answer.out)["map"]["count"]) == (0, "", 3)
        assert cli_here(service.pid, WORDS).code == 0
        assert_free(service.pid)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_a_process_in_another_mount_namespace_is_inspected(tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    copy = f"mount -t tmpfs none {mounted} && cp {build('plain')} {mounted}/service && exec {mounted}/service"
    with process("unshare", "-m", "sh", "-c", copy) as service:
        if not service.stdout.readline():
            pytest.skip("no mounts here")
        assert not (mounted / "service").exists()
        for mode in MODES:
            answer = cli(service.pid, WORDS, "--memory", mode, "--json", *TYPE)
            assert (answer.code, answer.err, json.loads(answer.out)["map"]["count"]) == (0, "", 3)
        assert cli_here(service.pid, WORDS).code == 0
        assert_free(service.pid)
