"""The entries of one map whose keys, or elements, match a regular expression."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from inspector.gotypes.matching import Matcher
from inspector.inspection.one_map import Inspection
from inspector.inspection.texts import Texts
from inspector.maps.family import Entry


@dataclass(frozen=True)
class Matches:
    """What was found in one map: `entries`, with their keys as they can be typed, of `total` that match.

    `cut` counts texts of which only the beginning was searched.
    """

    inspection: Inspection
    pattern: str
    in_values: bool
    entries: tuple[tuple[str | None, Entry], ...]
    total: int
    cut: int


def search_entries(inspection: Inspection, pattern: re.Pattern[str], in_values: bool, most: int | None) -> Matches:
    """Search a map, which has to be inspected with all of its entries; `most` of those found are kept.

    Raises UsageError for an expression that takes too long.
    """
    snapshot, matcher = inspection.snapshot, Matcher(pattern)
    if snapshot is None:
        return Matches(inspection, pattern.pattern, in_values, (), 0, 0)
    texts = Texts(snapshot.types, snapshot.memory)
    keys, elems = snapshot.values()
    with matcher.watched():
        found = texts.matching(matcher, keys, elems if in_values else None)
    chosen = np.asarray(found[:most], np.int64)
    literals = [texts.literal(keys.type, keys.rows[number].tobytes()) for number in chosen.tolist()]
    entries = tuple(zip(literals, snapshot.entries(chosen), strict=True))
    return Matches(inspection, pattern.pattern, in_values, entries, len(found), matcher.cut)
