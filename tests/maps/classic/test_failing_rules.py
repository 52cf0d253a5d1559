"""A rule that fails itself is reported as not checked: never as a pass, and never at the cost of the other rules."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from benchmarks.faults.patched import PatchedMemory
from fixtures import USUAL, build, start
from inspector.census import take_census
from inspector.census.select import Selection
from inspector.errors import EXIT_PARTIAL, TargetGone
from inspector.inspection.one_map import inspect
from inspector.maps import classic
from inspector.maps.classic.checks import proof, verdict
from inspector.maps.classic.snapshot import MapSnapshot, take_snapshot
from inspector.maps.family import Source
from inspector.maps.judging import MOST_FINDINGS, NOT_CHECKED
from inspector.report.json.census import census_form
from inspector.report.text.one_map import print_report
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.commandline import assert_running
from tests.support.promised import PROMISED
from tests.support.truth import document_of

FAILURES: dict[str, Callable[[], object]] = {
    "index": lambda: [][1],
    "numpy": lambda: np.zeros(2).reshape(3, 1),
    "overflow": lambda: np.uint8(1) + np.array([1 << 80], dtype=np.uint64),
    "memory": lambda: np.empty(1 << 60, dtype=np.uint8),
    "recursion": lambda: FAILURES["recursion"](),
}
"""What hostile memory may make of a rule."""


def failing(rule, fail, after=0):
    """A rule that gives some of what it finds, and fails then."""

    def check(subject):
        for count, finding in enumerate(rule(subject)):
            if count >= after:
                break
            yield finding
        fail()
        yield from ()

    check.__name__, check.__module__ = rule.__name__, rule.__module__
    return check


@pytest.fixture
def break_rule(monkeypatch):
    """Make one rule fail."""

    def make(name, fail, after=0):
        for table in ("RULES", "KEY_RULES", "PROOF_RULES"):
            rules = getattr(verdict, table)
            changed = tuple(failing(rule, fail, after) if rule.__name__ == name else rule for rule in rules)
            monkeypatch.setattr(verdict, table, changed)

    return make


def inspected(running, name):
    told = running.map(name)
    with open_target(str(running.pid), memory="direct") as target:
        return inspect(target, told["address"], told["type"])


@pytest.mark.parametrize("kind", FAILURES)
def test_a_sound_map_with_a_rule_that_fails_is_no_consistent_one(run, break_rule, kind):
    break_rule("h5_noverflow_counts_overflow_buckets", FAILURES[kind])
    inspection = inspected(run(), "double_middle")
    (finding,) = inspection.judgement.findings
    assert (finding.rule, finding.message, finding.severity) == ("H5", NOT_CHECKED, "warning")
    assert "Error" in finding.observed
    assert finding.source == "inspector.maps.classic.checks.header.h5_noverflow_counts_overflow_buckets"
    assert (inspection.judgement.verdict, inspection.exit_code) == ("unreadable", EXIT_PARTIAL)
    document = document_of(inspection)
    PROMISED.validate(document)
    assert document["occupancy"]["live"] == len(run().map("double_middle")["entries"])


def test_rules_that_need_hashes_fail_one_by_one_too(run, break_rule, monkeypatch):
    monkeypatch.setattr(proof.Proof, "summary", lambda self: FAILURES["memory"]())
    break_rule("c3_keys_hash_to_their_cells", FAILURES["memory"])
    judgement = inspected(run(), "double_middle").judgement
    assert [finding.rule for finding in judgement.findings] == ["C3"]
    assert judgement.proof.reason is not None
    assert judgement.verdict == "unreadable"


def test_what_other_rules_find_is_still_inconsistent(run, break_rule):
    running = run()
    told = running.map("double_middle")
    address = int(told["address"], 16)
    break_rule("h1_flags_are_defined", FAILURES["index"])
    with open_target(str(running.pid), memory="direct") as target:
        count = target.memory.read(address, 1)[0]
        memory = PatchedMemory(target.memory, {address: count + 1})
        types, regions = target.program.types, Run(target).regions()
        go_type = types.find_map_type(told["type"])
        judgement = take_snapshot(Source(memory, regions, types), address, go_type, 0).judge()
    assert [finding.rule for finding in judgement.findings] == ["H1", "H3"]
    assert judgement.verdict == "inconsistent"


def test_what_a_rule_found_before_it_failed_is_kept_and_the_failure_stands_first(run, break_rule):
    running = run()
    told = running.map("many_overflow")
    with open_target(str(running.pid), memory="direct") as target:
        types, regions = target.program.types, Run(target).regions()
        go_type = types.find_map_type(told["type"])
        whole = take_snapshot(Source(target.memory, regions, types), int(told["address"], 16), go_type, 0)
        assert whole.buckets is not None
        rows, cells = np.nonzero(whole.buckets.live(types.release.marks.min_tophash))
        live = whole.buckets.addresses[rows] + cells.astype(np.uint64)
        memory = PatchedMemory(target.memory, dict.fromkeys(live.tolist(), 5))
        snapshot = take_snapshot(Source(memory, regions, types, target.program.hash_keys), whole.address, go_type, 0)
    break_rule("c3_keys_hash_to_their_cells", FAILURES["index"], after=MOST_FINDINGS)
    judgement = snapshot.judge()
    of_rule = [finding for finding in judgement.findings if finding.rule == "C3"]
    assert (len(of_rule), of_rule[0].message, of_rule[1].severity) == (MOST_FINDINGS, NOT_CHECKED, "error")
    assert "C3" in judgement.cut


def test_the_report_says_which_rule_it_was(run, break_rule):
    break_rule("o1_chains_are_sound", FAILURES["recursion"])
    told = io.StringIO()
    print_report(inspected(run(), "double_middle"), Console(file=told, width=160))
    text = told.getvalue()
    assert "O1 warning: this rule could not be checked" in text
    assert "RecursionError" in text
    assert "verdict: unreadable" in text


# The census


def fail_at(monkeypatch, function, address, fail):
    """Make a step of the census fail for the map at an address."""
    owner = classic if function == "take_snapshot" else MapSnapshot
    real = getattr(owner, function)

    def step(*arguments, **named):
        at = arguments[1] if function == "take_snapshot" else arguments[0].address
        return fail() if at == address else real(*arguments, **named)

    monkeypatch.setattr(owner, function, step)


@pytest.mark.parametrize("function", ["judge", pytest.param("take_snapshot", marks=pytest.mark.slow)])
def test_a_map_that_cannot_be_looked_at_is_a_row_that_says_so_and_all_others_are_judged(run, monkeypatch, function):
    running = run()
    address = int(running.map("double_middle")["address"], 16)
    with open_target(str(running.pid), memory="direct") as target:
        before = take_census(target, max_share=None)
        fail_at(monkeypatch, function, address, FAILURES["memory"])
        census = take_census(target, max_share=None)
    (row,) = (one for one in census.maps if one.address == address)
    assert (row.verdict, row.name) == ("unreadable", "main.doubleMiddle")
    assert [finding.rule for finding in row.findings] == ["H0"]
    assert "MemoryError" in row.findings[0].observed
    others = {one.address: one.verdict for one in census.maps if one is not row}
    assert others == {one.address: one.verdict for one in before.maps if one.address != address}
    assert (before.exit_code, census.exit_code) == (0, EXIT_PARTIAL)
    PROMISED.validate(census_form(census, Selection()))
    assert_running(running)


def test_what_only_looks_like_a_map_and_cannot_be_looked_at_is_counted(monkeypatch):
    with start(build("states", USUAL, ldflags="-s -w")) as running, open_target(str(running.pid)) as target:
        address = int(running.map("hint_100")["address"], 16)
        fail_at(monkeypatch, "take_snapshot", address, FAILURES["index"])
        census = take_census(target, max_share=None)
    assert address not in {one.address for one in census.maps}
    assert census.exit_code == EXIT_PARTIAL
    assert any("could not be checked" in note for note in census.notes)


@pytest.mark.slow
def test_the_end_of_the_process_is_no_failure_of_one_map(run, monkeypatch):
    running = run()

    def end():
        raise TargetGone("process ended")

    fail_at(monkeypatch, "take_snapshot", int(running.map("double_middle")["address"], 16), end)
    with open_target(str(running.pid), memory="direct") as target, pytest.raises(TargetGone):
        take_census(target, max_share=None)
    assert_running(running)
