"""What is loaded before the program answers: help and refusals wait for nothing that decodes, a map for its own part.

Modules are counted, and no time is measured. Those of Python itself are among them, so limits have room for releases.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, USUAL
from tests.support.commandline import assert_running

HEAVY = {"numpy", "construct", "elftools", "pygdbmi", "inspector.census", "inspector.maps", "inspector.inspection"}
DRAWING = {"rich.console", "rich.table"}
UNASKED = {
    "inspector.census", "inspector.coredump", "inspector.api", "inspector.cli.demo", "pandas",
    # gdb, and what understands it
    "pygdbmi", "subprocess", "inspector.control.gdbmi", "inspector.naming.frames",
    # cores, and files of other machines
    "inspector.memory.corefile", "inspector.memory.elfnotes", "inspector.memory.packed", "elftools.elf.elffile",
    # processes that are copied whole, and maps that nothing but their keys can prove
    "inspector.copying.plan", "inspector.copying.mappings", "inspector.maps.damaged",
    "secrets",
    # what np.unique and np.isin load, names that are nearly right, maps of another kind
    "numpy.ma", "difflib", "inspector.maps.syncmap",
}  # fmt: skip
"""What no ordinary map of a live process needs."""

IN_COLUMNS = {"inspector.inspection.columns", "inspector.gotypes.columns"}
"""What writes many entries."""

MOST_FOR_HELP, MOST_FOR_A_REFUSAL, MOST_FOR_A_MAP = 245, 195, 580
FAMILIES = {"inspector.maps.classic", "inspector.maps.swiss"}


def loaded(*arguments: object) -> tuple[int, set[str]]:
    """The exit code of the program, and the names of all modules that it loaded."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "inspector", *map(str, arguments)], capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.pure
@pytest.mark.parametrize("arguments", [["--help"], ["diff", "--help"], ["demo", "-h"]])
def test_help_loads_nothing_that_decodes_and_asks_no_package_for_its_version(arguments: list[str]) -> None:
    ended, modules = loaded(*arguments)
    assert ended == 0
    assert modules >= DRAWING
    assert modules & (HEAVY | {"importlib.metadata"}) == set()
    assert len(modules) < MOST_FOR_HELP


@pytest.mark.pure
def test_the_version_loads_nothing_that_decodes_and_nothing_that_draws_help() -> None:
    ended, modules = loaded("--version")
    assert ended == 0
    assert modules & (HEAVY | DRAWING) == set()
    assert "importlib.metadata" in modules


@pytest.mark.pure
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["4090", "--no-such-option"],
        ["4090", "main.sessions", "--json", "--ndjson"],
        ["4090", "--entries", "many"],
        ["4194304"],
        ["4194304", "main.sessions"],
        ["no/such/core"],
        ["diff", "demo", "no/such/file"],
    ],
)
def test_refusals_load_nothing_that_decodes_and_nothing_that_draws_help(arguments: list[str]) -> None:
    ended, modules = loaded(*arguments)
    assert ended == 2
    assert modules & (HEAVY | DRAWING) == set()
    assert len(modules) < MOST_FOR_A_REFUSAL


@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def test_a_map_loads_its_own_family_and_its_own_output_alone(run, toolchain) -> None:
    running = run("elements", toolchain)
    other = FAMILIES - {f"inspector.maps.{'swiss' if toolchain == SWISS_RELEASES[-1] else 'classic'}"}
    for option, output, not_asked in (
        ("--json", "inspector.report.json.one_map", {"rich.console", "inspector.report.text.one_map"}),
        ("--verbose", "inspector.report.text.one_map", {"inspector.report.json.one_map"} | IN_COLUMNS),
    ):
        ended, modules = loaded(running.pid, "main.points", option)
        assert ended == 0
        assert output in modules
        assert modules >= HEAVY - {"inspector.census", "pygdbmi"}
        assert modules & (UNASKED | other | not_asked) == set()
        assert len(modules) < MOST_FOR_A_MAP
    assert_running(running)


WATCHING = """
import sys
from pathlib import Path
from contextlib import contextmanager
from inspector.target.run import Run

held, loaded = Run.held, []


@contextmanager
def watched(*args, **options):
    with held(*args, **options) as value:
        before = set(sys.modules)
        yield value
        loaded.append(sorted(set(sys.modules) - before))


Run.held = watched
from inspector.cli.command import main

try:
    main(sys.argv[1:])
finally:
    print("\\n" + repr(loaded))
"""
"""Runs the program, and says in the end what was loaded during each stop."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("elements", ["main.users", "--key", '"ann"', "--json"]),
        ("elements", ["main.users", "--memory", "gdb-mi"]),
        ("elements", ["main.users", "--retained"]),
        ("elements", ["--duplicates"]),
        ("syncmaps", ["main.many"]),
        ("syncmaps", ["main.many", "--key", '"key-7"']),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words),
)
def test_nothing_is_loaded_while_a_process_is_held(run, program, arguments) -> None:
    running = run(program, USUAL)
    done = subprocess.run(
        [sys.executable, "-c", WATCHING, str(running.pid), *arguments], capture_output=True, text=True
    )
    stops = ast.literal_eval(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert len(stops) > 0
    assert [names for names in stops if names] == []
    assert_running(running)


AT_WORK = """
import atexit, gc, os, sys
from inspector.__main__ import main

seen = []


def ended():
    print(seen, len(os.listdir("/proc/self/task")), file=sys.stderr, flush=True)


def loaded(event, arguments):
    if event == "import" and arguments[0] == "inspector.cli.arguments":
        seen.append(gc.isenabled())
    if event == "import" and arguments[0] == "inspector.inspection.one_map":
        seen.append((gc.isenabled(), gc.get_freeze_count() > 1000))


atexit.register(ended)
sys.addaudithook(loaded)
main()
"""
"""Runs the program, and says when the garbage collector was on, and how many threads there are in the end."""


@pytest.mark.pure
def test_nothing_is_collected_while_modules_are_loaded_and_numpy_has_no_threads_of_its_own() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", AT_WORK, "demo", "--json"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "consistent"
    assert done.stderr.splitlines()[-1] == "[False, (True, True)] 1"


@pytest.mark.pure
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["demo"], ["demo", "--json"]], ids=" ".join)
def test_a_full_disk_is_noticed(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "inspector", *arguments], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr


@pytest.mark.pure
@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_entries_are_exported_without_loading_pandas(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    ended, modules = loaded("demo", "main.sessions", "--export", tmp_path / f"sessions.{ending}")
    assert ended == 0
    assert "pyarrow" in modules
    assert "pandas" not in modules
