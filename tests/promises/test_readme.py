"""What the README shows works as shown."""

from __future__ import annotations

import ast
import doctest
import io
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.exceptions import Exit
from click.testing import CliRunner

import inspector
from inspector import inspect, open_target
from inspector.cli.command import command

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = "go-map-inspect"
PID_OF_THE_PYTHON_BLOCK = "25114"


def blocks(text: str) -> list[str]:
    """The indented blocks of a page, without their indentation."""
    found = re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", text, re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found]


def python_block() -> str:
    """The README's example of the Python API."""
    [block] = [block for block in blocks(README) if block.startswith("from inspector import")]
    return block


def command_lines() -> list[str]:
    """Every go-map-inspect command line of the README and the pages: in blocks, and between backticks in a line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = [line.removeprefix("$ ") for block in blocks(text) for line in block.splitlines()]
        lines = [line.rpartition("bin/")[2] if f"bin/{PROGRAM} " in line else line for line in lines]
        found += [line for line in lines if line.startswith(f"{PROGRAM} ")]
        found += re.findall(rf"\$\(({PROGRAM} [^)]*)\)", text)
        found += [re.sub(r"\[(--[^]]*)\]", r"\1", line) for line in re.findall(rf"`({PROGRAM} [^`]*)`", text)]
    return list(dict.fromkeys(found))


def arguments(line: str) -> list[str]:
    """The words of a command line as a shell gives them, up to a redirection."""
    words = shlex.split(line.replace("<pid>", PID_OF_THE_PYTHON_BLOCK), comments=True)[1:]
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.pure
def test_every_option_of_the_help_is_in_the_readme():
    shown = CliRunner().invoke(command, ["--help"]).output
    options = set(re.findall(r"--[a-z-]+", shown)) - {"--help", "--version"}
    assert len(options) >= 9
    assert {option for option in options if f"`{option}" not in README} == set()


@pytest.mark.pure
def test_the_readme_shows_many_command_lines():
    assert len(command_lines()) > 20


@pytest.mark.pure
@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_of_the_pages_is_one_that_the_program_takes(line):
    # A help is shown while the line is read.
    with pytest.raises(Exit) if "--help" in line else nullcontext():
        command.make_context(PROGRAM, arguments(line))


@pytest.mark.pure
@pytest.mark.parametrize("name", sorted(set(re.findall(r"python -m ([\w.]+)", "".join(p.read_text() for p in PAGES)))))
def test_a_module_that_the_pages_run_exists(name):
    assert find_spec(name) is not None


@pytest.mark.pure
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    rooms = r"\.ci|inspector|gdb_plugin|fixtures|tests|benchmarks|docs|changes"
    named = set(re.findall(rf"[`(]((?:{rooms})/[\w./+-]*)", page.read_text()))
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.pure
def test_make_shows_every_task_that_the_pages_name():
    shown = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        task for page in PAGES for task in re.findall(r"(?:^ {4}|`)make ([a-z]+)\b", page.read_text(), re.MULTILINE)
    }
    assert named <= shown


@pytest.mark.pure
def test_the_public_names_can_be_imported_first_of_all():
    code = "from inspector import Entry, Inspection, Target, inspect, open_target; print(inspect.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("inspect\n", "")


@pytest.mark.pure
def test_the_entry_module_loads_next_to_nothing_before_ctrl_c_is_handled():
    code = (
        "import sys, os, signal; known = set(sys.modules); import inspector.__main__; print(set(sys.modules) - known)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ast.literal_eval(done.stdout) == {"__future__", "inspector", "inspector.__main__"}


def test_the_python_block_of_the_readme_prints_what_the_program_has(run, monkeypatch):
    running = run("demo")
    told = running.map("sessions")

    def opened(pid, **options):
        assert pid == PID_OF_THE_PYTHON_BLOCK
        return open_target(str(running.pid), **options)

    monkeypatch.setattr(inspector, "open_target", opened, raising=False)
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(python_block(), "README.md", "exec"), {})
    first, *lines = out.getvalue().splitlines()
    assert first.startswith(f"consistent {told['len']} double, ")
    entries, maps = lines[: told["len"]], lines[told["len"] :]
    # Each line is KEY ELEMENT PLACE.
    told_of = (re.fullmatch(r'"(session-\d+)" (\d+) (?:old|new) array, .*', line) for line in entries)
    shown = {found[1]: int(found[2]) for found in told_of if found}
    assert shown == {entry["key"]: entry["value"] for entry in told["entries"]}
    assert any(line.startswith(f"main.sessions map[string]int {told['len']} ") for line in maps)


def test_the_session_of_the_readme_prints_what_it_shows(run, monkeypatch):
    running = run("demo")

    def opened(pid):
        assert str(pid) == PID_OF_THE_PYTHON_BLOCK
        return open_target(running.pid)

    monkeypatch.setattr(inspector, "open_target", opened, raising=False)
    [session] = [block for block in blocks(README) if block.startswith(">>> ")]
    examples = doctest.DocTestParser().get_doctest(session, {}, "README.md", "README.md", 0)
    assert len(examples.examples) == 5
    said = io.StringIO()
    doctest.DocTestRunner(verbose=False).run(examples, out=said.write)
    assert said.getvalue() == ""


def test_an_inspection_can_be_used_after_its_target_is_closed(run):
    with open_target(str(run().pid)) as target:
        inspection = inspect(target, "main.doubleMiddle")
    assert (inspection.judgement.verdict, inspection.account.state[:6]) == ("consistent", "double")
    assert inspection.account.live == len(list(inspection.entries())) == run().map("double_middle")["len"]
