"""The maps of a running fixture program, to be copied and judged with a byte changed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.faults.patched import PatchedMemory
from fixtures import Truth
from inspector.errors import NotAMap, UnknownType
from inspector.gotypes.gotype import GoType
from inspector.hashing import HashKeys, find_hash_keys
from inspector.inspection.identification import believe
from inspector.inspection.one_map import Inspection, Timing, target_info
from inspector.maps.classic.checks import MapView
from inspector.maps.classic.snapshot import take_snapshot
from inspector.maps.family import Source
from inspector.maps.findings import Judgement
from inspector.memory import RegionMap
from inspector.naming.locate import MapRef
from inspector.report.json.one_map import write_json
from inspector.target.run import Run
from inspector.target.target import Target

SHOWN = 5
"""Entries whose elements are followed: their bytes are hostile, too."""


@dataclass(frozen=True)
class Trial:
    """What became of one copy of a map: the view of it, the judgement, and whether its bare address is refused."""

    view: MapView
    judgement: Judgement
    refused: bool

    @property
    def rules(self) -> set[str]:
        """Rules that did not hold."""
        return {finding.rule for finding in self.judgement.findings}


@dataclass(frozen=True)
class Subject:
    """One map, and how the unchanged copy of it is judged."""

    name: str
    target: Target
    address: int
    type: GoType
    regions: RegionMap
    keys: HashKeys
    healthy: Trial

    def judged(self, patches: Mapping[int, int]) -> Trial:
        """Copy the map from memory in which these bytes are changed, and judge it as a user would have it."""
        return _judged(self.target, self.address, self.type, self.regions, self.keys, patches)

    def byte(self, address: int) -> int:
        """The byte that is really there."""
        return self.target.memory.read(address, 1)[0]

    @property
    def state(self) -> str:
        """Which part of a map's life it stands for."""
        header = self.healthy.view.header
        if header.growing:
            return f"{header.growing} growth"
        return "at rest" if header.count else "empty"


def subjects_of(target: Target, truth: Truth) -> list[Subject]:
    """Every map that the program told about, but nil ones and those whose type is made at run time."""
    regions = RegionMap(target.memory.regions())
    keys = find_hash_keys(target.program.image, target.memory, target.program.types)
    assert keys is not None
    found = []
    for state in truth["maps"]:
        address = int(state["address"], 16)
        try:
            go_type = target.program.types.find_map_type(state["type"])
        except UnknownType:
            continue
        if address:
            healthy = _judged(target, address, go_type, regions, keys, {})
            assert healthy.judgement.verdict == "consistent", f"{state['name']} is unsound before any change"
            found.append(Subject(state["name"], target, address, go_type, regions, keys, healthy))
    return found


def _judged(
    target: Target,
    address: int,
    go_type: GoType,
    regions: RegionMap,
    keys: HashKeys,
    patches: Mapping[int, int],
) -> Trial:
    memory = PatchedMemory(target.memory, patches)
    source = Source(memory, regions, target.program.types, keys)
    snapshot = take_snapshot(source, address, go_type, SHOWN)
    judgement = snapshot.judge()
    ref = MapRef(address, go_type, "option")
    report = Inspection(target_info(target), ref, snapshot, judgement, snapshot.account(), Timing(), shown=SHOWN)
    write_json(report, io.StringIO())  # whatever is in the map, a report of it must be possible
    return Trial(snapshot.view, judgement, _refused(replace(target, memory=memory), regions, address, go_type))


def _refused(target: Target, regions: RegionMap, address: int, go_type: GoType) -> bool:
    try:
        believe(Run(target, None), regions, address, go_type)
    except NotAMap:
        return True
    return False
