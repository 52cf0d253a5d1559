"""One changed byte: what the single view says of its map, and what a census says."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.damaged.images import Image
from benchmarks.damaged.places import Range, ranges_of
from inspector.census import CensusMap, take_census
from inspector.errors import EXIT_INCONSISTENT, EXIT_PARTIAL, InspectError
from inspector.inspection.one_map import inspect
from inspector.target.run import Run

Said = Literal["listed", "evidence", "counted", "nothing"]
"""What a census says of a damaged map: inconsistent, with exit code 1; a candidate with evidence, with exit code 3; a
candidate, with exit code 0; nothing."""

TOLD = ("listed", "evidence")


@dataclass(frozen=True)
class Change:
    """A byte of one map that is changed."""

    image: Image
    map: CensusMap
    part: str
    address: int
    before: int
    after: int

    def __str__(self) -> str:
        return (
            f"{self.image.name}: {self.map.type} with {self.map.count} entries at {self.map.address:#x}, {self.part}: "
            f"{self.before:#04x} -> {self.after:#04x} at {self.address:#x}"
        )


@dataclass(frozen=True)
class Outcome:
    """Whether the single view sees a change, and what the census says of it (nothing is asked where it does not)."""

    change: Change
    seen: bool
    said: Said = "nothing"

    @property
    def told(self) -> bool:
        """Whether the census tells."""
        return self.said in TOLD


class Dice:
    """Random changes of the maps of an image, spread evenly over parts of maps, then over maps, then over bytes."""

    def __init__(self, image: Image, dice: random.Random) -> None:
        self.image, self.dice = image, dice
        run = Run(image.target, None)
        self.parts: dict[str, list[tuple[CensusMap, list[Range]]]] = defaultdict(list)
        for one in image.maps:
            try:
                go_type = run.types.find_map_type(one.type)
            except InspectError:
                continue
            ranges = ranges_of(run, run.family.take_snapshot(run.source(), one.address, go_type, 0))
            by_part: dict[str, list[Range]] = defaultdict(list)
            for each in ranges:
                by_part[each.part].append(each)
            for part, some in by_part.items():
                self.parts[part].append((one, some))

    def changes(self, count: int) -> Iterator[Change]:
        """Throw so many."""
        names = sorted(self.parts)
        for _ in range(count):
            part = self.dice.choice(names)
            one, ranges = self.dice.choice(self.parts[part])
            chosen = self.dice.choice([each for each in ranges if each.size])
            address = chosen.address + self.dice.randrange(chosen.size)
            before = self.image.target.memory.read(address, 1)[0]
            after = self.dice.choice([before ^ 1 << self.dice.randrange(8), *(self.dice.randrange(256),) * 2])
            if after != before:
                yield Change(self.image, one, part, address, before, after)


def try_out(change: Change) -> Outcome:
    """Make one change, look at the map by its address with its right type, and take a census if that sees it."""
    target = change.image.with_byte(change.address, change.after)
    try:
        seen = inspect(target, f"{change.map.address:#x}", change.map.type, 0).judgement.verdict == "inconsistent"
    except InspectError:
        # It says that this is not a map header, and why.
        seen = True
    if not seen:
        return Outcome(change, False)
    census = take_census(target)
    row = next((one for one in census.maps if one.address == change.map.address), None)
    if row is not None and row.verdict == "inconsistent":
        assert census.exit_code == EXIT_INCONSISTENT
        return Outcome(change, True, "listed")
    candidate = next((one for one in census.unproven if one.address == change.map.address), None)
    if candidate is None:
        return Outcome(change, True)
    if candidate.evidence:
        assert census.exit_code in (EXIT_INCONSISTENT, EXIT_PARTIAL)
    return Outcome(change, True, "evidence" if candidate.evidence else "counted")
