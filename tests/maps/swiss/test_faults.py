"""Single bytes of real Swiss maps changed at random: what must be seen is, and what is not has a reason that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from benchmarks.faults.__main__ import LEAST_SEEN, main
from benchmarks.faults.changes import Dice, Outcome, Reason, try_out
from benchmarks.faults.reasons import why_unseen
from benchmarks.faults.subjects import Subject, subjects_of
from fixtures import Toolchain
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.swiss import SwissProgram
from tests.support.toolchains import EVERY_SWISS

Maps = Callable[[Toolchain], list[Subject]]

SEED = 17
FEW, MOST = 200, 2000

Missed = tuple[Outcome, Reason | None]
"""A change that was not seen, and the reason that holds for it."""

ALWAYS_SEEN = [
    "Map.used", "Map.dirLen", "Map.globalDepth", "Map.globalShift", "Map.writing", "Map.padding",
    "table.used", "table.capacity", "table.growthLeft", "table.localDepth", "table.padding", "table.index",
    "table.lengthMask", "control byte, empty", "control byte, deleted", "element, empty or deleted slot",
    "padding of a group",
]  # fmt: skip

UNLESS_A_REASON_HOLDS = [
    "Map.seed", "Map.dirPtr", "directory entry", "table.groups", "control byte, full", "key, full slot",
    "key, full slot, pointer", "key, full slot, behind a pointer", "key, empty slot", "key, deleted slot",
    "element, full slot, pointer",
]  # fmt: skip
"""Fields whose reasons ask what the changed map looks like."""


@pytest.fixture(scope="module")
def maps(swiss: Callable[..., SwissProgram]) -> Iterator[Maps]:
    opened: dict[Toolchain, tuple[Target, list[Subject]]] = {}

    def of(toolchain: Toolchain) -> list[Subject]:
        if toolchain not in opened:
            running = swiss(toolchain).running
            target = open_target(str(running.pid), memory="direct")
            opened[toolchain] = target, subjects_of(target, running.truth)
        print(f"seed {SEED}")
        return opened[toolchain][1]

    yield of
    for target, _ in opened.values():
        target.close()


def outcomes(subjects: list[Subject], count: int, fields: list[str]) -> list[Outcome]:
    return [try_out(change) for change in Dice(subjects, SEED).changes(count, fields)]


@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_every_change_of_a_count_of_the_form_or_of_unused_bytes_is_seen(maps: Maps, toolchain: Toolchain) -> None:
    found = outcomes(maps(toolchain), 100, ALWAYS_SEEN)
    assert {outcome.change.field for outcome in found} == set(ALWAYS_SEEN)
    assert len({outcome.change.subject.state for outcome in found}) > 8
    assert [str(outcome.change) for outcome in found if not outcome.seen] == []


@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_every_other_change_is_seen_or_has_a_reason_and_none_has_both(maps: Maps, toolchain: Toolchain) -> None:
    dice, found, missed, enough = Dice(maps(toolchain), SEED), list[Outcome](), list[Missed](), False
    # Where chance took more of the few that are not seen, more are changed, and all count.
    while not enough:
        assert len(found) < MOST, [str(outcome.change) for outcome, _ in missed]
        some = [try_out(change) for change in dice.changes(FEW, UNLESS_A_REASON_HOLDS)]
        found += some
        missed += [(outcome, why_unseen(outcome)) for outcome in some if not outcome.seen]
        void = sum(reason is not None and not reason.informs for _, reason in missed)
        enough = len(found) - len(missed) >= LEAST_SEEN * (len(found) - void)
    assert [str(outcome.change) for outcome, reason in missed if reason is None] == []
    # What only the heap's metadata contradicts has a reason as far as the map's own memory goes.
    seen = [outcome for outcome in found if outcome.seen and not outcome.new_rules <= {"A1", "A2"}]
    assert [f"{each.change}: {reason.text}" for each in seen if (reason := why_unseen(each)) is not None] == []


@pytest.mark.slow
def test_the_command_prints_what_was_seen_and_why_the_rest_was_not() -> None:
    done = CliRunner().invoke(main, ["93", "--family", "swiss", "--toolchain", "go1.25.5"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "93 changes of" in done.output
    assert "seed 1," in done.output
    assert "every number is possible [no information] (Map.clearSeq)" in done.output
    assert "tables, uneven depths" in done.output


@pytest.mark.slow
def test_the_command_refuses_a_toolchain_of_the_other_family() -> None:
    done = CliRunner().invoke(main, ["1", "--family", "swiss", "--toolchain", "go1.23.9"])
    assert done.exit_code == 2
    assert "go1.23.9 is not one of go1.24.11, go1.25.5" in done.output
