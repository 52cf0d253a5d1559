"""The maps of a running fixture program, to be copied and judged with a byte changed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.faults.patched import PatchedMemory
from fixtures import Truth
from inspector.errors import NotAMap, UnknownType
from inspector.gotypes.gotype import GoType
from inspector.hashing.keys import find_hash_keys
from inspector.heap.objects import read_heap
from inspector.inspection.identification import believe
from inspector.inspection.one_map import Inspection, Timing, target_info
from inspector.maps.classic.checks import MapView as ClassicView
from inspector.maps.classic.snapshot import MapSnapshot
from inspector.maps.family import Snapshot, Source
from inspector.maps.findings import Judgement
from inspector.maps.swiss.checks import MapView as SwissView
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.memory.protocol import RegionMap
from inspector.naming.locate import MapRef
from inspector.report.json.one_map import write_json
from inspector.target.run import Run
from inspector.target.target import Target

HUGE = frozenset({"hint_100000"})
"""States that are left out: their copies are nothing but large."""

SHOWN = 5
"""Entries whose elements are followed: their bytes are hostile, too."""


@dataclass(frozen=True)
class Trial:
    """What became of one copy of a map: the copy, the judgement, and whether its bare address is refused."""

    snapshot: Snapshot
    judgement: Judgement
    refused: bool

    @property
    def view(self) -> ClassicView:
        """A classic map as its rules see it."""
        assert isinstance(self.snapshot, MapSnapshot)
        return self.snapshot.view

    @property
    def swiss(self) -> SwissView:
        """A Swiss map as its rules see it."""
        assert isinstance(self.snapshot, SwissSnapshot)
        return self.snapshot.view

    @property
    def rules(self) -> set[str]:
        """Rules that did not hold."""
        return {finding.rule for finding in self.judgement.findings}


@dataclass(frozen=True)
class Subject:
    """One map, and how the unchanged copy of it is judged. `family` is "classic" or "swiss"."""

    name: str
    target: Target
    address: int
    type: GoType
    source: Source
    healthy: Trial

    @property
    def family(self) -> str:
        """What kind of map it is."""
        return "swiss" if self.target.program.release.swiss else "classic"

    def judged(self, patches: Mapping[int, int]) -> Trial:
        """Copy the map from memory in which these bytes are changed, and judge it as a user would have it."""
        return _judged(self.target, self.address, self.type, self.source, patches)

    def byte(self, address: int) -> int:
        """The byte that is really there."""
        return self.target.memory.read(address, 1)[0]

    @property
    def state(self) -> str:
        """Which part of a map's life it stands for."""
        if self.family == "swiss":
            return _swiss_state(self.healthy.swiss)
        header = self.healthy.view.header
        if header.growing:
            return f"{header.growing} growth"
        return "at rest" if header.count else "empty"


def _swiss_state(view: SwissView) -> str:
    header, depths = view.header, view.tables.rows["localDepth"]
    if header.small:
        form = "one group" if header.dir_ptr else "no group yet"
    elif len(depths) == 1:
        form = "one table"
    else:
        form = "tables, uneven depths" if depths.min() != depths.max() else "tables, equal depths"
    if view.groups.deleted.any():
        form += ", tombstones"
    return form if header.used or not header.dir_ptr else f"{form}, empty"


def subjects_of(target: Target, truth: Truth) -> list[Subject]:
    """Every map that the program told about, but nil ones, huge ones, and those whose type no name leads to."""
    program = target.program
    keys = find_hash_keys(program.image, target.memory, program.types)
    assert keys is not None
    # Rules about the allocator are asked in Swiss maps only.
    heap = read_heap(Run(target, None)) if program.release.swiss else None
    assert heap is not None or not program.release.swiss
    source = Source(target.memory, RegionMap(target.memory.regions()), program.types, keys, heap)
    found = []
    for state in truth["maps"]:
        address = int(state["address"] or "0", 16)
        go_type = _type_of(target, state) if address and state["name"] not in HUGE else None
        if go_type is not None:
            healthy = _judged(target, address, go_type, source, {})
            assert healthy.judgement.verdict == "consistent", f"{state['name']} is unsound before any change"
            found.append(Subject(state["name"], target, address, go_type, source, healthy))
    return found


def _type_of(target: Target, state: Mapping[str, Any]) -> GoType | None:
    if target.program.release.swiss:
        return target.program.types.get(int(state["swiss"]["descriptor"]["address"], 16))
    try:
        return target.program.types.find_map_type(state["type"])
    except UnknownType:
        return None


def _judged(target: Target, address: int, go_type: GoType, source: Source, patches: Mapping[int, int]) -> Trial:
    patched = replace(target, memory=PatchedMemory(target.memory, patches))
    run = Run(patched, None)
    reader = run.reader_of(go_type)
    snapshot = reader.take_snapshot(replace(source, memory=patched.memory), address, go_type, SHOWN)
    judgement = snapshot.judge()
    ref = MapRef(address, go_type, "option")
    report = Inspection(target_info(target), ref, snapshot, judgement, snapshot.account(), Timing(), shown=SHOWN)
    write_json(report, io.StringIO())  # whatever is in the map, a report of it must be possible
    return Trial(snapshot, judgement, _refused(run, source.regions, address, go_type))


def _refused(run: Run, regions: RegionMap, address: int, go_type: GoType) -> bool:
    try:
        believe(run, regions, address, go_type)
    except NotAMap:
        return True
    return False
