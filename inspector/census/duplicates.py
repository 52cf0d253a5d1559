"""Strings that all maps of a census hold more than once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.census.contents import contents_of
from inspector.census.model import CensusMap
from inspector.census.select import Selection
from inspector.gotypes.gotype import GoType
from inspector.inspection.duplicates import Duplicates, StringCounter
from inspector.target.run import Run


@dataclass
class DuplicateSearch:
    """Asks all maps that are selected for their strings; `ask` fills in what was found, in so many `maps`."""

    selection: Selection
    found: Duplicates | None = None
    maps: int = 0

    def ask(self, run: Run, maps: tuple[CensusMap, ...], types: Mapping[int, GoType]) -> None:
        """See Question."""
        selected = self.selection.resolved(maps).matching(maps)
        counter = StringCounter(run.types, run.memory, run.regions())
        for part in contents_of(run, selected, types):
            counter.add(part.keys)
            counter.add(part.elems)
        self.maps, self.found = len(selected), counter.duplicates(self.selection.top)
