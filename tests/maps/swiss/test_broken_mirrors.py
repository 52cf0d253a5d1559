"""Mirrors that are wrong on purpose: the replay sees each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures import SWISS_RELEASES, Toolchain
from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS
from inspector.maps.swiss.mirror import model, slots, table
from inspector.maps.swiss.mirror.growth import Made
from inspector.maps.swiss.mirror.iteration import Iter
from inspector.maps.swiss.mirror.maptype import MapType
from inspector.maps.swiss.mirror.model import MirrorMap
from inspector.maps.swiss.mirror.slots import Slots
from inspector.maps.swiss.mirror.table import Table
from tests.support.chance import unforeseen
from tests.support.swissreplay import Comparison, Process, Replay, Step, Strayed, processing
from tests.support.swissscripts import Player, steps_of_tour

GO124, GO125, GO126, GO127 = SWISS_RELEASES

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Tape:
    """A process that has taken the tour, and all its steps."""

    process: Process
    steps: list[Step]


Tapes = Callable[[str, Toolchain], Tape]


@pytest.fixture(scope="module")
def tapes() -> Iterator[Tapes]:
    """Records a tour for each kind and toolchain, once."""
    known: dict[tuple[str, Toolchain], Tape] = {}
    with ExitStack() as stack:

        def tape(kind: str, toolchain: Toolchain) -> Tape:
            if (kind, toolchain) not in known:
                process = stack.enter_context(processing(kind, toolchain))
                process.steps = []
                steps_of_tour(Player(Replay(process), unforeseen()))
                known[kind, toolchain] = Tape(process, process.steps)
            return known[kind, toolchain]

        yield tape


def first_difference(tape: Tape) -> str | None:
    """What a mirror that follows the tape has otherwise than memory, when that is seen first."""
    try:
        replay = Replay(tape.process, tape.steps[0])
        for step in tape.steps[1:]:
            replay.follow(step)
            found = Comparison(replay, step.taken).run() if step.taken else Comparison(replay, None).run_of_iteration()
            if found:
                return found[0]
    except (Strayed, ValueError, IndexError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def after(owner: Any, name: str, wrong: Callable[..., Any]) -> Patch:
    """A method that does what it should, and then something wrong, which gets its result and its arguments."""
    right = getattr(owner, name)

    def both(*arguments: Any) -> Any:
        result = right(*arguments)
        changed = wrong(result, *arguments)
        return result if changed is None else changed

    return owner, name, both


# What is wrong


def shallow_halves(_: Any, over: MirrorMap, old: Table, left: Table, right: Table) -> None:
    left.local_depth = right.local_depth = old.local_depth


def swapped_halves() -> Patch:
    right_one = MirrorMap._install_split
    return MirrorMap, "_install_split", lambda over, old, left, right: right_one(over, old, right, left)


def same_index(_: Any, over: MirrorMap, old: Table, left: Table, right: Table) -> None:
    right.index = left.index


def halved_indices(_: Any, over: MirrorMap) -> None:
    for each in over.tables():
        each.index //= 2


def old_shift(_: Any, over: MirrorMap) -> None:
    over.global_shift += 1


def live_index(_: Any, over: MirrorMap, old: Table, *__: Any) -> None:
    old.index = 0


def growth_left_stays(_: Any, of: Table, *__: Any) -> None:
    of.growth_left += 1


def used_stays(_: Any, of: Table, *__: Any) -> None:
    of.used -= 1


def paid_tombstone() -> Patch:
    right = Table.put_slot

    def put_slot(of: Table, *arguments: Any) -> int | None:
        before = of.groups.ctrl.count(DELETED)
        added = right(of, *arguments)
        if added and of.groups.ctrl.count(DELETED) == before - 1:
            of.growth_left -= 1
        return added

    return Table, "put_slot", put_slot


def last_free(of: Slots, group: int) -> int | None:
    every = range((group + 1) * GROUP_SLOTS - 1, group * GROUP_SLOTS - 1, -1)
    return next((slot for slot in every if of.ctrl[slot] >= EMPTY), None)


def deleting(wrong: Callable[[Table, int, int], int | None]) -> Patch:
    """A deletion that does what it should, and then something wrong to the slot that it was about."""
    right = Table.delete

    def delete(of: Table, hash_value: int, key: Any) -> int | None:
        slot = of.find(hash_value, key)
        left = right(of, hash_value, key)
        return left if slot is None or left is None else wrong(of, slot, left)

    return Table, "delete", delete


def always_tombstone(of: Table, slot: int, left: int) -> int:
    if left == EMPTY:
        of.groups.ctrl[slot] = DELETED
        of.growth_left -= 1
    return DELETED


def never_tombstone(of: Table, slot: int, left: int) -> int:
    if left == DELETED:
        of.groups.ctrl[slot] = EMPTY
        of.growth_left += 1
    return EMPTY


def room_for_tombstone(of: Table, slot: int, left: int) -> int:
    of.growth_left += left == DELETED
    return left


def element_stays(of: Table, slot: int, left: int) -> int:
    of.groups.elems[slot] = 1
    return left


def silent_tombstone(of: Table, slot: int, left: int) -> int:
    return EMPTY


def old_key() -> Patch:
    right = Table.put_slot

    def put_slot(of: Table, hash_value: int, key: Any, *rest: Any) -> int | None:
        slot = of.find(hash_value, key)
        before = None if slot is None else of.groups.keys[slot]
        added = right(of, hash_value, key, *rest)
        if slot is not None:
            of.groups.keys[slot] = before
        return added

    return Table, "put_slot", put_slot


def only_empty_needed(of: Table, seed: int) -> set[int]:
    return {group for group in range(of.groups.count) if of.groups.first_empty(group) is not None}


def reflect_as_compiled() -> Patch:
    right = MirrorMap.assign
    return MirrorMap, "assign", lambda over, key, elem, function=None: right(over, key, elem)


def old_seed() -> Patch:
    right = MirrorMap.delete

    def delete(over: MirrorMap, key: Any) -> None:
        seed = over.seed
        right(over, key)
        over.seed = seed

    return MirrorMap, "delete", delete


def flag_stays() -> Patch:
    right = MirrorMap.clear

    def clear(over: MirrorMap) -> None:
        before = over.tombstone_possible
        right(over)
        over.tombstone_possible = before

    return MirrorMap, "clear", clear


def uncounted(_: Any, over: MirrorMap) -> None:
    over.clear_seq = 0


def swept_clone(twin: Table, of: Table) -> None:
    twin.growth_left += twin.groups.ctrl.count(DELETED)
    twin.groups.ctrl[:] = twin.groups.ctrl.replace(bytes([DELETED]), bytes([EMPTY]))


def clone_without_stale_keys(twin: Table, of: Table) -> None:
    twin.groups.keys[:] = [k if c < EMPTY else None for k, c in zip(of.groups.keys, of.groups.ctrl, strict=True)]


def linear(of: Slots, hash_value: int) -> Iterator[int]:
    home = slots.h1(hash_value)
    return (home + step & of.count - 1 for step in range(of.count))


def from_above(of: Slots) -> Iterator[int]:
    return (slot for slot in range(len(of.ctrl) - 1, -1, -1) if of.ctrl[slot] < EMPTY)


def unscaled(hint: int) -> Made:
    return Made(1, max(16, 1 << (hint - 1).bit_length())) if 8 < hint <= 1024 else Made(0, 0)


def unfollowed(of: Iter, over: MirrorMap) -> None:
    of.global_depth = over.global_depth


def stale_yield(of: Iter, over: MirrorMap, groups: Slots, slot: int, replaced: bool) -> bool:
    of.key, of.elem = groups.keys[slot], groups.elems[slot]
    return True


INT, STRING, POINTER = ("int64", GO127), ("string", GO127), ("pointer", GO126)

BROKEN: dict[str, tuple[tuple[str, Toolchain], Patch]] = {
    "a split leaves the local depth as it was": (INT, after(MirrorMap, "_install_split", shallow_halves)),
    "a split mistakes its halves for each other": (INT, swapped_halves()),
    "the right half has the index of the left": (INT, after(MirrorMap, "_install_split", same_index)),
    "a doubled directory leaves the indices": (INT, after(MirrorMap, "_double_directory", halved_indices)),
    "a doubled directory leaves the shift": (INT, after(MirrorMap, "_double_directory", old_shift)),
    "growthLeft is not decreased": (INT, after(Table, "_fill", growth_left_stays)),
    "used of a table is not increased": (INT, after(Table, "_fill", used_stays)),
    "taking a tombstone costs room": (INT, paid_tombstone()),
    "tombstones are never taken": (INT, (Slots, "first_free", Slots.first_empty)),
    "the last free slot of a group is taken": (INT, (Slots, "first_free", last_free)),
    "a deletion always leaves a tombstone": (INT, deleting(always_tombstone)),
    "a deletion never leaves a tombstone": (INT, deleting(never_tombstone)),
    "a tombstone gives room back": (INT, deleting(room_for_tombstone)),
    "a deletion leaves an element": (INT, deleting(element_stays)),
    "a tombstone does not set tombstonePossible": (INT, deleting(silent_tombstone)),
    "a deletion clears a key without pointers": (INT, (MapType, "left_of", lambda of, key: None)),
    "a deletion leaves a key with pointers": (STRING, (MapType, "left_of", lambda of, key: key)),
    "an update leaves the key": (STRING, old_key()),
    "a table takes fifteen of sixteen slots": (INT, (table, "most_entries", lambda capacity: capacity * 15 // 16)),
    "a table takes all but one slot": (INT, (table, "most_entries", lambda capacity: capacity - 1)),
    "tables of 512 slots split": (INT, (model, "MAX_TABLE_CAPACITY", 512)),
    "tables of 1024 slots double": (INT, (model, "MAX_TABLE_CAPACITY", 2048)),
    "a first table has eight slots more": (INT, (model, "SMALLEST_CAPACITY", 32)),
    "pruning frees tombstones that paths need": (INT, (Table, "_needed_groups", only_empty_needed)),
    "pruning never happens": (INT, (model, "prunes", lambda function, release: False)),
    "pruning needs half of a table": (INT, (table, "will_prune", lambda size, deleted, free: free * 2 >= size)),
    "reflect prunes": (INT, reflect_as_compiled()),
    "every function prunes": (POINTER, (model, "prunes", lambda function, release: True)),
    "an update at eight entries makes a table": (INT, (Release, "update_converts_full_group", True)),
    "an update at eight entries makes none": (POINTER, (Release, "update_converts_full_group", False)),
    "an emptying deletion leaves the seed": (INT, old_seed()),
    "clear leaves tombstonePossible": (INT, flag_stays()),
    "clear does not count": (INT, after(MirrorMap, "clear", uncounted)),
    "clear leaves groups without entries": (("int64", GO124), (Release, "clear_passes_over_unused", True)),
    "clear zeroes every group": (("int64", GO125), (Release, "clear_zeroes_well_used", True)),
    "clear never zeroes a whole table": (INT, (Release, "clear_zeroes_well_used", False)),
    "a clone has no tombstones": (INT, after(Table, "clone", swept_clone)),
    "a clone has no stale keys": (INT, after(Table, "clone", clone_without_stale_keys)),
    "a path goes from group to group": (INT, (Slots, "path", linear)),
    "the group is chosen by other bits": (INT, (slots, "h1", lambda hash_value: hash_value >> 8)),
    "a table moves its entries from above": (INT, (Slots, "full", from_above)),
    "a hint leaves no room": (INT, (model, "made_for", unscaled)),
    "an iteration does not see a directory double": (INT, (Iter, "_follow_directory", unfollowed)),
    "an iteration shows what was replaced": (INT, (Iter, "_yield", stale_yield)),
}
"""What is wrong with each mirror: whose tape shows it, and the patch."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "toolchain"),
    [
        pytest.param(*tape, id=f"{tape[0]}-{tape[1].name}")
        for tape in dict.fromkeys(tape for tape, _ in BROKEN.values())
    ],
)
def test_a_mirror_that_is_right_follows_the_tour(kind: str, toolchain: Toolchain, tapes: Tapes):
    tape = tapes(kind, toolchain)
    assert first_difference(tape) is None
    assert sum(step.taken is not None for step in tape.steps) > 50


@pytest.mark.slow
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_mirror_is_seen(what: str, tapes: Tapes, monkeypatch: pytest.MonkeyPatch):
    (kind, toolchain), (owner, name, wrong) = BROKEN[what]
    tape = tapes(kind, toolchain)
    monkeypatch.setattr(owner, name, wrong)
    found = first_difference(tape)
    assert found is not None
    print(f"{what}: {found}")
