"""A process that writes maps all the time, stopped anywhere: nothing that the runtime does is called inconsistent."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from fixtures import SWISS_RELEASES, Toolchain, build, start
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.chance import unforeseen
from tests.support.toolchains import TWO_SWISS_BUILD

STOPS, MOST = 200, 8
QUICK_STOPS = 60
LONGEST_WAIT = 0.003


def verdicts(toolchain: Toolchain, stops: int, wanted: str) -> tuple[Counter[str], list[str]]:
    """Stop a writing process at random moments: how often each verdict was given, and what was found wrong.

    It is stopped a few times as often at the most, until the verdict that is `wanted` has been given.
    """
    counted: Counter[str] = Counter()
    wrong = []
    dice = unforeseen()
    with start(build("swissrandom", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        assert running.ask(f"write {dice.randrange(1 << 30)}") == {"writing": True}
        for number in range(MOST * stops):
            if number >= stops and counted[wanted]:
                break
            time.sleep(dice.random() * LONGEST_WAIT)
            told = dice.choice(running.truth["maps"])
            inspection = inspect(target, told["variable"], told["type"], entries=0, max_stop=30)
            judgement = inspection.judgement
            counted[judgement.verdict] += 1
            assert judgement.proof.checked == judgement.proof.matched or judgement.interrupted is not None
            if judgement.verdict not in ("consistent", "write-in-progress"):
                wrong.append(f"{told['name']}: {judgement.findings}")
    return counted, wrong


@pytest.mark.slow
def test_a_few_stops_at_random_moments_find_nothing_inconsistent():
    counted, wrong = verdicts(SWISS_RELEASES[-1], QUICK_STOPS, "consistent")
    assert wrong == []
    assert counted["consistent"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TWO_SWISS_BUILD)
def test_stops_at_random_moments_find_nothing_inconsistent(toolchain):
    counted, wrong = verdicts(toolchain, STOPS, "write-in-progress")
    assert wrong == []
    assert counted["write-in-progress"] > 0
