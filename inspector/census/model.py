"""What a census says: one row a map, and the totals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL
from inspector.inspection.one_map import TargetInfo
from inspector.maps.classic.checks.finding import Finding, Verdict
from inspector.maps.classic.mirror.growth import GrowthKind
from inspector.naming.locate import TypeSource

FoundBy = Literal["global", "heap", "stack", "argument"]


@dataclass(frozen=True)
class Held:
    """Bytes that a map holds, and what they would be if it were rebuilt with its count.

    `indirect` are its keys and elements that are stored apart from the buckets, `strings` what the strings in its
    cells hold, 0 where that was not asked for.
    """

    buckets: int
    overflow: int
    old: int
    header: int
    indirect: int
    if_rebuilt: int
    strings: int = 0

    @property
    def total(self) -> int:
        """All of them together."""
        return self.buckets + self.overflow + self.old + self.header + self.indirect + self.strings

    @property
    def wasted(self) -> int:
        """What rebuilding the map would give back."""
        return max(0, self.total - self.if_rebuilt)


@dataclass(frozen=True)
class CensusMap:
    """One map. `name` is the path from a package variable, `holder` the type of the object that holds it.

    `evacuated` of `old_buckets` tells how far a growth is; `load` is entries a bucket. `alternatives` are types that
    cannot be told from this one.
    """

    address: int
    type: str
    type_source: TypeSource
    alternatives: tuple[str, ...]
    count: int
    b: int
    growing: GrowthKind | None
    old_buckets: int
    evacuated: int
    load: float
    bytes: Held
    verdict: Verdict
    findings: tuple[Finding, ...]
    found_by: FoundBy
    name: str | None
    holder: str | None


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
    """Milliseconds: the target held, in all and at most in a row; searching; proving; all together."""

    stopped: float = 0.0
    longest_stop: float = 0.0
    scan: float = 0.0
    walk: float = 0.0
    prove: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Census:
    """Every map found. `scanned_bytes` counts heap memory that was looked through for headers.

    `process` is a name for the process that no other has (process_identity); None where nothing tells it from others.
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
        """0 all is well, 1 a map is inconsistent, 3 answered only in part."""
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
        growing=sum(one.growing is not None for one in maps),
        inconsistent=sum(one.verdict == "inconsistent" for one in maps),
    )


def by_type(maps: tuple[CensusMap, ...] | list[CensusMap]) -> dict[str, Sum]:
    """The sum for each type, the largest first."""
    groups: dict[str, list[CensusMap]] = defaultdict(list)
    for one in maps:
        groups[one.type].append(one)
    sums = {name: total(group) for name, group in groups.items()}
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1].bytes, pair[0])))
