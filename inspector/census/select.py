"""Which maps of a census are shown, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from inspector.census.model import CensusMap

Order = Literal["bytes", "waste", "count", "growing"]

ORDERS: dict[Order, Callable[[CensusMap], tuple[Any, ...]]] = {
    "bytes": lambda one: (-one.bytes.total,),
    "waste": lambda one: (-one.bytes.wasted,),
    "count": lambda one: (-one.count,),
    # Those in the middle of a growth first, and of them those that hold on to the largest old array.
    "growing": lambda one: (not one.growing, -one.bytes.parts.get("old", 0)),
}


@dataclass(frozen=True)
class Selection:
    """What the user asked for. `top` limits how many are shown; totals are of all that match."""

    sort: Order = "bytes"
    min_bytes: int = 0
    type_matches: re.Pattern[str] | None = None
    only_findings: bool = False
    top: int | None = None

    def matching(self, maps: tuple[CensusMap, ...]) -> list[CensusMap]:
        """The maps that match, in the order that was asked for."""
        return sorted(filter(self._matches, maps), key=lambda one: (*ORDERS[self.sort](one), one.address))

    def _matches(self, one: CensusMap) -> bool:
        if one.bytes.total < self.min_bytes or (self.only_findings and not one.findings):
            return False
        return self.type_matches is None or self.type_matches.search(one.type) is not None
