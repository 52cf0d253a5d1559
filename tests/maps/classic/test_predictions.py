"""What the summary foretells, held against what the process then does."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from fixtures import USUAL
from inspector.goruntime.mapextra import mapextra
from inspector.maps.classic.mirror.growth import NextGrowth, too_many_overflow_buckets
from inspector.maps.classic.mirror.model import MirrorMap
from inspector.maps.classic.summary import growth_of, occupancy_of
from tests.support.chance import unforeseen
from tests.support.replay import KINDS, Part, Player, Replay, new_keys, random_state, replaying
from tests.support.toolchains import quick_are

SLICE_HEADER = 24
POINTER = 8
FULL = 25
"""Entries of a map of four buckets that double with the 27th."""
TIMES = 5
"""Chance decides which states are met: so many times as many are looked at where one was met too seldom."""

MOST_INSERTS = 1500
"""States whose next growth is farther away are left alone: a test is to end."""


class NoChance:
    """For a mirror that runs ahead with keys whose hashes are known: nothing is left to chance."""

    def hash0(self) -> int:
        raise AssertionError("insertions choose no seed")

    def hash_of(self, key: object, elem: object) -> int:
        # A NaN that is moved: the half it goes to decides about overflow buckets, not about when the growth ends.
        return Random(repr((key, elem))).getrandbits(64)

    def counts(self, b: int) -> bool:
        raise AssertionError("such large maps are not made here")


def growth_by_mirror(mirror: MirrorMap, keys: list[int]) -> NextGrowth | None:
    """What the mirror, fed with these very keys, says about the next growth; None if they do not bring one."""
    ahead = mirror.copy(chance=NoChance())
    for inserts, key in enumerate(keys, 1):
        b, buckets = ahead.B, ahead.buckets
        ahead.assign(key, 0)
        # Flags would not do: a small growth ends within the write that began it.
        if buckets is not None and ahead.buckets is not buckets:
            return NextGrowth("double" if b < ahead.B else "same-size", inserts)
    return None


def growth_by_process(replay: Replay, keys: list[int]) -> NextGrowth | None:
    """Insert the keys, until the process grows its map."""
    before = replay.header()
    for inserts, key in enumerate(keys, 1):
        replay.set(key)
        now = replay.header()
        if before["buckets"] and now["buckets"] != before["buckets"]:
            return NextGrowth("double" if now["B"] > before["B"] else "same-size", inserts)
        before = now
    return None


def check_next_growth(player: Player, chance: Random) -> str:
    """Foretell the next growth of a map at rest, then bring it about."""
    replay = player.replay
    foretold = growth_of(replay.view()).next
    assert foretold is not None
    keys = new_keys(player, chance)[: foretold.inserts]
    if foretold.inserts > min(MOST_INSERTS, len(keys)):
        return "too far away"
    ahead = growth_by_mirror(replay.mirror, keys)
    came = growth_by_process(replay, keys)
    assert came == ahead, (foretold, replay.done[-40:])
    if came != foretold:
        # Only overflow buckets that the new keys themselves made can bring a growth earlier.
        assert came is not None, foretold
        assert (foretold.kind, came.kind) == ("double", "same-size")
        assert came.inserts < foretold.inserts
        return "same-size before it was foreseen"
    assert replay.differences() == []
    return came.kind


def check_writes_to_finish(player: Player, chance: Random) -> str:
    """Foretell how many writes a growth still takes, then do them."""
    replay = player.replay
    left = growth_of(replay.view()).writes_to_finish
    assert left is not None
    keys = new_keys(player, chance)
    done = 0
    moved = replay.header()["oldbuckets"]
    # The write that ends one growth may begin the next: it moves other buckets.
    while replay.header()["oldbuckets"] == moved:
        if player.present and chance.random() < 0.5:
            replay.do("delete", player.present.pop(chance.choice(list(player.present))))
        else:
            replay.set(keys.pop())
        done += 1
    assert left.min <= done <= left.max, (left, done, replay.done[-40:])
    assert replay.differences() == []
    return "another began" if replay.mirror.growing else "finished"


def check_if_rebuilt(player: Player) -> str:
    """Foretell what the map would hold if it were rebuilt, then rebuild it."""
    replay = player.replay
    foretold = occupancy_of(replay.view()).bytes.if_rebuilt
    replay.do("rebuild")
    snapshot = replay.snapshot()
    held = occupancy_of(replay.view()).bytes
    array, extra, added = snapshot.buckets, snapshot.extra, 0
    if array is not None:
        # What chance adds: overflow buckets that the preallocated ones were too few for, and lists of them.
        added += (len(array.cells) - array.size - array.tail) * replay.layout.bucket_size
        if extra is not None:
            added += 0 if array.tail else mapextra.sizeof()
            added += SLICE_HEADER + POINTER * len(extra.overflow) if extra.overflow is not None else 0
    assert held.total - added == foretold, (held, foretold)
    return "rebuilt" + (" with overflow buckets" if added else "")


def predictions(kind: str, states: int) -> Counter[str]:
    """Check what is foretold in so many random states; returns what was met."""
    chance = unforeseen()
    met: Counter[str] = Counter()
    with replaying(kind, USUAL) as replay:
        for _ in range(states):
            player = random_state(replay, chance)
            if replay.mirror.growing:
                met[check_writes_to_finish(player, chance)] += 1
            elif chance.random() < 0.2:
                met[check_if_rebuilt(player)] += 1
            else:
                met[check_next_growth(player, chance)] += 1
    return met


def fill_until_it_grows(player: Player, chance: Random) -> bool:
    """Keep a map of four buckets all but full until it grows in place; whether it does before keys run out."""
    player.replay.do("make", 20)
    player.present.clear()
    for key in new_keys(player, chance)[:300]:
        if len(player.present) == FULL:
            player.delete(chance)
        player.set(key)
        if player.replay.mirror.growing:
            return player.replay.mirror.B == 2
    return False


def test_the_writes_to_finish_are_those_of_one_growth_though_the_last_may_begin_another():
    chance = unforeseen()
    with replaying("int64", USUAL) as replay:
        player = Player(replay)
        for _ in range(100):
            if fill_until_it_grows(player, chance) and check_writes_to_finish(player, chance) == "another began":
                return
    raise AssertionError("no write that ended a growth began another")


@pytest.mark.parametrize("kind", quick_are(KINDS, "any"))
def test_growths_writes_and_sizes_come_as_foretold_in_a_few_random_states(kind):
    assert predictions(kind, states=9).total() == 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_growths_writes_and_sizes_come_as_foretold_in_200_random_states(kind):
    met: Counter[str] = Counter()
    for _ in range(TIMES):
        met += predictions(kind, states=200)
        same_size = met["same-size"] + met["same-size before it was foreseen"]
        if met["double"] >= 10 and same_size >= 3 and met["finished"] >= 3:
            return
    raise AssertionError(met)


def test_a_map_that_is_due_for_a_growth_of_the_same_size_has_as_many_overflow_buckets_as_buckets():
    with replaying("int64", USUAL) as replay:
        replay.do("make", 30)
        player = Player(replay)
        # Chance decides how soon it is crowded.
        for _ in player.play(Part("crowd", 4000, 4096, False, 7)):
            mirror = replay.mirror
            if not mirror.growing and too_many_overflow_buckets(mirror.noverflow, mirror.B):
                break
        assert growth_of(replay.view()).next == NextGrowth("same-size", 1)
        assert check_next_growth(player, Random(1)) == "same-size"
