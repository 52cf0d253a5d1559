"""The pure mirror of Swiss maps against numbers that follow from the runtime's source."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import DELETED
from inspector.maps.swiss.mirror.assigning import FAST64, GENERIC
from inspector.maps.swiss.mirror.clone import clone
from inspector.maps.swiss.mirror.growth import Room, most_entries, next_of_tables
from inspector.maps.swiss.mirror.iteration import Iter
from inspector.maps.swiss.mirror.maptype import MapType, Offsets
from inspector.maps.swiss.mirror.model import MirrorMap
from tests.support.chance import unforeseen

GO124, GO125, GO126, GO127 = (Release(f"go1.{minor}.1") for minor in (24, 25, 26, 27))

MASK = (1 << 64) - 1

pytestmark = pytest.mark.pure


def scattered(key: int, seed: int) -> int:
    """A hash that spreads keys well enough (the finalizer of splitmix64)."""
    value = (key + seed) * 0x9E3779B97F4A7C15 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    return value ^ value >> 31


class Numbered:
    """Seeds that count upwards, and iterations that begin at the beginning."""

    def __init__(self) -> None:
        self.seeds = 0

    def seed(self) -> int:
        """Another seed each time."""
        self.seeds += 1
        return self.seeds

    def hash_of(self, key: Any, elem: Any) -> int:
        """No key of these tests has a hash of chance."""
        raise AssertionError(key, elem)

    def offsets(self) -> Offsets:
        """The beginning."""
        return Offsets(0, 0)


def made(
    release: Release, hint: int = 0, hasher: Callable[[int, int], int] = scattered, function: str = FAST64
) -> MirrorMap:
    """A map[int64]int64."""
    map_type = MapType(hasher, lambda a, b: a == b, function, group_size=136, slot_size=16)
    return MirrorMap.make(map_type, release, Numbered(), hint)


def contents(mirror: MirrorMap) -> dict[int, int]:
    """All entries, by an iteration."""
    iteration, found = Iter.begin(mirror, mirror.chance), {}
    while iteration.next():
        assert iteration.key not in found
        found[iteration.key] = iteration.elem
    return found


def test_hints_make_tables_whose_slots_are_rounded_down_before_they_are_rounded_up():
    shapes = {}
    for hint in (0, 8, 9, 14, 15, 448, 449, 896, 897, 1793, 1 << 40):
        mirror = made(GO127, hint)
        shapes[hint] = (len(mirror.directory), mirror.directory[0].capacity if mirror.directory else 0)
    assert shapes == {
        0: (0, 0), 8: (0, 0), 9: (1, 16), 14: (1, 16), 15: (1, 32), 448: (1, 512), 449: (1, 1024), 896: (1, 1024),
        897: (2, 512), 1793: (4, 512), 1 << 40: (0, 0),
    }  # fmt: skip


@pytest.mark.parametrize(("release", "slots"), [(GO124, 16), (GO126, 16), (GO127, 0)])
def test_an_update_of_a_full_group_makes_a_table_until_1_26(release: Release, slots: int):
    mirror = made(release)
    for key in range(8):
        mirror.assign(key, key)
    assert mirror.small
    mirror.assign(3, 33)
    assert sum(table.capacity for table in mirror.tables()) == slots
    assert contents(mirror) == {key: key for key in range(8)} | {3: 33}


def test_all_numbers_stay_consistent_through_random_operations():
    chance, mirror, expected = unforeseen(), made(GO127), dict[int, int]()
    for number in range(12_000):
        key = chance.randrange(4000)
        if chance.random() < 0.3 and expected:
            mirror.delete(key)
            expected.pop(key, None)
        else:
            mirror.assign(key, number)
            expected[key] = number
        if number % 1000 == 0:
            hold_together(mirror, chance)
    hold_together(mirror, chance)
    assert len(mirror.directory) >= 4
    assert contents(mirror) == expected
    for key in range(4000):
        found = mirror.find(key)
        assert (None if found is None else found[0].elems[found[1]]) == expected.get(key)


def hold_together(mirror: MirrorMap, chance: Random) -> None:
    """Recount everything that the model counts."""
    assert mirror.used == sum(table.used for table in mirror.tables()) or mirror.small
    at = 0
    for table in mirror.tables():
        assert table.used == sum(1 for _ in table.groups.full())
        assert table.tombstones == table.groups.ctrl.count(DELETED)
        assert 0 <= table.growth_left <= most_entries(table.capacity)
        entries = 1 << mirror.global_depth - table.local_depth
        assert table.index == at
        assert all(each is table for each in mirror.directory[at : at + entries])
        at += entries
    assert at == len(mirror.directory)


def test_one_home_group_for_all_keys_overflows_into_the_others():
    mirror = made(GO127, 40, hasher=lambda key, seed: key & 0x7F)
    for key in range(50):
        mirror.assign(key, key)
    (table,) = mirror.tables()
    assert [table.groups.keys[8 * group] for group in list(table.groups.path(0))[:7]] == [0, 8, 16, 24, 32, 40, 48]


@pytest.mark.parametrize(
    ("release", "function", "capacity"), [(GO124, FAST64, 128), (GO125, FAST64, 64), (GO125, GENERIC, 128)]
)
def test_a_table_full_of_tombstones_is_pruned_by_fast_functions_since_1_25(
    release: Release, function: str, capacity: int
):
    # A key's number says its group: each gets seven keys, then one of them an eighth. Only that one gets tombstones.
    mirror = made(release, 56, hasher=lambda key, seed: (key % 8) << 7, function=function)
    for key in range(56):
        mirror.assign(key, key)
    (table,) = mirror.tables()
    mirror.delete(2)
    assert (table.growth_left, table.tombstones) == (1, 0)
    mirror.assign(64, 64)
    for key in range(0, 56, 8):
        mirror.delete(key)
    assert (table.growth_left, table.tombstones) == (0, 7)
    mirror.assign(1001, 1)
    (after,) = mirror.tables()
    assert (after.capacity, after.tombstones) == (capacity, 0)


@pytest.mark.parametrize(("release", "stale"), [(GO124, 0), (GO125, 3), (GO126, 0)])
def test_clear_leaves_stale_keys_where_a_group_has_no_entry_and_the_release_looks(release: Release, stale: int):
    mirror = made(release, 28, hasher=lambda key, seed: (key % 4) << 7)
    for key in range(16):
        mirror.assign(key + 1, key)
    for key in (4, 8, 12, 16):
        mirror.delete(key)
    mirror.delete(1)
    mirror.clear()
    (table,) = mirror.tables()
    assert sum(key is not None for key in table.groups.keys) == (4 if stale else 0)
    assert (mirror.used, mirror.clear_seq, table.growth_left) == (0, 1, 28)


@pytest.mark.parametrize(("release", "same"), [(GO124, False), (GO125, True)])
def test_a_clone_keeps_seed_and_tables_since_1_25(release: Release, same: bool):
    mirror = made(release)
    for key in range(3000):
        mirror.assign(key, key)
    for key in range(2900):
        mirror.delete(key)
    twin = clone(mirror)
    assert contents(twin) == contents(mirror) == {key: key for key in range(2900, 3000)}
    assert (twin.seed == mirror.seed) is same
    assert (len(twin.directory) == len(mirror.directory)) is same
    assert twin.tombstone_possible is same
    twin.assign(1, 1)
    assert mirror.find(1) is None


def test_an_iteration_over_a_growing_map_shows_what_was_there_once_and_what_was_deleted_never():
    mirror = made(GO127)
    for key in range(800):
        mirror.assign(key, key)
    iteration, seen = Iter.begin(mirror, mirror.chance), []
    for _ in range(100):
        assert iteration.next()
        seen.append(iteration.key)
    for key in range(800, 3000):
        mirror.assign(key, key)
    gone = [key for key in range(0, 800, 3) if key not in seen]
    for key in gone:
        mirror.delete(key)
    mirror.assign(1, -1)
    while iteration.next():
        seen.append(iteration.key)
        assert iteration.elem == (-1 if iteration.key == 1 else iteration.key)
    assert len(seen) == len(set(seen))
    assert set(range(800)) - set(gone) <= set(seen)
    assert not set(gone) & set(seen)


def test_tombstones_that_new_keys_take_first_are_not_foretold_to_be_pruned():
    def coming(growth_left: int, tombstones: int, removable: int) -> str:
        columns = [[512], [growth_left], [0], [tombstones]]
        capacity, left, depth, deleted = (np.array(column, np.int64) for column in columns)
        room = Room(capacity, left, depth, deleted, np.array([0.5]), np.array([removable], np.int64))
        return next_of_tables(room, 0).kind

    # Half of the new keys take a tombstone: one for each empty slot that may be taken. 52 of 512 slots are a tenth.
    assert coming(0, 100, 52) == "prune"
    assert coming(0, 100, 51) == "double"
    assert coming(48, 100, 100) == "prune"
    assert coming(49, 100, 100) == "double"
    assert coming(10, 100, 55) == "double"
