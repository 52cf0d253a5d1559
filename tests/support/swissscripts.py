"""Random scripts of operations on a Swiss map, made up while a mirror follows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from inspector.goruntime.swissgroup import EMPTY
from tests.support.swissreplay import WITH_NANS, Replay

CHARACTERS = ("grow", "press", "press", "large", "churn", "shrink", "empty", "update", "clear", "clone", "make")
HINTS = (0, 8, 9, 14, 30, 100, 440, 449, 890, 897, 1795, 3000)

LIMITS = (14, 28, 56, 112, 224, 448, 896)
"""Entries at which tables of each capacity are full."""

MOST_FOR_CLONE = 896
"""Entries of a map with NaNs that 1.24 clones: the clone has one table, which does not grow meanwhile.

In a table that splits a NaN gets another hash: where it lay before, and what it pushed aside there, is lost.
"""


@dataclass(frozen=True)
class Part:
    """A stretch of operations of one character, with keys below `keys`."""

    character: str
    length: int
    keys: int
    loops: bool


def random_part(chance: Random) -> Part:
    """Some stretch."""
    return Part(
        chance.choice(CHARACTERS),
        chance.choice([5, 20, 60, 150, 400]),
        chance.choice([6, 14, 50, 120, 400, 1000, 4096]),
        chance.random() < 0.4,
    )


class Player:
    """Plays parts of a script; it knows which keys the map holds."""

    def __init__(self, replay: Replay, chance: Random) -> None:
        self.replay, self.chance = replay, chance
        self.process = replay.process
        self.present: dict[int, int] = {}  # the original's number: the number last stored under
        self.stored = 0
        self.count = 0
        self.falling = 0

    def play(self, part: Part) -> Iterator[int]:
        """Do the part's operations; after each step of the process, how many have been done in all."""
        if part.character in ("clear", "clone", "make"):
            self._whole(part)
            yield self.count
        if part.character == "press":
            yield from self.fill(self.chance.choice(LIMITS))
        if part.character == "large":
            yield from self.fill(self.chance.randrange(900, 3500))
        for _ in range(part.length):
            if part.loops and self.chance.random() < 0.2:
                self._do(self.chance.choice(["loop", "step", "step", "step"]))
            elif self.chance.random() < 0.1:
                self._harmless(part)
            elif self._falls(part):
                self._delete()
            elif part.character == "update" and self.present:
                self._set(self.present[self.chance.choice(list(self.present))])
            else:
                self._set(self._avoiding() if part.character == "press" else self.chance.randrange(part.keys))
            yield self.count
            if part.character == "empty" and not self.present:
                return

    def fill(self, entries: int) -> Iterator[int]:
        """Set new keys until there are so many entries, or nearly."""
        numbers = [n for n in range(self.process.number) if self.process.originals[n] not in self.present]
        self.chance.shuffle(numbers)
        for number in numbers[: max(entries - self.replay.map.used, 0)]:
            self._set(number)
            yield self.count

    # A tour, part by part

    def make(self, hint: int) -> None:
        """Begin with a new map."""
        self._do("make", hint)
        self.present.clear()

    def to_the_first_table(self) -> Iterator[None]:
        """Fill a small map, delete and update in it, and write to it until it has a table."""
        for _ in self.fill(6):
            yield
        self._delete()
        self._do("loop")
        for _ in self.fill(8):
            yield
        self._set(min(self.present.values()))
        yield
        for _ in self.fill(40):
            self._do("step")
            yield
        self._do("clone")
        yield

    def through_the_tables(self) -> Iterator[None]:
        """Let tables double and split while iterations go on, leave tombstones, take them, and clone."""
        for entries in (200, 890, 1000, 2000):
            self._do("loop")
            for done in self.fill(entries):
                if done % 7 == 0:
                    self._do("step")
                if done % 11 == 0:
                    self._set(self.chance.choice(list(self.present.values())))
                if done % 100 == 0:
                    yield
        self._do("loop")
        for number in range(700):
            self._delete()
            if number % 5 == 0:
                self._do("step")
            if number % 100 == 0:
                yield
        for number in range(400):
            if number == 200 and self._may_clone():
                self._do("clone")
                yield
            self._set(self.chance.randrange(self.process.number))
            if number % 100 == 0:
                yield
        self._do("clear")
        yield

    def to_a_full_table(self, function: str, capacity: int) -> Iterator[None]:
        """Fill a table, make many tombstones, and take its room until it is pruned or grows."""
        self.make(capacity * 7 // 8)
        for _ in self.fill(capacity * 7 // 8):
            pass
        yield
        for _ in range(len(self.present) * 3 // 4):
            self._delete()
        yield
        mirror = self.replay.map
        while True:
            (table,) = mirror.tables()
            before = table.growth_left
            self._set(self._avoiding(), function)
            if mirror.tables() != [table] or table.growth_left > before:
                break
        yield
        for _ in range(30):
            self._set(self._avoiding())
        yield

    def to_a_cleared_map(self) -> Iterator[None]:
        """Clear a map with a group that has lost its entries, and one with few; delete all that a map has."""
        for entries, deleted in ((100, 0), (100, 90)):
            self.make(0)
            for _ in self.fill(entries):
                pass
            (table,) = self.replay.map.tables()
            inside = {self.process.originals[key] for key in table.groups.keys[:8] if key is not None}
            for first in sorted(first for first in inside if first in self.present):
                self._do("delete", self.present.pop(first))
            for _ in range(deleted - len(inside)):
                self._delete()
            yield
            self._do("clear")
            self.present.clear()
            yield
        findable = [number for number, first in enumerate(self.process.originals) if first is not None]
        for number in findable[:14]:
            self._set(number)
        while self.present:
            self._delete()
        yield
        self._do("clear")
        yield

    def _falls(self, part: Part) -> bool:
        if part.character == "press":
            return self._burst()
        if part.character == "churn":
            return len(self.present) > part.keys // 2
        return part.character in ("shrink", "empty") and bool(self.present)

    def _burst(self) -> bool:
        """Whether to delete: many entries, once a table is full. Their tombstones fill it again soon."""
        tables = self.replay.map.tables()
        if not self.falling and min((table.growth_left for table in tables), default=1) == 0:
            self.falling = len(self.present) // self.chance.choice([2, 2, 3, 4, 8, 20])
        self.falling = max(min(self.falling, len(self.present)) - 1, 0)
        return self.falling > 0

    def _avoiding(self) -> int:
        """A new key whose path meets no tombstone, if one is found quickly: it needs room, or a table that grows."""
        mirror, number = self.replay.map, 0
        for _ in range(50):
            number = self.chance.randrange(self.process.number)
            first = self.process.originals[number]
            hash_value = self.process.hash(number, mirror.seed)
            if first is None or first in self.present or hash_value is None or mirror.small:
                continue
            groups = mirror.table_of(hash_value).groups
            free = next(slot for group in groups.path(hash_value) if (slot := groups.first_free(group)) is not None)
            if groups.ctrl[free] == EMPTY:
                break
        return number

    def _whole(self, part: Part) -> None:
        """Operations that concern the map as a whole."""
        if part.character == "clone" and self._may_clone():
            self._do("clone")
            return
        if part.character == "clear":
            self._do("clear")
        else:
            self.make(self.chance.choice([*HINTS, part.keys]))
        self.present.clear()

    def _may_clone(self) -> bool:
        copies = self.process.release.clone_copies_tables
        return copies or self.process.kind not in WITH_NANS or self.replay.map.used <= MOST_FOR_CLONE

    def _harmless(self, part: Part) -> None:
        """Reads, deletions of what may not be there, and assignments to what is."""
        number = self.chance.randrange(part.keys)
        what = self.chance.choice(["get", "delete", "set"])
        if what == "set" and self.present:
            self._set(self.present[self.chance.choice(list(self.present))])
        elif what == "delete":
            first = self.process.originals[number]
            self._do("delete", number)
            if first is not None:
                self.present.pop(first, None)
        else:
            self._do("get", number)

    def _set(self, number: int, function: str | None = None) -> None:
        """Store an element that no other entry has."""
        self.stored += 1
        first = self.process.originals[number]
        if first is not None:
            self.present[first] = number
        by_chance = "reflect" if self.chance.random() < 0.1 else "set"
        self._do(function or by_chance, number, self.stored)

    def _delete(self) -> None:
        """Delete one of the keys that are there; where there is none, store one."""
        if self.present:
            first = self.chance.choice(list(self.present))
            self._do("delete", self.present.pop(first))
        else:
            self._set(self.chance.randrange(50))

    def _do(self, *command: Any) -> None:
        self.replay.do(*command)
        self.count += 1


def play(player: Player, operations: int) -> Iterator[int]:
    """Play random parts until so many operations are done."""
    while player.count < operations:
        for done in player.play(random_part(player.chance)):
            yield done
            if done >= operations:
                return


def tour(player: Player) -> Iterator[None]:
    """Everything that a map can do, once at least; yields where memory should be held against the mirror."""
    for hint in (8, 9, 15, 897, 0):
        player.make(hint)
        yield
    yield from player.to_the_first_table()
    yield from player.through_the_tables()
    for function, capacity in (("set", 512), ("reflect", 512), ("set", 64)):
        yield from player.to_a_full_table(function, capacity)
    yield from player.to_a_cleared_map()


def steps_of_tour(player: Player) -> int:
    """Take the tour; compare at each of its stops, and return how many there were."""
    stops = 0
    for _ in tour(player):
        found = player.replay.differences()
        assert found == [], f"after {player.count} operations: {found}"
        stops += 1
    return stops
