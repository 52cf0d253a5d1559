"""Which maps of a census are shown, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from inspector.census.groups import Group, by_place, find_group, place_of
from inspector.census.model import Census, CensusMap, total
from inspector.settings import Order

ORDERS: dict[Order, Callable[[CensusMap], tuple[Any, ...]]] = {
    "bytes": lambda one: (-one.bytes.total,),
    "waste": lambda one: (-one.bytes.wasted,),
    "count": lambda one: (-one.count,),
    # Those in the middle of a growth first, and of them those that hold on to the largest old array.
    "growing": lambda one: (not one.growing, -one.bytes.parts.get("old", 0)),
}

GROUP_ORDERS: dict[Order, Callable[[Group], tuple[Any, ...]]] = {
    "bytes": lambda group: (-group.sum.bytes,),
    "waste": lambda group: (-group.sum.wasted,),
    "count": lambda group: (-group.sum.entries,),
    "growing": lambda group: (-group.sum.growing, -group.sum.bytes),
}


@dataclass(frozen=True)
class Selection:
    """What the user asked for. `top` limits how many are shown; totals are of all that match.

    `group` is the name of the only group whose maps are shown (see groups.py).
    """

    sort: Order = "bytes"
    min_bytes: int = 0
    type_matches: re.Pattern[str] | None = None
    only_findings: bool = False
    top: int | None = None
    group: str | None = None

    @property
    def filters(self) -> bool:
        """Whether some maps may be left out."""
        return bool(self.min_bytes or self.only_findings or self.type_matches or self.group is not None)

    def resolved(self, maps: tuple[CensusMap, ...]) -> Selection:
        """The selection with its group as the list of groups names it; raises UsageError where there is none."""
        if self.group is None or not maps:
            return self
        places = ((place_of(one), one.bytes.total) for one in maps)
        return replace(self, group=find_group(self.group, places))

    def matching(self, maps: tuple[CensusMap, ...]) -> list[CensusMap]:
        """The maps that match, in the order that was asked for."""
        return sorted(filter(self._matches, maps), key=lambda one: (*ORDERS[self.sort](one), one.address))

    def groups(self, census: Census) -> list[Group]:
        """The maps that match, grouped by where they hang, in the order that was asked for."""
        groups = by_place(filter(self._matches, census.maps), total(census.maps).bytes, census.heap_in_use)
        return sorted(groups, key=lambda group: (*GROUP_ORDERS[self.sort](group), group.name))

    def _matches(self, one: CensusMap) -> bool:
        if one.bytes.total < self.min_bytes or (self.only_findings and not one.findings):
            return False
        if self.group is not None and place_of(one).name != self.group:
            return False
        return self.type_matches is None or self.type_matches.search(one.type) is not None
