"""docs/python.md prints what it shows: its examples run on the demo core, and on a real process."""

from __future__ import annotations

import doctest
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inspector import Target, open_target
from tests.support.demo import Demo

PAGE = (Path(__file__).parent.parent.parent / "docs/python.md").read_text()
OF_A_PROGRAM = "### Values"
"""The part whose examples are of the program `elements`: the demo has only one map of its own."""


def examples_of(text: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(text)


def parts() -> dict[bool, str]:
    """The page in two, by whether it is about the program."""
    found = {True: "", False: ""}
    for part in re.split(r"^(?=##)", PAGE, flags=re.MULTILINE):
        found[part.startswith(OF_A_PROGRAM)] += part
    return found


def said_otherwise(examples: list[doctest.Example], names: Mapping[str, Any]) -> str:
    """What doctest has to say of the examples: nothing where they print what they show."""
    test = doctest.DocTest(examples, dict(names), "python.md", "python.md", 0, None)
    said = io.StringIO()
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=said.write)
    return said.getvalue()


@pytest.mark.pure
def test_the_examples_of_the_demo_print_what_the_page_shows(demo: Demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = examples_of(parts()[False])
    assert len(examples) > 15
    assert said_otherwise(examples, {"target": Target(**vars(demo.target))}) == ""


def test_the_examples_of_values_print_what_the_page_shows(run):
    examples = examples_of(parts()[True])
    assert len(examples) > 5
    with open_target(run("elements").pid, memory="direct") as target:
        assert said_otherwise(examples, {"target": target}) == ""


@pytest.mark.pure
def test_an_example_that_prints_something_else_is_seen():
    assert "Expected" in said_otherwise(examples_of(">>> 1 + 1\n3\n"), {})
