"""Messages and hints below the front ends name no option; each front end spells the hints in its own words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import inspector
from inspector.cli.command import command
from inspector.cli.hints import OPTIONS
from inspector.errors import PYTHON, Hint, NotAMap, Spelling, UsageError

ROOT = Path(inspector.__file__).parent
FLAGS = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def files() -> Iterator[Path]:
    """The modules of every room below the command line."""
    yield from (path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "cli")


@cache
def parsed(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text())


def strings(tree: ast.AST) -> Iterator[str]:
    """Every string constant, docstrings left out."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def hints(tree: ast.AST) -> Iterator[str]:
    """The template of every Hint that is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hint":
            template = node.args[0]
            assert isinstance(template, ast.Constant), ast.unparse(node)
            assert isinstance(template.value, str), ast.unparse(node)
            yield template.value


def options_in(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", text)) & FLAGS


@pytest.mark.slow
def test_no_room_below_the_command_line_names_one_of_its_options():
    assert {"--type", "--exe", "--no-stop", "--max-stop"} <= FLAGS
    found = {
        (str(path.relative_to(ROOT)), text)
        for path in files()
        for text in strings(parsed(path))
        if options_in(text) or "go-map-inspect TARGET" in text
    }
    assert found == set()


def test_the_check_itself_sees_an_option():
    tree = ast.parse('def f():\n    """--exe in a docstring"""\n    raise E(f"{x}: name it with --exe")')
    assert [text for text in strings(tree) if options_in(text)] == [": name it with --exe"]


@pytest.mark.parametrize("spelling", [OPTIONS, PYTHON], ids=["options", "python"])
def test_every_hint_can_be_spelled_by_every_front_end(spelling):
    made = [hint for path in files() for hint in hints(parsed(path))]
    assert len(made) > 20
    for text in made:
        assert "{" not in Hint(text).spelled(spelling), text


def test_a_hint_is_spelled_as_options_and_as_parameters():
    error = UsageError("it stops", Hint("leave {no_stop} or {gdb_mi} out"))
    assert error.spelled(OPTIONS) == "it stops (leave --no-stop or --memory gdb-mi out)"
    assert str(error) == "it stops (leave stop=False or memory='gdb-mi' out)"
    assert str(NotAMap("it is {odd}", "a {plain} sentence")) == "it is {odd} (a {plain} sentence)"


def test_all_spellings_say_all_there_is_to_say():
    assert {name for name, value in vars(OPTIONS).items() if not value} == set()
    assert vars(OPTIONS).keys() == vars(PYTHON).keys() == Spelling.__dataclass_fields__.keys()
