"""Running the real command line, and looking at what it left of its target."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fixtures import Running
from inspector.cli.command import main
from inspector.control.waiting import INTERRUPTIONS
from tests.support.promised import promised

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "inspector"]
PREFIX = "go-map-inspect: "
PATIENCE = 60.0
ANSWERED = (0, 1, 3)


@dataclass(frozen=True)
class Answer:
    """How a run of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output, which keeps the promise of the schema that it names."""
        return promised(self.out)

    @property
    def notes(self) -> list[str]:
        """The notes on standard error, of a run that succeeded."""
        mark = f"{PREFIX}note: "
        return [line.removeprefix(mark) for line in self.err.splitlines() if line.startswith(mark)]


@cache
def environment() -> dict[str, str]:
    """What a person's environment is like: with compiled modules, kept out of the source tree.

    A stop may take long: a busy machine takes longer than the usual 0.2 s.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled = Path(tempfile.gettempdir()) / f"go-map-inspect-tests-{os.getuid()}"
    return kept | {"PYTHONPYCACHEPREFIX": str(compiled), "GO_MAP_INSPECT_MAX_STOP": f"{PATIENCE:.0f}s"}


def start_cli(*args: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the command line, behind the words of `before` (setpriv and the like)."""
    return subprocess.Popen(
        [*before, *COMMAND, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )


def finish(process: subprocess.Popen[str]) -> Answer:
    """Wait for the command line to end."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert isinstance(process.args, list)
    return _promised(Answer(process.returncode, out, err), process.args)


def _promised(answer: Answer, words: Sequence[object]) -> Answer:
    """The answer, held against the schema if it is a document."""
    if answer.out and answer.code in ANSWERED and {"--json", "--ndjson"}.intersection(words):
        assert answer.document
    return answer


def cli(*args: object, before: Sequence[str] = ()) -> Answer:
    """Run the command line to its end."""
    return finish(start_cli(*args, before=before))


def cli_here(*args: object) -> Answer:
    """Run the command line in this process: the same program without an interpreter of its own, which costs 0.5 s.

    Tests that kill it, change its user or limits, or look at what it leaves behind start it with `cli`.
    """
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", ["go-map-inspect", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # --verbose.
    rooms = logging.getLogger("inspector")
    rooms.handlers.clear()
    rooms.setLevel(logging.NOTSET)
    assert isinstance(ended.value.code, int)
    return _promised(Answer(ended.value.code, out.getvalue(), err.getvalue()), args)


def each_here(runs: Iterable[Sequence[object]]) -> list[Answer]:
    """Run several command lines in this process, one after the other."""
    return [cli_here(*args) for args in runs]


def assert_refused(answer: Answer, *words: str, code: int = 2) -> None:
    """One clear line, which has all these words in it, and nothing else."""
    lines = answer.err.splitlines()
    assert answer.code == code, answer
    assert answer.out == "", answer
    assert len(lines) == 1, answer
    assert lines[0].startswith(PREFIX), answer
    assert "internal error" not in lines[0], answer
    assert len(lines[0]) < 1100, answer
    for word in words:
        assert word.lower() in lines[0].lower(), (word, lines[0])


def thread_states(pid: int) -> list[tuple[str, int]]:
    """(state, tracer) of every thread."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            lines = (task / "status").read_text(errors="replace").splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            found.append((fields["State"].strip()[0], int(fields["TracerPid"])))
    return found


def assert_free(pid: int) -> None:
    """No thread is traced or stopped."""
    states = thread_states(pid)
    assert states
    assert not [each for each in states if each[1] or each[0] in "Tt"], states


def assert_free_soon(pid: int) -> None:
    """No thread is traced or stopped once those who hold them have been killed, or have let them go."""
    deadline = time.monotonic() + 20
    while any(tracer or state in "Tt" for state, tracer in thread_states(pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert_free(pid)


def assert_stopped(pid: int) -> None:
    """Every thread is stopped by a signal, and none is traced.

    The kernel wakes threads that are let go. They stop again before they execute anything of their own, as soon as
    they get a processor.
    """
    deadline = time.monotonic() + 2
    while set(states := thread_states(pid)) != {("T", 0)}:
        assert time.monotonic() < deadline, states
        time.sleep(0.001)


def assert_running(running: Running) -> None:
    """The process runs as before and answers."""
    assert_free(running.pid)
    assert running.ask("truth")["pid"] == running.pid


def children_of(pid: int) -> set[int]:
    """The child processes of a process, gdb above all."""
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()


def gdbs_of(pid: int) -> set[int]:
    """The gdbs that a process has started, without its other helpers."""
    found = set()
    for child in children_of(pid):
        with suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().startswith("gdb"):
                found.add(child)
    return found


def is_there(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pids: Iterable[int], seconds: float) -> set[int]:
    """Wait for processes to end; returns those that are still there."""
    deadline = time.monotonic() + seconds
    left = set(pids)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if is_there(pid)}
        time.sleep(0.01)
    return left


def catches_sigterm(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM, by the kernel's word."""
    with open(f"/proc/{pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def assert_one_line_at_most(answer: Answer) -> None:
    assert len(answer.err.splitlines()) <= 1, answer
    assert "internal error" not in answer.err, answer
