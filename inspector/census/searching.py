"""The entries of all maps whose keys, or elements, match a regular expression."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from inspector.census.contents import Contents, contents_of
from inspector.census.model import CensusMap
from inspector.census.select import Selection
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType
from inspector.gotypes.matching import Matcher
from inspector.gotypes.values import GoValue
from inspector.inspection.texts import Texts
from inspector.target.run import Run


@dataclass(frozen=True)
class Match:
    """One entry that was found: its map, its key as it can be typed (None where nothing leads to it), key and element.

    `address` is where the key's slot lies.
    """

    map: CensusMap
    literal: str | None
    key: GoValue
    value: GoValue
    address: int


@dataclass
class Search:
    """A search in all maps that are selected; `ask` fills in what was found.

    `matches` are the first of `total`, in the order of the maps; `with_matches` counts maps, of the `maps` that were
    searched. `cut` counts texts of which only the beginning was searched.
    """

    pattern: re.Pattern[str]
    in_values: bool
    selection: Selection
    matches: list[Match] = field(default_factory=list)
    total: int = 0
    with_matches: int = 0
    maps: int = 0
    cut: int = 0

    def ask(self, run: Run, maps: tuple[CensusMap, ...], types: Mapping[int, GoType]) -> None:
        """See Question. Raises UsageError for an expression that takes too long."""
        selected = self.selection.resolved(maps).matching(maps)
        matcher, texts = Matcher(self.pattern), Texts(run.types, run.memory)
        found: list[_Found] = []
        owners: set[int] = set()
        with matcher.watched():
            for part in contents_of(run, selected, types):
                numbers = texts.matching(matcher, part.keys, part.elems if self.in_values else None)
                found += [_Found.of(part, at) for at in numbers.tolist()]
                self.total += len(numbers)
                owners.update(part.owner[numbers].tolist())
                found = self._first(found)
        self.maps, self.cut, self.with_matches = len(selected), matcher.cut, len(owners)
        decoder = Decoder(run.types, run.memory)
        for one in found:
            key_type, elem_type = run.types.key(one.type), run.types.elem(one.type)
            values = decoder.value(key_type, one.key), decoder.value(elem_type, one.elem)
            literal = texts.literal(key_type, one.key)
            self.matches.append(Match(selected[one.owner], literal, *values, one.address))

    def _first(self, found: list[_Found]) -> list[_Found]:
        """The first of those that were found, as many as are listed."""
        return sorted(found, key=lambda one: (one.owner, one.address))[: self.selection.top]


@dataclass(frozen=True, slots=True)
class _Found:
    owner: int
    address: int
    type: GoType
    key: bytes
    elem: bytes

    @staticmethod
    def of(part: Contents, at: int) -> _Found:
        key, elem = part.keys.rows[at].tobytes(), part.elems.rows[at].tobytes()
        return _Found(int(part.owner[at]), int(part.slots.keys[at]), part.type, key, elem)
