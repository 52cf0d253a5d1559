"""What a user who waits sees: one line on a real terminal, which is gone when the answer comes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fixtures import USUAL
from inspector import inspect, look_up, open_target, take_census
from inspector.control.hold import Clock
from inspector.coredump import write_core
from inspector.report.text.progress import CLEAR
from inspector.watching import Phase, Work, watched
from tests.support.commandline import ROOT, Answer, assert_running, environment
from tests.support.gdbsession import gdbserver

AT_ONCE = """
import inspector.report.text.progress as progress
progress.PATIENCE, progress.PERIOD = {patience}, 0.0005
from inspector.cli.command import main
main()
"""
"""The command line, which shows a bar after `patience` seconds, and looks at the work a thousand times a second."""


def on_terminal(
    *args: object, patience: float = 0.0, interrupted: bool = False, **variables: str
) -> tuple[Answer, str]:
    """Run the command line with its standard error on a pty; returns its answer, and what the terminal was sent.

    `interrupted` sends it Ctrl-C when the terminal has been sent anything.
    """
    parent, child = pty.openpty()
    received: list[bytes] = []

    def listen() -> None:
        try:
            while piece := os.read(parent, 1 << 16):
                if interrupted and not received:
                    process.send_signal(signal.SIGINT)
                received.append(piece)
        except OSError:
            pass  # So a pty ends on Linux.

    process = subprocess.Popen(
        [sys.executable, "-c", AT_ONCE.format(patience=patience), *map(str, args)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=child, cwd=ROOT, text=True,
        env=environment() | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | variables,
    )  # fmt: skip
    os.close(child)
    listener = threading.Thread(target=listen)
    listener.start()
    out, _ = process.communicate()
    listener.join()
    os.close(parent)
    shown = b"".join(received).decode().replace("\r\n", "\n")
    return Answer(process.returncode, out, ""), shown


def lines_of(shown: str) -> list[str]:
    """The lines that stood on the terminal one after the other; fails where the last is still there."""
    pieces = shown.split(CLEAR)
    assert len(pieces) > 2, shown
    assert pieces[-1] == "" or pieces[-1].startswith("go-map-inspect: note: "), shown[-300:]
    return pieces[1:-1]


SAID = re.compile(r"[A-Z]\w+ .*\b\d+ s\b")
"""What every line is: what is done, and for how long."""

TRIES = 8
"""How often a run is looked at for a phase that a busy machine may let pass unseen."""


def assert_shows(shown: str) -> None:
    """There was a line at least that says what is done, and none is wider than the terminal."""
    lines = [line for line in lines_of(shown) if line]
    assert lines
    assert [line for line in lines if not SAID.match(line)] == []
    assert max(map(len, lines)) < 80


def seen(wanted: str, *args: object, encoding: str = "utf-8") -> str:
    """What a terminal was sent by the first of a few runs in which a pattern is found; fails where none has it."""
    for _ in range(TRIES):
        answer, shown = on_terminal(*args, PYTHONIOENCODING=encoding)
        assert answer.code == 0
        if re.search(wanted, shown):
            return shown
    raise AssertionError(shown)


def on_terminal_interrupted(*args: object) -> tuple[Answer, str]:
    """The first of a few runs that was interrupted: on a busy machine Ctrl-C may come when all has been said."""
    for _ in range(TRIES):
        answer, shown = on_terminal(*args, interrupted=True)
        if answer.code != 0:
            break
    return answer, shown


def test_one_map_of_a_compressed_core():
    shown = seen(r"Unpacking the core dump [━─]+ [\d.]+ (B|KiB) of 48.6 KiB, \d+ s", "demo")
    assert_shows(shown)
    assert "process held" not in shown


def test_a_comparison_as_a_document_on_a_pipe():
    answer, shown = on_terminal("demo", "--diff", "--json", NO_COLOR="1")
    assert answer.document["diff"]["matched_by"] == "name"
    assert_shows(shown)
    assert set(re.findall(r"\x1b\[[\d;]*[A-Za-z]", shown)) == {"\x1b[K"}


class Recorder(Work):
    """Remembers every phase: those that are shorter than a look at them may be missed on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def begin(self, phase: Phase) -> None:
        """See Work."""
        super().begin(phase)
        self.said.append(phase.words)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (take_census, ["Copying memory", "Scanning the heap", "Checking maps"]),
        (lambda target: inspect(target, "main.byUser"), ["Reading types", "Hashing keys and checking the map"]),
        (lambda target: look_up(target, "main.byUser", "x"), ["Reading types", "Looking the key up"]),
    ],
    ids=["census", "map", "key"],
)
def test_who_works_on_a_process_says_what_is_done_and_how_long_it_is_held(work, said, run):
    recorder = Recorder()
    with open_target(str(run("secrets", USUAL).pid), memory="direct") as target, watched(recorder):
        work(target)
    assert set(said) <= set(recorder.said)
    assert 0 < recorder.held(time.perf_counter()) < 60


