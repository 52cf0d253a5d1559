"""Cores of programs that used a map from two goroutines at once: who did is said as the runtime says it."""

from __future__ import annotations

import re

import pytest

from fixtures import CLASSIC, SWISS_RELEASES, USUAL, Core, find
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.promised import PROMISED
from tests.support.racing import fatal_core
from tests.support.truth import document_of

# One that ran has another stack by now: that of the signal by which the runtime asked it for this one.
WRITES = re.compile(r"\A.*\[(?!running).*\]:\n(.*\n)*runtime\.map(assign|delete|clear)")
# Others may have found the race, too, and have lost their thread before they could end anything.
FATAL = re.compile(r"\A.*\[running.*\]:\n(.*\n)*runtime\.fatal\(")
NEWEST, OLDEST = SWISS_RELEASES[-1], SWISS_RELEASES[0]

ENDS = {
    "race": "concurrent map writes",
    "read": "concurrent map read and map write",
    "iterate": "concurrent map iteration and map write",
    "clone": "concurrent map clone and map write",
}
"""What the program `racing` is told, and what it is ended for."""


def stacks(core: Core, pattern: re.Pattern[str]) -> set[str]:
    """The numbers of goroutines with such a call, in the stacks that the runtime printed."""
    blocks = [block.strip() for block in core.stderr.split("\n\n")]
    return {block.split()[1] for block in blocks if block.startswith("goroutine") and pattern.search(block)}


@pytest.mark.parametrize("command", ENDS)
@pytest.mark.parametrize(
    "toolchain",
    [
        pytest.param(NEWEST, id=NEWEST.name),
        pytest.param(OLDEST, id=OLDEST.name, marks=pytest.mark.slow),
        pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow),
        *(
            pytest.param(each, id=each.name, marks=pytest.mark.matrix)
            for each in (*SWISS_RELEASES[1:-1], *CLASSIC)
            if each != USUAL and each.version != "1.19"
        ),
    ],
)
def test_the_report_of_a_core_names_the_goroutines_that_the_runtime_says_used_the_map(toolchain, command, tmp_path):
    # Until 1.24 a Swiss map is cloned by a loop over it.
    by_loop = command == "clone" and toolchain == OLDEST
    core = fatal_core(toolchain, tmp_path, command, ENDS["iterate" if by_loop else command])
    told = find(core.truth, "shared" if command == "race" else "crossed")
    with open_target(str(core.path), exe=str(core.exe)) as target:
        inspection = inspect(target, told["address"], told["type"], entries=0)
    PROMISED.validate(document_of(inspection))
    found = [one for one in inspection.judgement.findings if one.rule == "W2" and one.message.startswith("goroutine ")]
    named = {one.message.split()[1] for one in found}
    enders = {one.message.split()[1] for one in found if "ended the process" in one.message}
    ended, wrote = stacks(core, FATAL), stacks(core, WRITES)
    assert ended
    assert ended <= enders
    assert wrote <= named
    assert all("map" in one.message.lower() for one in found)
    assert inspection.judgement.verdict in ("consistent", "write-in-progress")
    assert inspection.snapshot is not None
    if inspection.snapshot.header.writing:
        assert inspection.judgement.verdict == "write-in-progress"
    assert inspection.exit_code == 0
