"""Single bytes of real maps changed at random: what must be seen always is, and what is not has a reason that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from benchmarks.faults.__main__ import main
from benchmarks.faults.changes import Change, Dice, Outcome, try_out
from benchmarks.faults.reasons import why_unseen
from benchmarks.faults.subjects import Subject, subjects_of
from inspector.target.opening import open_target
from tests.support.toolchains import EVERY_TOOLCHAIN

SEED = 20
"""Each change says what it did; a failure names the changes."""
MANY = 20
"""Entries from which on no other array, size or seed fits a map by chance."""

ALWAYS_SEEN = [
    "hmap.count", "hmap.B", "hmap.noverflow", "hmap.hash0", "hmap.buckets", "hmap.oldbuckets",
    "tophash, new array, live", "tophash, old array, live", "tophash, new array, empty", "tophash, old array, empty",
    "tophash, old array, evacuated",
]  # fmt: skip

UNLESS_A_REASON_HOLDS = [
    "hmap.flags", "hmap.nevacuate", "hmap.extra", "mapextra.overflow", "mapextra.oldoverflow",
    "mapextra.nextOverflow", "key, new array, in the cell", "key, old array, in the cell",
    "key, new array, behind a pointer", "key, old array, behind a pointer", "key, old array, evacuated",
    "overflow pointer, new array, used", "overflow pointer, old array, used", "overflow pointer, new array, nil",
    "overflow pointer, old array, nil", "overflow pointer, new array, sentinel",
]  # fmt: skip


@pytest.fixture(scope="module")
def maps(run) -> Iterator[Callable[..., list[Subject]]]:
    opened: dict[str, tuple] = {}

    def of(toolchain) -> list[Subject]:
        if toolchain.name not in opened:
            running = run("states", toolchain)
            target = open_target(str(running.pid), memory="direct")
            opened[toolchain.name] = target, subjects_of(target, running.truth)
        return opened[toolchain.name][1]

    yield of
    for target, _ in opened.values():
        target.close()


def has_many_repeatable_keys(subject: Subject) -> bool:
    healthy = subject.healthy
    return healthy.view.header.count > MANY and not healthy.judgement.proof.skipped


def is_marker_for_marker(change: Change) -> bool:
    """In cleared memory one marker is as good as another."""
    return change.field.endswith("evacuated") and change.after in (2, 3, 4)


def unseen(changes) -> list[Outcome]:
    return [outcome for outcome in map(try_out, changes) if not outcome.seen]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_change_of_a_tophash_an_array_or_the_seed_of_a_filled_map_is_seen(maps, toolchain):
    dice = Dice([subject for subject in maps(toolchain) if has_many_repeatable_keys(subject)], SEED)
    changes = [change for change in dice.changes(400, ALWAYS_SEEN) if not is_marker_for_marker(change)]
    assert len(changes) > 380
    assert [str(outcome.change) for outcome in unseen(changes)] == []


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_other_change_that_is_not_seen_leaves_a_map_that_the_runtime_could_have_made(maps, toolchain):
    missed = unseen(Dice(maps(toolchain), SEED).changes(400, UNLESS_A_REASON_HOLDS))
    assert [str(outcome.change) for outcome in missed if why_unseen(outcome) is None] == []
    assert len(missed) < 40


@pytest.mark.slow
def test_the_command_prints_what_was_seen_and_why_the_rest_was_not():
    done = CliRunner().invoke(main, ["150", "--toolchain", "go1.23.9"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "150 changes of" in done.output
    assert "every seed is possible" in done.output
