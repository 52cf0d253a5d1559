"""What a target says of itself (names, paths, packages) never runs anything, in our gdb or in the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures import build, kernel_core, start
from inspector.cli.gdbsetup import NOT_IN_GDB, requirements
from inspector.control.gdbmi import GdbBridge
from inspector.errors import GdbError
from tests.support.commandline import assert_refused, cli, cli_here
from tests.support.gdbsession import gdb
from tests.support.hostile import rename, trapped_gdb

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

TYPE = ("--type", "map[string]int")
USER_SITE = "python import site; print(site.getusersitepackages())"


@pytest.fixture
def pwned(tmp_path) -> Path:
    """A file that must never appear."""
    return tmp_path / "pwned"


@pytest.fixture(params=[pytest.param("_run", marks=pytest.mark.slow), "_shell"])
def renamed(request, tmp_path, pwned) -> Callable[..., Path]:
    """Build a program whose symbol has a name that runs a command when it becomes a part of an expression."""

    def made(program: str, symbol: str, name: str) -> Path:
        call = f'${request.param}("touch {pwned}")'
        # What is left of the name behind the call has to be a symbol, too, or gdb refuses before it evaluates.
        names = {symbol: name.format(call=call), "runtime.printlock": "x/cache.words"}
        return rename(build(program), names, tmp_path / program)

    return made


def test_the_trap_that_these_tests_set_does_spring(pwned, tmp_path):
    line = [str(trapped_gdb(tmp_path)), "-nx", "-batch", "-ex", f'print 0 + $_run("touch {pwned}")']
    subprocess.run(line, check=True, capture_output=True)
    assert pwned.exists()


# Names of variables and functions


@pytest.mark.parametrize("mode", ["auto", "gdb-mi"])
@pytest.mark.parametrize("typed", [("cache.words[1]",), ("cache.words", *TYPE)], ids=" ".join)
def test_a_quote_in_the_name_of_a_variable_runs_nothing(renamed, pwned, tmp_path, mode, typed):
    with start(renamed("plain", "main.words", "main.words')+{call}+sizeof('x/cache.words")) as running:
        answer = cli_here(running.pid, *typed, "--memory", mode, "--gdb", trapped_gdb(tmp_path))
    assert not pwned.exists()
    assert_refused(answer, "there is no variable cache.words")


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("a'+{call}+'.fetch", "there is no function fetch"),
        ("a['+{call}+'].fetch", "no goroutine is in a[...].fetch now"),
    ],
)
def test_a_quote_in_the_name_of_a_function_runs_nothing(renamed, pwned, tmp_path, name, answered):
    with start(renamed("serving", "main.serve", name)) as running:
        answer = cli_here(running.pid, "fetch:sessions", "--gdb", trapped_gdb(tmp_path))
    assert not pwned.exists()
    assert_refused(answer, answered)


def test_gdb_is_asked_for_no_function_whose_name_has_a_quote_in_it(pwned, tmp_path):
    with build("plain").open("rb") as exe, GdbBridge(str(trapped_gdb(tmp_path)), (exe.fileno(),)) as bridge:
        bridge.open_executable(exe.fileno())
        names = [f"""x' *$_run("touch {pwned}")""", f"""'*$_run("touch {pwned}")""", "x\n", "main.main"]
        assert bridge.prepare_frames([(name, 0) for name in names]) == ["main.main"]
    assert not pwned.exists()


def test_the_plugin_offers_and_evaluates_no_name_with_a_quote_in_it(renamed, pwned, tmp_path):
    with start(renamed("plain", "main.words", "main.x'+{call}+'/cache.words")) as running:
        refused, listed, completed, usable = gdb(
            "info gomap cache.words", "info gomaps", "complete info gomap main.x", "print 1 + 1",
            on=("-ix", trapped_gdb(tmp_path).with_name("trap.py"), "-p", running.pid),
        )  # fmt: skip
    assert "there is no variable cache.words" in refused
    for said in (listed, completed):
        assert "touch" not in said
    assert usable == "$1 = 2"
    assert not pwned.exists()


# Paths

ODD = """it's "a" $(touch {0}) `touch {0}`;touch {0}\n-interpreter-exec console "shell touch {0}\""""


def test_a_core_of_any_name_and_an_executable_of_any_name_are_opened_by_gdb(tmp_path):
    folder = tmp_path / ODD.format("pwned")
    folder.mkdir()
    exe = Path(shutil.copy(build("plain"), folder / "ex'e"))
    core = kernel_core(exe, directory=folder)
    answer = cli_here(core.path, "main.words", "--memory", "gdb-mi", "--key", "two")
    assert (answer.code, answer.err) == (0, "")
    assert "found in cell" in answer.out
    assert not list(tmp_path.rglob("pwned"))


# What gdb does by itself


def test_functions_of_gdb_that_run_commands_are_off(pwned):
    with GdbBridge() as bridge:
        with pytest.raises(GdbError, match="does not let gdb run commands"):
            bridge.command(f'-data-evaluate-expression "$_shell(\\"touch {pwned}\\")"')
        assert bridge.command("-data-evaluate-expression 1+1")["value"] == "2"
    assert not pwned.exists()


@pytest.mark.slow
def test_packages_of_the_user_do_not_run_in_our_gdb(tmp_path, pwned):
    home = {"HOME": str(tmp_path)}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | home
    ask = ["gdb", "-nx", "-batch", "-ex", USER_SITE]
    site = Path(subprocess.run(ask, check=True, capture_output=True, text=True, env=plain).stdout.strip())
    site.mkdir(parents=True)
    for name in ("usercustomize", "sitecustomize", "json", "bisect"):
        (site / f"{name}.py").write_text(f"open({str(pwned)!r}, 'w')\n")
    subprocess.run(ask, check=True, capture_output=True, env=plain)
    assert pwned.exists(), "a gdb of the user's own runs it"
    pwned.unlink()
    with start(build("handlers")) as running:
        answer = cli(running.pid, "main.argument:sessions", before=("env", f"HOME={tmp_path}"))
        assert (answer.code, answer.err) == (0, "")
        assert not pwned.exists()
        refused = cli("--gdb-setup", before=("env", f"HOME={tmp_path}", "PIP_NO_INDEX=1", "PIP_FIND_LINKS="))
        assert refused.code == 2
    assert not pwned.exists()


@pytest.mark.slow
def test_setting_gdb_up_imports_nothing_from_the_current_folder(tmp_path, pwned):
    for name in ("pip", "packaging", "numpy", "gdb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(pwned)!r}, 'w')\n")
    installed = Path(sys.executable).with_name("go-map-inspect")
    assert installed.exists()
    # pip has nowhere to fetch from: it must be the real one that says so.
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run([installed, "--gdb-setup"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip cannot fetch the packages for Python 3." in done.stderr
    assert "No matching distribution found" in done.stderr
    assert not pwned.exists()


@pytest.mark.parametrize("python", ["3.11", "3.13", "3.14", "3.15"])
def test_what_gdb_needs_is_the_same_for_every_python_inside_of_it(python):
    names = [needed.name for needed in requirements(python)]
    assert names == ["construct", "numpy", "pyelftools", "pygdbmi", "rich"]


def test_nothing_inside_of_gdb_imports_packages_that_it_is_not_given():
    modules = ["backports.zstd", "click", "lz4", "packaging", "rich_click"]
    assert {name.replace("_", "-").replace(".", "-") for name in modules} == NOT_IN_GDB
    registered, loaded = gdb(
        "help info gomap", f"python import sys; print([name for name in {modules} if name in sys.modules])"
    )
    assert registered.startswith("Decode a Go map")
    assert loaded == "[]"
