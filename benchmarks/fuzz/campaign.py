"""Cases: which image is damaged where, and what is asked of it. A seed and a number decide everything."""

from __future__ import annotations

import random
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.damage import certain_damage, damage
from benchmarks.fuzz.images import Change, Copies, Image, images
from benchmarks.fuzz.places import SEGMENTS, Place, Places, find_places
from benchmarks.fuzz.trying import Outcome, Question, answer, attempt

CERTAIN = "certain"
KINDS = (
    CERTAIN, "header", "buckets", "groups", "tables", "directory", "extra", "tophash", "control", "types",
    "moduledata", "pclntab", "hashkeys", "spans", "goroutines", "elf", "programheaders", "sectionheaders", "notes",
    "dwarf", "symbols", "buildinfo", SEGMENTS,
)  # fmt: skip
"""What is damaged. In "certain" it is a byte that has only one sound value."""

HEAP = ("spans", "goroutines", "moduledata")
NAMES = ("dwarf", "symbols", "sectionheaders")
SMALL = 0.35
"""How many of the cases take a small program, which a census reads as well."""


@dataclass(frozen=True)
class Case:
    """One damaged image, what was asked, and how that ended."""

    number: int
    image: str
    kind: str
    changes: list[Change]
    question: Question
    outcome: Outcome

    def __str__(self) -> str:
        changes = "; ".join(map(str, self.changes))
        asked = f"{changes}; asked: {self.question}; {self.outcome.sort}: {self.outcome.what}"
        return f"case {self.number}, {self.image}, {self.kind}: {asked}"


class Campaign:
    """Damages the images of some families in some kinds of places; `folder` is for their copies."""

    def __init__(self, seed: int, families: Sequence[str], kinds: Sequence[str], folder: Path) -> None:
        self.seed, self.kinds = seed, kinds
        self.copies = [Copies(image, folder) for family in families for image in images(family)]
        self.places = [find_places(each.image) for each in self.copies]

    def run(self, number: int) -> Case:
        """Try one case in a process of its own."""
        copies, kind, changes, question = self._case(number)
        with copies.damaged(changes):
            outcome = attempt(copies, question)
        if kind == CERTAIN and (outcome.sort, outcome.what) == ("verdict", "consistent"):
            outcome = Outcome("wrong", "consistent, but it cannot be", seconds=outcome.seconds, memory=outcome.memory)
        return Case(number, copies.image.name, kind, changes, question, outcome)

    def repeat(self, number: int, keep: Path | None) -> bool:
        """Try one case in this process and say everything; returns whether it failed."""
        copies, kind, changes, question = self._case(number)
        print(f"case {number}: {copies.image.name}, {kind}; asked: {question}")
        for change in changes:
            print(f"  {change}")
        with copies.damaged(changes):
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                for path in copies.paths.values():
                    shutil.copy(path, keep)
                print(f"kept in {keep}")
            try:
                outcome = answer(copies, question)
            except Exception:
                traceback.print_exc()
                return True
        print(f"{outcome.sort}: {outcome.what} {outcome.details}")
        for each in outcome.unchecked:
            print(f"  not judged: {each}")
        return kind == CERTAIN and outcome.what == "consistent"

    def _case(self, number: int) -> tuple[Copies, str, list[Change], Question]:
        """What a case is, from the seed and its number alone."""
        chance = random.Random(f"{self.seed}/{number}")
        while True:
            kind = chance.choice(self.kinds)
            small = chance.random() < SMALL
            fitting = [
                at
                for at, each in enumerate(self.copies)
                if each.image.small == small and (self.places[at].certain if kind == CERTAIN else self._has(at, kind))
            ]
            if fitting:
                break
        at = chance.choice(fitting)
        copies, places = self.copies[at], self.places[at]
        if kind == CERTAIN:
            certain = chance.choice(places.certain)
            changes, place = certain_damage(chance, certain, copies), certain.place
            return copies, kind, changes, self._by_type(copies.image, place.map)
        changes = damage(chance, kind, places, copies)
        return copies, kind, changes, self._question(chance, copies.image, kind, places, changes)

    def _has(self, at: int, kind: str) -> bool:
        return bool(self.places[at].kinds.get(kind))

    def _by_type(self, image: Image, number: int | None) -> Question:
        assert number is not None
        told = image.maps[number]
        return Question("type", told["address"], told["type"])

    def _question(
        self, chance: random.Random, image: Image, kind: str, places: Places, changes: list[Change]
    ) -> Question:
        hit = _map_of(places.kinds[kind], changes[0])
        told = image.maps[hit] if hit is not None else chance.choice([m for m in image.maps if int(m["address"], 16)])
        ways = ["type"] * 4 + ["bare"] * (4 if kind in HEAP else 2) + ["key"]
        if not image.stripped and told["variable"]:
            ways += ["name"] * (8 if kind in NAMES else 2)
        if image.small:
            ways += ["census"] * (6 if kind in (*HEAP, *NAMES) else 3)
        way = chance.choice(ways)
        if way == "name":
            return Question(way, told["variable"])
        if way == "census":
            return Question(way)
        key = chance.choice(('"key-1"', "7", "true", "1.5", "{}"))
        if told["type"].startswith("map[string"):
            key = '"key-1"'
        elif told["type"].startswith(("map[int", "map[uint")):
            key = "7"
        typed = way == "type" or (way == "key" and chance.random() < 0.5)
        return Question(way, told["address"], told["type"] if typed else None, key if way == "key" else "")


def _map_of(places: list[Place], change: Change) -> int | None:
    """The map that a damaged byte belongs to."""
    holding = (p for p in places if p.file == change.file and p.offset <= change.offset < p.offset + p.size)
    return next((place.map for place in holding if place.map is not None), None)
