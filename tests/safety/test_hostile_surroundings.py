"""Surroundings that are in the way: the answer is the same, or one line says what is wrong, and the target runs.

What has its tests elsewhere:

| surroundings | where |
| --- | --- |
| packages of the user in gdb, gdb's functions that run commands | tests/safety/test_hostile_targets.py |
| no right to trace, yama | tests/cli/test_bad_input.py (somebody more powerful) |
| another root, another mount namespace | tests/cli/test_bad_input.py |
| closed output, full output, a reader that leaves | tests/cli/test_bad_input.py |
| no room to unpack, nothing left behind there | tests/memory/test_packed.py |
| a target inside execve or vfork | tests/safety/test_kills.py |
| a target whose pid is given to another process | tests/control/test_pids.py |
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fixtures import Core, Running, build, start
from inspector.control.tracer import Tracer
from inspector.image.elf import open_image
from inspector.memory.lifetime import Lifetime
from inspector.memory.packed import unpack
from tests.memory.test_packed import pack
from tests.support.commandline import (
    COMMAND,
    ROOT,
    assert_free,
    assert_refused,
    assert_running,
    cli,
    cli_here,
    environment,
    finish,
    start_cli,
)

WORDS = "main.words"
NEEDS_GDB = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def core(crash) -> Core:
    return crash("plain")


# What gdb would run or ask by itself


def touch(pwned: Path) -> str:
    return f"shell touch {pwned}\n"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, to fit in the place of another one."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def name_script(exe: Path, script: Path) -> None:
    """Let a program name a script for gdb: its kind (1, a file of Python), its path, a zero."""
    with closing(open_image(exe)) as image:
        section = image.section(".debug_gdb_scripts")
        place = section.offset, section.size
    entry = b"\1" + os.fsencode(script) + b"\0"
    assert len(entry) <= place[1]
    data = bytearray(exe.read_bytes())
    data[place[0] : sum(place)] = entry.ljust(place[1], b"\0")
    exe.write_bytes(data)


@NEEDS_GDB
def test_scripts_for_gdb_beside_the_user_the_folder_and_the_program_are_not_run(tmp_path, short):
    """.gdbinit of the home and of the current folder, PROGRAM-gdb.gdb and PROGRAM-gdb.py, and .debug_gdb_scripts."""
    pwned, exe = tmp_path / "pwned", tmp_path / "service"
    shutil.copy(build("plain"), exe)
    for name in (".gdbinit", ".gdbearlyinit", "service-gdb.gdb"):
        (tmp_path / name).write_text(touch(pwned))
    (tmp_path / "service-gdb.py").write_text(f"open({str(pwned)!r}, 'w')\n")
    script = short / "x.py"
    script.write_text(f"open({str(pwned)!r}, 'w')\n")
    # Go's linker names a script of its own there.
    name_script(exe, script)
    line = ["gdb", "-batch", "-iex", f"add-auto-load-safe-path {short}", str(exe)]
    subprocess.run(line, check=True, capture_output=True, env=os.environ | {"HOME": str(short)})
    assert pwned.exists(), "a gdb of the user's own runs what the program names"
    pwned.unlink()
    with start(exe) as running:
        env = environment() | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        line = [*COMMAND, str(running.pid), WORDS, "--memory", "gdb-mi"]
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert_running(running)
    assert not pwned.exists()


@NEEDS_GDB
def test_no_server_for_debug_information_is_asked(plain):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        server_address = f"http://127.0.0.1:{server.getsockname()[1]}"
        answer = cli(plain.pid, WORDS, "--memory", "gdb-mi", before=("env", f"DEBUGINFOD_URLS={server_address}"))
        assert (answer.code, answer.err) == (0, "")
        with pytest.raises(BlockingIOError):
            server.accept()


def test_nothing_is_imported_from_the_current_folder(tmp_path):
    for name in ("signal", "json", "numpy", "click", "contextlib"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\nraise SystemExit(9)\n")
    # The package itself must be found in some other way than by the current folder.
    paths = os.pathsep.join(path for path in sys.path if path)
    env = environment() | {"PYTHONPATH": os.pathsep.join((str(ROOT), paths))}
    line = [sys.executable, "-m", "inspector", "--version"]
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "pwned").exists()


# Files of our own


def test_what_is_unpacked_is_nobody_elses_to_read_and_has_no_name(core, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    archive = tmp_path / "core.zst"
    archive.write_bytes(pack(core.path.read_bytes(), "zst"))
    before = os.umask(0)
    try:
        with archive.open("rb") as file:
            unpacked = unpack(file, "core").file
    finally:
        os.umask(before)
    with unpacked:
        status = os.fstat(unpacked.fileno())
        assert (stat.S_IMODE(status.st_mode), status.st_nlink) == (0o600, 0)
    assert [each.name for each in tmp_path.iterdir()] == ["core.zst"]


@NEEDS_ROOT
def test_a_temporary_folder_that_is_full_is_said_to_be_full(core, tmp_path):
    archive, small = tmp_path / "core.zst", tmp_path / "small"
    archive.write_bytes(pack(core.path.read_bytes(), "zst"))
    small.mkdir()
    mounted = f'mount -t tmpfs -o size=64k none {small} || exit 99; TMPDIR={small} exec "$@"'
    answer = cli(archive, WORDS, before=("unshare", "-m", "sh", "-c", mounted, "sh"))
    if answer.code in (1, 99):
        pytest.skip(f"no mounts here: {answer.err.strip()}")
    assert_refused(answer, str(archive), "of the free room of the temporary folder", "TMPDIR", "--max-unpacked")


# Limits of our own


@pytest.mark.slow
def test_too_few_file_descriptors_are_said_to_be_too_few_and_the_target_is_not_said_to_have_ended(plain, core):
    for limit in (6, 8, 9):
        for target in (plain.pid, core.path):
            answer = cli(target, WORDS, before=("prlimit", f"--nofile={limit}"))
            # A little more or less is needed from release to release of Python: some of these may be answered.
            if answer.code:
                assert_refused(answer, "no more files can be opened", "ulimit -n")
    assert_running(plain)


@pytest.mark.slow
def test_without_any_standard_stream_the_exit_code_still_tells(plain, core):
    for target, code in ((plain.pid, 2), (999999999, 2), (core.path, 2)):
        script = f"exec {' '.join(COMMAND)} {target} {WORDS} <&- >&- 2>&-"
        assert subprocess.run(["sh", "-c", script], cwd=ROOT, env=environment()).returncode == code
    script = f"exec {' '.join(COMMAND)} {plain.pid} {WORDS} <&- 2>&-"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, "verdict: consistent" in done.stdout) == (0, True)


# Others who are there


@pytest.mark.slow
def test_a_second_inspector_waits_until_the_first_has_let_go_and_says_so(plain):
    life = Lifetime(plain.pid)
    tracer = Tracer(life)
    with tracer.holding():
        waiting = start_cli(plain.pid, WORDS)
        deadline = time.monotonic() + 20
        # It has loaded what it needs when it looks at the process for the first time.
        while f"/proc/{plain.pid}/mem" not in links_of(waiting.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        # A busy machine takes its time until it asks for the process; after 2 s it gives up.
        time.sleep(1.5)
        assert waiting.poll() is None
    answer = finish(waiting)
    tracer.close()
    life.close()
    assert answer.code == 0
    assert [note for note in answer.notes if f"until gomap-tracer (process {os.getpid()}) let go" in note], answer


@pytest.mark.slow
def test_a_second_inspector_gives_up_after_a_stated_time_and_names_the_first(plain):
    life = Lifetime(plain.pid)
    tracer = Tracer(life)
    with tracer.holding():
        answer = cli(plain.pid, WORDS)
    tracer.close()
    life.close()
    who = f"already traced by gomap-tracer (process {os.getpid()})"
    assert_refused(answer, who, "did not let go of it within 2 s", "--no-stop")
    assert_running(plain)


def links_of(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(descriptor))
    except OSError:
        pass
    return found


# Where processes may do less

BPF_LD_ABS, BPF_JEQ, BPF_RET = 0x20, 0x15, 0x06
SECCOMP_ERRNO, SECCOMP_ALLOW, EPERM = 0x50000, 0x7FFF0000, 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
PTRACE, PROCESS_VM_READV = 101, 310
"""Numbers of system calls."""


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse(number: int) -> None:
    """Let the kernel refuse one system call to this process and its children, as containers do (seccomp)."""
    steps = [(BPF_LD_ABS, 0, 0, 0), (BPF_JEQ, 0, 1, number), (BPF_RET, 0, 0, SECCOMP_ERRNO | EPERM)]
    code = b"".join(struct.pack("<HBBI", *step) for step in [*steps, (BPF_RET, 0, 0, SECCOMP_ALLOW)])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        os._exit(99)


def under_seccomp(number: int, *args: object) -> subprocess.CompletedProcess[str]:
    line = [*COMMAND, *map(str, args)]
    return subprocess.run(
        line, cwd=ROOT, env=environment(), capture_output=True, text=True, preexec_fn=lambda: refuse(number)
    )


def test_where_seccomp_refuses_to_read_a_process_its_memory_file_is_read(plain):
    done = under_seccomp(PROCESS_VM_READV, plain.pid, WORDS, "-v")
    assert done.returncode == 0
    assert "proc-mem" in done.stderr


def test_where_seccomp_refuses_to_trace_that_is_said_and_nothing_is_stopped(plain):
    done = under_seccomp(PTRACE, plain.pid, WORDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no permission to stop process {plain.pid}" in done.stderr
    assert under_seccomp(PTRACE, plain.pid, WORDS, "--no-stop").returncode == 0
    assert_running(plain)


@contextmanager
def elsewhere(*words: str) -> Iterator[int]:
    """Run the program in namespaces of its own; gives its pid here."""
    exe = build("plain")
    with subprocess.Popen(
        ["unshare", *words, str(exe)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            if not process.stdout.readline():
                pytest.skip(f"no namespaces here: {process.stderr.read().decode().strip()}")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(children[0]) if children else process.pid
        finally:
            process.stdin.close()
            process.kill()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not here")
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--pid", "--fork", "--mount-proc"), id="pid"),
        pytest.param(("--user", "--map-root-user"), id="user", marks=pytest.mark.slow),
        pytest.param(
            ("--user", "--map-root-user", "--pid", "--fork", "--mount", "--net"), id="all", marks=pytest.mark.slow
        ),
    ],
)
def test_a_process_in_namespaces_of_its_own_is_inspected(words):
    with elsewhere(*words) as pid:
        for more in ([WORDS], ["--no-stop"], []):
            answer = cli_here(pid, *more, "--json")
            assert answer.code == 0, answer
        assert_free(pid)


@pytest.mark.slow
@NEEDS_ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not here")
def test_a_user_who_is_not_root_inspects_processes_of_their_own_and_no_others(plain, tmp_path):
    user = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    if subprocess.run(
        [*user, sys.executable, "-c", "import numpy, inspector"], cwd=ROOT, capture_output=True
    ).returncode:
        pytest.skip("another user cannot read the Python of these tests")
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    exe = tmp_path / "service"
    shutil.copy(build("plain"), exe)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    with subprocess.Popen([*user, exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        own = cli(process.pid, WORDS, before=user)
        process.stdin.close()
        process.kill()
    if scope.exists() and scope.read_text().strip() != "0":
        assert_refused(own, "no permission", "ptrace_scope")
    else:
        assert own.code == 0, own
    assert_refused(cli(plain.pid, WORDS, before=user), "no permission", "same user")


# Targets in the middle of something


@pytest.mark.slow
def test_a_process_that_writes_its_core_dump_meanwhile_is_not_waited_for_without_end(tmp_path):
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("the kernel pipes cores to a program")
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with start(build("plain"), cwd=tmp_path, env={"GOTRACEBACK": "crash"}, core_limit=unlimited[0]) as running:
        running.send("crash")
        ended = False
        while not ended:
            began = time.monotonic()
            answer = cli_here(running.pid, WORDS)
            assert answer.code in (0, 2), answer
            assert time.monotonic() - began < 60
            ended = "ended" in answer.err or "there is no process" in answer.err
