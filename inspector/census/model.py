"""What a census says: one row a map, and the totals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL
from inspector.inspection.one_map import TargetInfo
from inspector.maps.family import Held
from inspector.maps.findings import Finding, Verdict
from inspector.naming.locate import TypeSource

FoundBy = Literal["global", "heap", "stack", "argument"]


@dataclass(frozen=True)
class CensusMap:
    """One map. `name` is the path from a package variable, `holder` the type of the object that holds it.

    `load` is entries for each bucket or group, `state` a few words on a growth; `form` and `growth` are the family's
    parts of the row in the JSON document. `bytes` has what is stored apart as "indirect", and the strings in cells as
    "strings" (0 where that was not asked for). `alternatives` are types that cannot be distinguished from this one.
    `clones` are addresses of maps that it is a clone of, or that are clones of it; `parts` those of maps that are parts
    of it (a sync.Map of two maps), and listed with it.
    """

    address: int
    type: str
    type_source: TypeSource
    alternatives: tuple[str, ...]
    count: int
    load: float
    growing: bool
    state: str
    bytes: Held
    verdict: Verdict
    findings: tuple[Finding, ...]
    found_by: FoundBy
    name: str | None
    holder: str | None
    form: dict[str, Any] = field(default_factory=dict)
    growth: dict[str, Any] | None = None
    clones: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sum:
    """Several maps together."""

    maps: int = 0
    entries: int = 0
    bytes: int = 0
    wasted: int = 0
    growing: int = 0
    inconsistent: int = 0


@dataclass
class CensusTiming:
    """Milliseconds: the target held, in total and at most at a time; searching; proving; all together."""

    stopped: float = 0.0
    longest_stop: float = 0.0
    scan: float = 0.0
    walk: float = 0.0
    prove: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Census:
    """Every map found. `scanned_bytes` counts heap memory that was looked through for headers.

    `process` is a name for the process that no other has (process_identity); None where no such name is known.
    """

    target: TargetInfo
    maps: tuple[CensusMap, ...]
    scanned_bytes: int
    timing: CensusTiming
    notes: tuple[str, ...] = ()
    partial: bool = field(default=False)
    process: str | None = None

    @property
    def exit_code(self) -> int:
        """0 all is well, 1 a map is inconsistent, 3 a partial result."""
        if any(one.verdict == "inconsistent" for one in self.maps):
            return EXIT_INCONSISTENT
        lacking = self.partial or any(one.verdict in ("unreadable", "not-read") for one in self.maps)
        return EXIT_PARTIAL if lacking else EXIT_CONSISTENT


def total(maps: tuple[CensusMap, ...] | list[CensusMap]) -> Sum:
    """Add up maps."""
    return Sum(
        maps=len(maps),
        entries=sum(one.count for one in maps),
        bytes=sum(one.bytes.total for one in maps),
        wasted=sum(one.bytes.wasted for one in maps),
        growing=sum(one.growing for one in maps),
        inconsistent=sum(one.verdict == "inconsistent" for one in maps),
    )


def by_type(maps: tuple[CensusMap, ...] | list[CensusMap]) -> dict[str, Sum]:
    """The sum for each type, the largest first."""
    groups: dict[str, list[CensusMap]] = defaultdict(list)
    for one in maps:
        groups[one.type].append(one)
    sums = {name: total(group) for name, group in groups.items()}
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1].bytes, pair[0])))
