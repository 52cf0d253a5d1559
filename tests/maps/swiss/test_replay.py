"""The mirror of Swiss maps, replayed against real processes: after the same operations it has the same bytes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fixtures import SWISS_EXPERIMENTS, SWISS_RELEASES, Toolchain
from inspector.goruntime.releases import Release
from inspector.maps.swiss.mirror.assigning import FAST32, FAST64, FAST64PTR, FASTSTR
from tests.support.chance import unforeseen
from tests.support.swissreplay import KINDS, WITH_NANS, Replay, processing
from tests.support.swissscripts import Player, play, steps_of_tour

BUILDS = (*SWISS_RELEASES, SWISS_EXPERIMENTS[0])
"""Every release, and the newest with keys and elements apart."""

COMPARED_EVERY = 40
"""Operations between two comparisons, so that differences stay local."""

WHOLE = ("to table", "grown", "split", "pruned", "cleared")
"""What is compared at once; so are new maps and clones."""

JUDGED_EVERY = 5
"""Of the states compared one in so many is judged too: no rule may find fault with it."""

SAMPLE = ("string", "float")
"""Kinds that CI replays with every release; all others with the newest."""

SHORT, LONG = 400, 10_000
"""Operations of a script."""

FEW_KEYS = ("byte", "single", "nothing")
"""Kinds whose maps cannot have many entries."""


def pruning(release: Release) -> tuple[str, ...]:
    """The assign functions that take tombstones away, as it was read in the runtime's source."""
    return {24: (), 27: (FAST32, FAST64, FAST64PTR, FASTSTR)}.get(release.number[1], (FAST32, FAST64, FASTSTR))


def replay_script(player: Player, operations: int) -> Counter[str]:
    """Play a random script and hold memory against the mirror again and again; returns what was met."""
    replay = player.replay
    compared, whole, last = 0, 0, 0
    for done in play(player, operations):
        before, whole = whole, sum(replay.met[what] for what in WHOLE)
        at_once = whole != before or replay.last in ("clone", "make")
        if at_once or done - last >= COMPARED_EVERY or done >= operations:
            last, compared = done, compared + 1
            found = replay.differences(judged=compared % JUDGED_EVERY == 0)
            assert found == [], f"after {done} operations, the last {replay.step.commands[-10:]}: {found}"
    return replay.met + Counter(compared=compared, operations=player.count)


def samples() -> list[Any]:
    """Parameters: every kind with the newest release, some kinds with the others; two of them in the quick suite."""
    newest = SWISS_RELEASES[-1]
    return [
        pytest.param(
            kind,
            toolchain,
            id=f"{kind}-{toolchain.name}",
            marks=() if toolchain == newest and kind in SAMPLE else pytest.mark.slow,
        )
        for toolchain in BUILDS
        for kind in (KINDS if toolchain == newest else SAMPLE)
    ]


@pytest.mark.parametrize(("kind", "toolchain"), samples())
def test_after_some_random_operations_memory_holds_what_the_mirror_holds(kind: str, toolchain: Toolchain):
    with processing(kind, toolchain) as process:
        met = replay_script(Player(Replay(process), unforeseen()), SHORT)
    assert met["operations"] >= SHORT
    assert met["compared"] >= SHORT / COMPARED_EVERY / 2


@pytest.mark.matrix
@pytest.mark.parametrize("toolchain", BUILDS, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("kind", KINDS)
def test_after_10000_random_operations_memory_holds_what_the_mirror_holds(kind: str, toolchain: Toolchain):
    with processing(kind, toolchain) as process:
        player = Player(Replay(process), unforeseen())
        many = kind not in FEW_KEYS
        stops = steps_of_tour(player) if many else 0
        met = replay_script(player, LONG)
        prunes = process.map_type.function in pruning(process.release)
    print(f"compared {stops} times on a tour, then {dict(met)}")
    assert met["operations"] >= LONG
    for what in ("to table", "grown", "split", "directory doubled", "tombstone", "reused", "cleared", "emptied"):
        assert met[what] or not many, met
    assert bool(met["pruned"]) == (prunes and many), met


def clone_tables_that_split(player: Player, clones: int) -> Counter[str]:
    """Clone maps whose copies, with so many keys for two tables, mostly split one, while an iteration is under way."""
    replay, met = player.replay, Counter[str]()
    for _ in range(clones):
        player.make(3000)
        for _ in player.fill(2040):
            pass
        replay.do("loop")
        for first in list(player.present)[: max(replay.map.used - 1788, 0)]:
            replay.do("delete", player.present.pop(first))
        replay.do("clone")
        found = replay.differences()
        assert found == [], found
        depths = {table.local_depth for table in replay.map.tables()}
        met["split" if len(depths) > 1 else "even"] += 1
    return met


@pytest.mark.slow
def test_clones_of_1_24_have_their_entries_in_an_order_of_an_iteration_also_if_tables_split_meanwhile():
    with processing("string", SWISS_RELEASES[0]) as process:
        met = clone_tables_that_split(Player(Replay(process), unforeseen()), 8)
    assert met["split"], met


@pytest.mark.matrix
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*FEW_KEYS, *WITH_NANS)])
def test_a_hundred_clones_of_1_24_have_their_entries_in_an_order_of_an_iteration(kind: str):
    with processing(kind, SWISS_RELEASES[0]) as process:
        met = clone_tables_that_split(Player(Replay(process), unforeseen()), 100)
    print(dict(met))
    assert met["split"] > 50, met
