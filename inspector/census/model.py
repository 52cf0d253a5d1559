"""What a census says: one row a map, and the totals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL
from inspector.inspection.one_map import TargetInfo
from inspector.maps.family import Held
from inspector.maps.findings import Finding, Verdict
from inspector.maps.shrinking import Keeping, Shrinking, shrinking_of_maps
from inspector.naming.locate import TypeSource

FoundBy = Literal["global", "heap", "stack", "argument"]


@dataclass(frozen=True, slots=True)
class CensusMap:
    """One map. `name` is the path from a package variable, `holder` the type of the object that holds it.

    `load` is entries for each bucket or group, `state` a few words on a growth; `form` and `growth` are the family's
    parts of the row in the JSON document. `bytes` has what is stored apart as "indirect", and the strings in cells as
    "strings" (0 where that was not asked for). `alternatives` are types that cannot be distinguished from this one.
    `clones` are addresses of maps that it is a clone of, or that are clones of it; `parts` those of maps that are parts
    of it (a sync.Map of two maps), and listed with it. `unreachable` says that nothing leads to it any more: it waits
    for the next collection. False where that is not known.
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
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Unproven:
    """What looks like a map in use, and could neither be proven nor refuted.

    `types` are what it may be, `count` what its header claims, `why` says in words why it is not proven. `evidence`
    says that some of its keys lie where they hash to.
    """

    address: int
    types: tuple[str, ...]
    count: int
    why: str
    evidence: bool


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
    `heap_in_use` counts the bytes of the heap's spans in use; None where the heap's metadata was not found. `unproven`
    are not among the maps. `keeping` says what maps of this program keep when their entries go. `marked` says that
    unreachable maps are known as such.
    """

    target: TargetInfo
    maps: tuple[CensusMap, ...]
    scanned_bytes: int
    timing: CensusTiming
    notes: tuple[str, ...] = ()
    partial: bool = field(default=False)
    process: str | None = None
    heap_in_use: int | None = None
    unproven: tuple[Unproven, ...] = ()
    keeping: Keeping | None = None
    marked: bool = False

    def unreachable(self, maps: list[CensusMap]) -> Sum | None:
        """The sum of those of some maps that nothing leads to any more; None where that is not known."""
        return total([one for one in maps if one.unreachable]) if self.marked else None

    def shrinking(self, maps: list[CensusMap]) -> Shrinking | None:
        """Why some of the maps hold more than their entries need, and what to do; None where they do not."""
        return shrinking_of_maps(self.keeping, total(maps).wasted) if self.keeping is not None else None

    @property
    def exit_code(self) -> int:
        """0 all is well, 1 a map is inconsistent, 3 a partial result, or evidence of a map that is not proven."""
        if any(one.verdict == "inconsistent" for one in self.maps):
            return EXIT_INCONSISTENT
        lacking = self.partial or any(one.verdict in ("unreadable", "not-read", "moving") for one in self.maps)
        lacking |= any(one.evidence for one in self.unproven)
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
