"""The mirror, replayed against real processes: after the same operations it has the same bytes."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from fixtures import CLASSIC, USUAL
from tests.support.chance import unforeseen
from tests.support.replay import (
    KINDS,
    Player,
    Replay,
    crowd,
    overload,
    play,
    random_part,
    random_state,
    replaying,
    scripts,
)
from tests.support.toolchains import EVERY_TOOLCHAIN, quick_are

COMPARED_EVERY = 40
COMPARED_GROWING_EVERY = 5
"""Operations between two comparisons: differences stay local, and tests quick."""

JUDGED_EVERY = 5
"""Of the states compared one in so many is judged too: no rule may find fault with it."""


def replay_scripts(replay: Replay, examples: int, operations: int) -> Counter[str]:
    """Play random scripts and hold memory against the mirror again and again; returns what was met."""
    met: Counter[str] = Counter()

    # A failing script is not made smaller: the process's own chance is not repeated.
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(script=scripts)
    def one(script):
        replay.do("make", 0)
        player = Player(replay)
        growing = None
        for done in play(player, script, operations):
            before, growing = growing, replay.mirror.growing
            met[f"began: {growing}"] += growing is not None and before is None
            every = COMPARED_GROWING_EVERY if growing else COMPARED_EVERY
            if growing != before or done % every == 0 or done == operations:
                met["compared"] += 1
                met[f"compared: {growing}"] += 1
                found = replay.differences(judged=met["compared"] % JUDGED_EVERY == 0)
                assert found == [], f"{found}\nafter {script}\n{replay.done[-2 * COMPARED_EVERY :]}"

    one()
    return met


MORE_ROUNDS = 4


@pytest.mark.parametrize("kind", KINDS)
def test_after_500_random_operations_memory_holds_what_the_mirror_holds(kind):
    with replaying(kind, USUAL) as replay:
        replay_scripts(replay, examples=2, operations=250)


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("kind", KINDS)
def test_after_10000_random_operations_memory_holds_what_the_mirror_holds(kind, toolchain):
    with replaying(kind, toolchain) as replay:
        met = replay_scripts(replay, examples=10, operations=1000)
        for _ in range(MORE_ROUNDS):
            # Chance decides how often maps grow to their own size: go on until that was seen often enough.
            if min(met["compared: double"], met["compared: same-size"]) >= 10:
                break
            met += replay_scripts(replay, examples=3, operations=1000)
        for growth in ("double", "same-size"):
            assert met[f"began: {growth}"] >= 3, met
            assert met[f"compared: {growth}"] >= 10, met


def clones(replay: Replay, states: int, chance: Random) -> Counter[str]:
    """Clone maps in random states, and go on with the clones; returns what was met."""
    met: Counter[str] = Counter()
    for state in range(states):
        player = Player(replay)
        if state % 4 == 0 and replay.target.program.release.clone_keeps_size:
            met["overloaded"] += overload(player, chance)
        elif state % 4 == 1:
            met["crowded"] += crowd(player, chance)
        else:
            player = random_state(replay, chance)
        if not player.can_be_cloned():
            continue
        before = replay.mirror
        replay.do("clone")
        met[f"of {before.growing}"] += 1
        met["smaller"] += replay.mirror.B < before.B
        assert replay.differences() == [], replay.done[-40:]
        for _ in play(player, [random_part(chance)], chance.randrange(1, 30)):
            pass
        assert replay.differences(judged=True) == [], replay.done[-40:]
    return met


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize("kind", quick_are(KINDS, "string"))
def test_clones_of_maps_in_any_state_hold_what_the_mirror_holds(kind, toolchain):
    with replaying(kind, toolchain) as replay:
        if not replay.can_clone:
            pytest.skip("maps.Clone came with Go 1.21")
        quick = toolchain == USUAL
        met = clones(replay, 8 if quick else 40, unforeseen())
        assert quick or met["of double"] + met["of same-size"] >= 2, met
