"""A million entries: judged whole, without a Python loop over them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import inspector
from inspector.gotypes.values import GoString
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import document_of

PACKAGE = str(Path(inspector.__file__).parent)
ENOUGH_LINES = 20_000
"""Lines of Python for a map of a million entries; one line an entry would be fifty times as many."""


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_a_million_entries_are_counted_and_found_consistent(run, toolchain):
    running = run("million", toolchain)
    with open_target(str(running.pid)) as target:
        document = document_of(inspect(target, "main.m64", entries=20))
    assert document["verdict"] == "consistent"
    assert document["occupancy"]["live"] == document["map"]["count"] == document["entries_total"] == 1_000_000
    assert document["entries_shown"] == len(document["entries"]) == 20
    assert all(entry["value"] == 3 * entry["key"] + 1 for entry in document["entries"])


@pytest.mark.slow
def test_every_one_of_a_million_entries_can_be_listed(run):
    with open_target(str(run("million").pid)) as target:
        entries = {entry.key: entry.value for entry in inspect(target, "main.m64", entries=None).entries()}
    assert entries == {key: 3 * key + 1 for key in range(1_000_000)}


@pytest.mark.slow
def test_two_hundred_thousand_strings_are_copied_while_the_process_stands_still(run):
    with open_target(str(run("million").pid)) as target:
        inspection = inspect(target, "main.mstr", entries=None)
    entries = {entry.key: entry.value for entry in inspection.entries()}
    assert len(entries) == 200_000
    assert all(isinstance(k, GoString) and k.data == f"key-{v}".encode() for k, v in entries.items())


def test_copying_and_judging_a_million_entries_runs_no_python_line_for_each(run):
    lines = 0

    def count(frame, event, _):
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        lines += event == "line"
        return count

    with open_target(str(run("million").pid), memory="direct") as target:
        _ = target.program.types.map_types
        before = sys.gettrace()
        sys.settrace(count)
        try:
            inspection = inspect(target, "main.m64", "map[int64]int64", entries=0)
        finally:
            sys.settrace(before)
    assert inspection.judgement.verdict == "consistent"
    assert 100 < lines < ENOUGH_LINES
