"""Small maps of one type judged together, where the target stands still.

A family says which of them are sound. Of those that look the same to a census, one is judged by the rules themselves,
and the others are listed like it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inspector.census.claim import Claim, Examined, Marks, same_as
from inspector.census.model import CensusMap
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import is_sync_map
from inspector.gotypes.table import BadType
from inspector.target.run import Run

LEAST = 8
"""So many maps of one type make a crowd."""

AT_ONCE = 1 << 13
"""Maps that are judged together: some megabytes."""

Look = tuple[GoType, int, int]
"""What rows of small maps differ by: type, entries, form (see Crowd)."""

JudgeOne = Callable[[Claim], Examined]


@dataclass
class Crowds:
    """Judges crowds."""

    run: Run

    def __post_init__(self) -> None:
        self._models: dict[Look, CensusMap | None] = {}

    def examine(self, claims: list[Claim], judge_one: JudgeOne) -> dict[int, Examined]:
        """Find out what those of the claims are that are small and sound, by their numbers in the list.

        `judge_one` judges one map by the rules. It is not kept: a circle would keep the copy of a whole process.
        """
        alike: dict[GoType, list[int]] = defaultdict(list)
        for at, claim in enumerate(claims):
            if _of_one_layout(claim):
                alike[claim.types[0]].append(at)
        found: dict[int, Examined] = {}
        for go_type, numbers in alike.items():
            for first in range(0, len(numbers) if len(numbers) >= LEAST else 0, AT_ONCE):
                some = numbers[first : first + AT_ONCE]
                of_type = self._of_type(go_type, [claims[at] for at in some], judge_one)
                found.update((some[at], one) for at, one in of_type.items())
                self.run.target.relieve()
        return found

    def _of_type(self, go_type: GoType, claims: list[Claim], judge_one: JudgeOne) -> dict[int, Examined]:
        family = self.run.family
        addresses = np.array([claim.address for claim in claims], np.uint64)
        try:
            crowd = family.crowd(self.run.source(), addresses, go_type)
        except (BadType, MemoryError):
            return {}  # what each map is worth is found out one by one
        examined: dict[int, Examined] = {}
        for at in np.flatnonzero(crowd.sound).tolist():
            header = family.header_of(crowd.rows[at])
            # Nothing proves an empty map that nothing typed leads to.
            if claims[at].number is not None or header.count:
                look = go_type, header.count, int(crowd.forms[at])
                if look not in self._models:
                    examined[at] = judge_one(claims[at])
                    self._models[look] = _model(examined[at])
                elif (model := self._models[look]) is not None:
                    examined[at] = Examined(claims[at], same_as(model, claims[at]), Marks(header.storage, header.seed))
        return examined


def _of_one_layout(claim: Claim) -> bool:
    """Whether nothing but the keys' hashes is left to distinguish the types that a map may have."""
    first = claim.types[0]
    return not is_sync_map(first) and all(other.layout == first.layout for other in claim.types)


def _model(examined: Examined) -> CensusMap | None:
    """A row that other rows can be like; None where anything was found."""
    row = examined.row
    return row if row is not None and row.verdict == "consistent" and not row.findings else None
