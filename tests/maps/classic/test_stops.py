"""A process that writes maps all the time, stopped anywhere: nothing that the runtime does is called inconsistent."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from fixtures import CLASSIC, USUAL, build, start
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.chance import seeded
from tests.support.toolchains import EVERY_TOOLCHAIN

STOPS = 2000
MOST = 8
QUICK_STOPS = 60
LONGEST_WAIT = 0.004
TYPES = {
    "main.doubling": "map[int64]int64",
    "main.churning": "map[string]int",
    "main.pairs": "map[main.pair]*int",
    "main.anything": "map[interface {}]string",
    "main.ranged": "map[string][]uint8",
    "main.young": "map[uint32]uint32",
}


def verdicts(toolchain, stops: int, *wanted: str) -> tuple[Counter[str], list[str]]:
    """Stop a writing process at random moments: how often each verdict was given, and what was found wrong.

    It is stopped a few times as often at the most, until all that is `wanted` has been seen.
    """
    counted: Counter[str] = Counter()
    wrong = []
    dice = seeded(toolchain.name)
    with start(build("churn", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        assert running.ask("write") == {"writing": True}
        for number in range(MOST * stops):
            # On an idle machine growths are over so soon that some hundred stops may miss all of them.
            if number >= stops and all(counted[seen] for seen in wanted):
                break
            time.sleep(dice.random() * LONGEST_WAIT)
            name = dice.choice(list(TYPES))
            inspection = inspect(target, name, TYPES[name], entries=0, max_stop=None)
            counted[inspection.judgement.verdict] += 1
            counted[inspection.account.growth_form["kind"] or "at rest"] += 1
            if inspection.judgement.verdict == "inconsistent":
                wrong.append(f"{name}: {[finding.message for finding in inspection.judgement.findings]}")
    return counted, wrong


@pytest.mark.slow
def test_a_few_stops_at_random_moments_find_nothing_inconsistent():
    counted, wrong = verdicts(USUAL, QUICK_STOPS)
    assert wrong == []
    assert counted["consistent"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_stops_at_random_moments_find_nothing_inconsistent(toolchain):
    counted, wrong = verdicts(toolchain, STOPS // len(CLASSIC) + 1, "double", "write-in-progress")
    assert wrong == []
    assert counted["double"] > 0
    assert counted["write-in-progress"] > 0
