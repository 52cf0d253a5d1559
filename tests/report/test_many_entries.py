"""Many entries in text look as few do, and are written without holding all of them."""

from __future__ import annotations

import io
import json

import pytest

from fixtures import SWISS_RELEASES, USUAL
from inspector.cli.consoles import PIPE_WIDTH
from inspector.gotypes.redaction import Redactor, redacting
from inspector.inspection.one_map import inspect
from inspector.report.text.console import EscapingConsole
from inspector.report.text.entries import LARGEST_TABLE, print_entries
from inspector.report.text.entry_lines import print_lines
from inspector.report.text.lines import WithoutTrailingBlanks
from inspector.target.opening import open_target
from tests.support.commandline import cli_here
from tests.support.measuring import measured

FAMILIES = [pytest.param(toolchain, id=toolchain.name) for toolchain in (USUAL, SWISS_RELEASES[-1])]


def printed(show, inspection) -> str:
    out = io.StringIO()
    show(inspection, EscapingConsole(file=WithoutTrailingBlanks(out), width=PIPE_WIDTH))
    return out.getvalue().lstrip("\n")


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", FAMILIES)
def test_lines_of_many_entries_are_those_of_the_table_of_few(run, toolchain):
    running = run("columns", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            shown = min(state["len"], 300)
            inspection = inspect(target, state["variable"], state["type"], shown, max_stop=None)
            if shown:
                assert printed(print_lines, inspection) == printed(print_entries, inspection), state["name"]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_lines_of_hidden_entries_are_those_of_the_table_and_have_no_value(run, toolchain):
    running = run("secrets", toolchain)
    with open_target(str(running.pid), memory="direct") as target, redacting(Redactor.random()):
        for state in running.truth["maps"]:
            inspection = inspect(target, state["variable"], state["type"], entries=None, max_stop=None)
            if state["len"]:
                lines = printed(print_lines, inspection)
                assert lines == printed(print_entries, inspection), state["name"]
                assert "zqsecret" not in lines


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_all_entries_of_a_large_map_are_printed_in_text(run, toolchain):
    running = run("columns", toolchain)
    answer = cli_here(running.pid, "main.manyTexts", "--entries", "all", "--max-stop", "30s")
    assert answer.code == 0
    lines = answer.out.splitlines()
    title = lines.index("entries (20,001)")
    rows = lines[title + 2 : title + 2 + 20001]
    assert len(rows) > LARGEST_TABLE
    found = dict(row.split()[-2:] for row in rows if "not plain" not in row)
    assert found == {json.dumps(f"key-{i}"): json.dumps(f"value-{i}") for i in range(20000)}
    assert next(row for row in rows if "not plain" in row).endswith(r'"\"\xfe\""')
    # Nothing is lost behind them.
    assert lines[-1].startswith("process paused")


def test_all_entries_in_text_take_little_more_memory_than_none(run):
    pid = run("million").pid
    none, every = (measured(pid, "main.mstr", "--max-stop", "30s", "--entries", entries) for entries in ("0", "all"))
    assert (none.code, every.code, every.out.count("\n")) == (0, 0, none.out.count("\n") + 200_000 + 3)
    assert every.memory < none.memory + 100
