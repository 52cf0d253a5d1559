"""The mirror, replayed against real processes: after the same operations it has the same bytes."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from fixtures import CLASSIC, USUAL
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.classic.mirror.growth import load_limit
from tests.support.chance import unforeseen
from tests.support.replay import (
    KINDS,
    MANY,
    MORE_KINDS,
    Player,
    Replay,
    crowd,
    new_keys,
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


@pytest.mark.parametrize("kind", [*KINDS, *MORE_KINDS])
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
            compared = min(met["compared: double"], met["compared: same-size"])
            if compared >= 10 and min(met["began: double"], met["began: same-size"]) >= 3:
                break
            met += replay_scripts(replay, examples=3, operations=1000)
        for growth in ("double", "same-size"):
            assert met[f"began: {growth}"] >= 3, met
            assert met[f"compared: {growth}"] >= 10, met


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("kind", MORE_KINDS)
def test_after_10000_random_operations_on_further_kinds_memory_holds_what_the_mirror_holds(kind, toolchain):
    with replaying(kind, toolchain) as replay:
        met = replay_scripts(replay, examples=10, operations=1000)
        print(dict(met))
        assert kind == "byte" or met["compared: double"] >= 10, met


# Deletion of keys that are not equal to themselves: the hash is chance, and so is the bucket that it evacuates.


def delete_nans_while_growing(replay: Replay, wanted: dict[str, int], chance: Random) -> Counter[str]:
    """Delete NaNs in maps that grow, at least as many as are wanted in each kind of growth; compare after each."""
    nans = [number for number, first in enumerate(replay.originals) if first is None]
    met: Counter[str] = Counter()
    while any(met[kind] < count for kind, count in wanted.items()):
        player = random_state(replay, chance)
        for number in new_keys(player, chance):
            if replay.mirror.growing:
                break
            player.set(number)
            if chance.random() < 0.3:
                player.set(chance.choice(nans))
        while replay.mirror.growing:
            met[str(replay.mirror.growing)] += 1
            replay.do("delete", chance.choice(nans))
            found = replay.differences(judged=met.total() % JUDGED_EVERY == 0)
            assert found == [], f"{found}\nafter {replay.done[-40:]}"
            if chance.random() < 0.2:
                player.set(chance.choice(nans))
    return met


@pytest.mark.parametrize("kind", quick_are(["float", "any"], "float"))
def test_a_deleted_nan_evacuates_the_bucket_that_chance_gave_it(kind):
    with replaying(kind, USUAL) as replay:
        met = delete_nans_while_growing(replay, {"double": 12}, unforeseen())
    assert met["double"] >= 12, met


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("kind", ["float", "any"])
def test_200_nans_deleted_in_growths_evacuate_the_buckets_that_chance_gave_them(kind, toolchain):
    with replaying(kind, toolchain) as replay:
        met = delete_nans_while_growing(replay, {"double": 197, "same-size": 3}, unforeseen())
    print(dict(met))
    assert met.total() >= 200, met


# From B = 16 on noverflow is a sample.

DEVIATIONS = 6
"""How far from what is expected a sample may be: chance goes beyond that in one of 10^9."""


def is_a_fair_sample(replay: Replay, b: int) -> bool:
    """Whether noverflow counted about one of 2^(b-15) overflow buckets (incrnoverflow)."""
    number, share = replay.overflowed[b], 1 / (1 << b - 15)
    deviation = (number * share * (1 - share)) ** 0.5
    return abs(replay.counted[b] - number * share) <= DEVIATIONS * deviation


def crowd_some(replay: Replay, b: int, buckets: int, chance: Random) -> list[int]:
    """Give buckets of a new map with 2^b of them an overflow bucket, or more; returns the keys that were set."""
    replay.do("make", load_limit(replay.mirror.release, b - 1) + 1)
    assert b == replay.mirror.B
    crowded = [keys for keys in replay.keys_of_buckets(b).values() if len(keys) > BUCKET_CELLS]
    chance.shuffle(crowded)
    numbers = [number for keys in crowded[:buckets] for number in keys]
    replay.do_many("set", numbers)
    return numbers


def sample(replay: Replay, b: int, buckets: int, chance: Random) -> None:
    """Let noverflow count a sample; then delete, set again and clear."""
    numbers = crowd_some(replay, b, buckets, chance)
    assert replay.overflowed[b] >= buckets
    assert replay.differences(judged=True) == []
    chance.shuffle(numbers)
    replay.do_many("delete", numbers[::3])
    replay.do("loop")
    replay.do_many("set", numbers[::6])
    assert replay.differences() == []
    assert is_a_fair_sample(replay, b), (replay.overflowed, replay.counted)


@pytest.mark.slow
def test_a_map_of_65536_buckets_counts_about_half_of_its_overflow_buckets():
    with replaying(MANY, USUAL) as replay:
        sample(replay, 16, 1000, unforeseen())


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("b", [16, 17, 18])
def test_larger_maps_count_a_sample_of_their_overflow_buckets(b, toolchain):
    with replaying(MANY, toolchain) as replay:
        sample(replay, b, 2000, unforeseen())
        if replay.can_clone:
            replay.do("clone")
            assert replay.differences() == []
        if replay.can_clear:
            replay.do("clear")
            assert replay.differences() == []
        print(f"B {b}: {replay.counted[b]} of {replay.overflowed[b]} counted")


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
def test_a_map_that_doubles_to_65536_buckets_counts_a_sample_of_what_evacuation_adds(toolchain):
    chance = unforeseen()
    with replaying(MANY, toolchain) as replay:
        present = set(crowd_some(replay, 15, 1500, chance))
        assert replay.mirror.noverflow > 1500
        others = [number for number, first in enumerate(replay.originals) if number == first and number not in present]
        chance.shuffle(others)
        room = load_limit(replay.mirror.release, 15) - replay.mirror.count
        replay.do_many("set", others[:room])
        assert (replay.mirror.B, replay.mirror.growing) == (15, None)
        assert replay.differences() == []
        for first in range(room, room + 40_000, 10_000):
            replay.do_many("set", others[first : first + 10_000])
            assert replay.differences(judged=True) == []
        assert (replay.mirror.B, replay.mirror.growing) == (16, None)
        print(f"{replay.counted[16]} of {replay.overflowed[16]} counted")
        assert replay.overflowed[16] > 100
        assert is_a_fair_sample(replay, 16), (replay.overflowed, replay.counted)


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", CLASSIC, ids=lambda toolchain: toolchain.name)
def test_a_map_of_65536_buckets_grows_to_its_own_size_when_the_sample_says_so(toolchain):
    chance = unforeseen()
    with replaying(MANY, toolchain) as replay:
        replay.do("make", load_limit(replay.mirror.release, 15) + 1)
        crowded = list(replay.keys_of_buckets(16).values())
        chance.shuffle(crowded)
        for first in range(0, len(crowded), 200):
            numbers = [number for keys in crowded[first : first + 200] for number in keys]
            if replay.mirror.noverflow + 400 > 1 << 15:
                for number in numbers:
                    replay.set(number)
                    if replay.mirror.growing:
                        break
            else:
                replay.do_many("set", numbers)
            if replay.mirror.growing:
                break
            replay.do_many("delete", [number for keys in crowded[first : first + 200] for number in keys[1:]])
        print(f"{replay.counted[16]} of {replay.overflowed[16]} counted")
        assert replay.mirror.growing == "same-size"
        assert replay.differences(judged=True) == []
        assert is_a_fair_sample(replay, 16), (replay.overflowed, replay.counted)
        replay.do_many("delete", [keys[0] for keys in crowded[:3000]])
        assert replay.differences(judged=True) == []


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
        quick, chance, met = toolchain == USUAL, unforeseen(), Counter[str]()
        for _ in range(MORE_ROUNDS):
            met += clones(replay, 8 if quick else 40, chance)
            if quick or met["of double"] + met["of same-size"] >= 2:
                return
        raise AssertionError(met)
