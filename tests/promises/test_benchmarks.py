"""The command that measures runs, and tells what it measured. How fast anything was is not asked here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import OWN
from benchmarks.cases import FAMILIES, KINDS, Case, prepared
from benchmarks.peers import command
from inspector.inspection.one_map import inspect

ROOT = Path(__file__).parent.parent.parent
ENTRIES = 700


@pytest.mark.slow
def test_the_quick_benchmark_prints_a_table_with_ratios_and_names_who_is_missing(tmp_path):
    # A PATH with gdb on it, where there is one, and without dlv.
    if found := shutil.which("gdb"):
        (tmp_path / "gdb").symlink_to(found)
    figures = tmp_path / "figures.json"
    words = ("--quick", "--entries", str(ENTRIES), "--places", "live", "--json", str(figures))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines, beside = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert "Delve: there is no dlv on the PATH" in lines[0]
    rows = [line for line in lines if re.match("(classic|swiss) ints", line)]
    assert len(rows) == len(FAMILIES)
    for row in rows:
        judged = rf" {ENTRIES}  .* ms .* (\d+\.\d x|-)  +[\d,.]+ ms +[\d,.]+ x  "
        assert re.search(judged + r"( +[\d.]+ s){4} +missing  ", row), row
    assert len(beside[2:]) == len(FAMILIES)
    for row in beside[2:]:
        # Python and numpy alone take more than the map.
        verdict, more = map(int, re.search(rf" {ENTRIES}  +0.0  +(\d+) \(\+(\d+)\)  ", row).groups())
        assert 30 < more <= verdict
    document = json.loads(figures.read_text())
    assert document["peers"]["Delve"]["missing"] == "there is no dlv on the PATH"
    for row in document["rows"]:
        assert row["entries"] == ENTRIES
        assert row["ratios"]["judged_to_bare"] == pytest.approx(row["judged_ms"][0] / row["bare_ms"][0])
        assert [took["why"] for name in OWN for took in row["commands"][name]] == [""] * len(OWN)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_maps_that_are_measured_are_what_their_names_say(tmp_path, family):
    for kind, type_name in KINDS.items():
        for case in (Case(family, kind, 2000, "rest", "core"), Case(family, kind, 2000, "growth", "live")):
            with prepared(case, tmp_path) as subject:
                inspection = inspect(subject.target, case.variable)
            assert (inspection.ref.type.name, inspection.entries_total) == (type_name, subject.entries)
            if family == "classic":
                growth = inspection.account.growth_form
                assert growth["growing"] == (case.state == "growth")
                if case.state == "growth":
                    # A write evacuates two buckets at most: fewer where another write came before.
                    assert 0.25 < growth["evacuated"] / growth["old_buckets"] <= 0.51
            else:
                tables = inspection.account.occupancy_form
                assert tables["tables"] > 1


@pytest.mark.slow
def test_a_command_that_takes_too_long_is_ended_and_told():
    # A busy machine takes its time until Python begins.
    for seconds in (3.0, 10.0, 30.0):
        words = sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"
        took, output = command(words, seconds)
        if output:
            break
    assert (took.why, output) == (f"over {seconds:.0f} s", b"begun\n")


def test_the_memory_of_a_command_is_its_own_and_not_that_of_who_measures():
    # A process counts what its parent had when it was forked, of which there is more here than Python takes.
    held = bytearray(300_000_000)
    took, _ = command((sys.executable, "-c", "pass"), 60.0)
    assert took.megabytes < 100 < len(held) / 1e6
    more, _ = command((sys.executable, "-c", "bytearray(200_000_000)"), 60.0)
    assert 200 < more.megabytes < 300
