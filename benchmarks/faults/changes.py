"""One random change of one byte, whether it was seen, and what can be said of one that was not."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.faults import places, swiss_places
from benchmarks.faults.places import Places
from benchmarks.faults.subjects import Subject, Trial

PLACES_OF = {"classic": places.places_of, "swiss": swiss_places.places_of}


@dataclass(frozen=True)
class Change:
    """A byte of one map that is changed."""

    subject: Subject
    field: str
    address: int
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.field}: {self.before:#04x} -> {self.after:#04x} at {self.address:#x}"


@dataclass(frozen=True)
class Outcome:
    """How a changed map was judged."""

    change: Change
    trial: Trial

    @property
    def new_rules(self) -> set[str]:
        """Rules that the change broke."""
        return self.trial.rules - self.change.subject.healthy.rules

    @property
    def seen(self) -> bool:
        """Whether the verdict or a finding tells of the change."""
        return bool(self.new_rules) or self.trial.judgement.verdict != "consistent"


@dataclass(frozen=True)
class Reason:
    """Why the runtime could have produced the changed map; `holds` says whether it is so here.

    `informs` is false where the byte says nothing of the map at all: each of its values is as good as any other.
    """

    text: str
    holds: Callable[[Outcome], bool]
    informs: bool = True


def try_out(change: Change) -> Outcome:
    """Judge the map with the byte changed."""
    return Outcome(change, change.subject.judged({change.address: change.after}))


class Dice:
    """Random changes, spread evenly over fields, then over states, then over the maps that have the field."""

    def __init__(self, subjects: list[Subject], seed: int) -> None:
        self._dice = random.Random(seed)
        self._by_field: dict[str, dict[str, list[tuple[Subject, Places]]]] = defaultdict(lambda: defaultdict(list))
        for subject in subjects:
            found = PLACES_OF[subject.family](subject)
            for field in found:
                self._by_field[field][subject.state].append((subject, found))

    @property
    def fields(self) -> list[str]:
        """Fields that at least one of the maps has."""
        return list(self._by_field)

    def changes(self, count: int, fields: list[str] | None = None) -> Iterator[Change]:
        """Throw `count` changes of these fields (of all, if none are named)."""
        names = fields or self.fields
        for number in range(count):
            yield self._change(names[number % len(names)])

    def _change(self, field: str) -> Change:
        states = self._by_field[field]
        subject, places = self._dice.choice(states[self._dice.choice(list(states))])
        address = int(self._dice.choice(places[field]))
        before = subject.byte(address)
        return Change(subject, field, address, before, self._dice.choice([b for b in range(256) if b != before]))