@pytest.mark.parametrize("words", [["--json"], ["main.byUser", "--memory", "gdb-mi"]], ids=["census", "gdb"])
def test_a_process(words, run):
    answer, shown = on_terminal(run("secrets", USUAL).pid, *words)
    assert answer.code == 0
    assert_shows(shown)


def test_a_snapshot(run, tmp_path: Path):
    for name in ("core", "core.zst"):
        recorder = Recorder()
        with open_target(str(run("secrets", USUAL).pid), memory="direct") as target, watched(recorder):
            write_core(target, tmp_path / name, zstd=name.endswith("zst"))
        what = "Compressing" if name.endswith("zst") else "Writing"
        assert recorder.said == ["Copying memory", f"{what} the core dump"]
    answer, shown = on_terminal("snapshot", run("secrets", USUAL).pid, "-o", tmp_path / "another")
    assert answer.code == 0
    assert_shows(shown)


@pytest.mark.slow
def test_a_gdbserver(run):
    with gdbserver(run("secrets", USUAL)) as place:
        answer, shown = on_terminal("--remote", place, "main.byUser")
    assert answer.code == 0
    assert_shows(shown)


def test_a_long_answer_on_a_pipe(run):
    answer, shown = on_terminal(run("secrets", USUAL).pid, "main.byUser", "--entries", "all", "--ndjson")
    assert len(answer.out.splitlines()) == 31
    assert_shows(shown)


def test_an_export(run, tmp_path: Path):
    path = tmp_path / "texts.csv"
    words = "main.manyTexts", "--export", path, "--force", "--max-stop", "30s"
    assert_shows(seen("Writing entries .* of 20,001", run("columns", USUAL).pid, *words))
    assert len(path.read_text().splitlines()) == 20_002


def test_an_interrupted_export_leaves_no_file(run, tmp_path: Path):
    running = run("columns", USUAL)
    answer, _ = on_terminal(running.pid, "main.manyPeople", "--export", tmp_path / "people.csv", interrupted=True)
    assert (answer.code, answer.out, list(tmp_path.iterdir())) == (130, "", [])
    assert_running(running)


def test_an_interruption_takes_the_bar_away(run):
    running = run("secrets", USUAL)
    answer, shown = on_terminal_interrupted(running.pid)
    assert (answer.code, answer.out) == (130, "")
    assert shown.rpartition(CLEAR)[2].startswith("go-map-inspect: Interrupted.")
    assert_running(running)


def test_an_error_stands_where_the_bar_was():
    _, shown = on_terminal("demo", "main.nothing")
    assert shown.count("go-map-inspect: there is no variable main.nothing") == 1
    assert shown.rpartition(CLEAR)[2].startswith("go-map-inspect: there is no variable")


def test_nothing_is_shown_of_what_is_quick():
    assert on_terminal("demo", patience=1000.0)[1] == ""


def test_nothing_is_shown_where_a_line_cannot_be_taken_back_or_others_are_written():
    assert on_terminal("demo", TERM="dumb")[1] == ""
    assert CLEAR not in on_terminal("demo", "-v")[1]


def test_a_terminal_without_such_characters_gets_others():
    assert seen(r"Unpacking the core dump [#.]+ ", "demo", encoding="ascii")


def test_a_clock_counts_the_stop_that_is_under_way():
    clock = Clock()
    clock.add(1.0, 1.5, 0.0)
    assert clock.so_far(9.0) == 0.5
    clock.began = 8.0
    assert clock.so_far(9.0) == 1.5
    assert clock.total == 0.5
