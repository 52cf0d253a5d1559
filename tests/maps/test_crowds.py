"""Maps that are judged together: a crowd calls none sound that the rules do not, whatever its bytes are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from fixtures import CLASSIC, SWISS_RELEASES, USUAL, Toolchain, build, start
from inspector.census import Census, take_census
from inspector.census.model import CensusMap
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.goruntime.swisstable import swisstable
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import ClassicLayout, SwissLayout
from inspector.heap.objects import read_heap
from inspector.maps.classic.header import Hmap
from inspector.maps.family import Crowd, Snapshot
from inspector.maps.swiss.header import SwissMap
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.memory.chunks import Chunks
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.whole import copied_whole
from tests.support.chance import unforeseen

FEW, CHANGES, MANY_CHANGES = "6", 150, 3000

BOTH = [pytest.param(toolchain, id=toolchain.name) for toolchain in (USUAL, SWISS_RELEASES[-1])]
REST = [
    pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.matrix)
    for toolchain in (*CLASSIC, *SWISS_RELEASES[:-1])
    if toolchain != USUAL
]


@dataclass(frozen=True)
class Still:
    """A copy of a whole process, whose bytes can be changed, and its maps by their types."""

    run: Run
    maps: dict[GoType, list[int]]

    def crowd(self, go_type: GoType) -> Crowd:
        """Judge all maps of a type together."""
        return self.run.family.crowd(self.run.source(), np.array(self.maps[go_type], np.uint64), go_type)

    def snapshot(self, go_type: GoType, address: int) -> Snapshot:
        """Copy one of them."""
        return self.run.family.take_snapshot(self.run.source(), address, go_type, 0)

    @contextmanager
    def changed(self, address: int, value: int) -> Iterator[None]:
        """Another byte at an address, for the length of a with block."""
        memory = self.run.target.memory
        assert isinstance(memory, Chunks)
        chunk = memory._chunk_at(address)
        assert chunk is not None
        at = chunk.offset + address - chunk.start
        before = chunk.buffer[at]
        chunk.buffer[at] = value
        try:
            yield
        finally:
            chunk.buffer[at] = before


@pytest.fixture(scope="module", params=[*BOTH, *REST])
def still(request) -> Iterator[Still]:
    """The census program of a toolchain, copied whole."""
    toolchain: Toolchain = request.param
    with (
        start(build("census", toolchain), FEW) as running,
        open_target(str(running.pid), memory="direct") as target,
        copied_whole(Run(target, max_stop=None)) as whole,
    ):
        assert whole is not None
        assert whole.at_once
        run = Run(whole.target)
        run.heap = read_heap(run)
        by_name = {go_type.name: go_type for go_type in run.types.map_types}
        maps: dict[GoType, list[int]] = defaultdict(list)
        for one in take_census(target).maps:
            if one.type in by_name and not one.alternatives:
                maps[by_name[one.type]].append(one.address)
        yield Still(run, dict(maps))


def parts_of(still: Still, snapshot: Snapshot) -> list[tuple[int, int]]:
    """Where a small map lies: (address, size) of its header and of all that it leads to."""
    whole = snapshot.address, still.run.family.header_dtype(still.run.release).itemsize
    header, layout = snapshot.header, snapshot.type.layout
    if isinstance(header, Hmap):
        assert isinstance(layout, ClassicLayout)
        return [whole, (header.buckets, layout.bucket_size << header.B)]
    assert isinstance(header, SwissMap)
    assert isinstance(layout, SwissLayout)
    if header.small:
        return [whole, (header.dir_ptr, layout.group_size)]
    assert isinstance(snapshot, SwissSnapshot)
    table = snapshot.tables.rows[0]
    groups = int(table["capacity"]) // GROUP_SLOTS * layout.group_size
    places = [(header.dir_ptr, 8), (int(snapshot.tables.addresses[0]), swisstable.sizeof())]
    return [whole, *places, (int(table["groups"]), groups)]


def changes(still: Still, count: int) -> Counter[str]:
    """Change single bytes of maps that are sound, and hold what the crowd says against what the rules say."""
    random, said = unforeseen(), Counter[str]()
    storage = still.run.family.storage
    sound = [
        (go_type, at)
        for go_type in still.maps
        for crowd in [still.crowd(go_type)]
        for at in np.flatnonzero(crowd.sound & (storage(crowd.rows) != 0)).tolist()
    ]
    assert len(sound) > 50
    for _ in range(count):
        go_type, at = random.choice(sound)
        address = still.maps[go_type][at]
        snapshot, before = still.snapshot(go_type, address), still.crowd(go_type)
        start_, size = random.choice(parts_of(still, snapshot))
        place = start_ + random.randrange(size)
        old = still.run.memory.read(place, 1)[0]
        value = random.choice([old ^ 1 << random.randrange(8), random.randrange(256), 0, 0x80, 0xFE])
        with still.changed(place, value):
            crowd, changed = still.crowd(go_type), still.snapshot(go_type, address)
            judgement = changed.judge()
            where = f"{go_type.name} at {address:#x}: {old:#x} to {value:#x} at {place:#x}"
            if crowd.sound[at]:
                assert (judgement.verdict, judgement.findings) == ("consistent", ()), where
                assert crowd.forms[at] == before.forms[at], where
                assert same_row(changed, snapshot), where
            # What happens to one map says nothing of its neighbours.
            others = np.arange(len(crowd.sound)) != at
            assert (crowd.sound == before.sound)[others].all(), where
            said[f"{'sound' if crowd.sound[at] else 'not sound'}, {judgement.verdict}"] += 1
    print(dict(said))
    return said


def same_row(one: Snapshot, other: Snapshot) -> bool:
    """Whether a census would list both alike."""
    names = ("family", "live", "load", "growing", "state", "bytes", "row_form", "row_growth", "parts")
    first, second = ([getattr(snapshot.row(), name) for name in names] for snapshot in (one, other))
    return first == second and one.header.count == other.header.count


def test_nearly_all_small_maps_at_rest_are_found_sound_together(still):
    small = together = 0
    for go_type, addresses in still.maps.items():
        crowd = still.crowd(go_type)
        for at, address in enumerate(addresses):
            header = still.run.family.read_header(still.run.memory, address, still.run.release)
            plain = go_type.layout is not None and not (go_type.layout.indirect_key or go_type.layout.indirect_elem)
            small += header.count <= 8 and plain
            together += bool(crowd.sound[at]) and header.count <= 8
    assert small > 100
    assert together > 0.9 * small


def test_maps_of_one_look_have_one_row(still):
    looks: dict[tuple[str, int, int], list[Snapshot]] = defaultdict(list)
    for go_type, addresses in still.maps.items():
        crowd = still.crowd(go_type)
        for at in np.flatnonzero(crowd.sound).tolist():
            snapshot = still.snapshot(go_type, addresses[at])
            assert snapshot.judge().verdict == "consistent"
            looks[go_type.name, snapshot.header.count, int(crowd.forms[at])].append(snapshot)
    assert sum(len(each) > 1 for each in looks.values()) > 10
    for each in looks.values():
        assert all(same_row(one, each[0]) for one in each)


@pytest.mark.slow
def test_a_crowd_calls_no_changed_map_sound_that_the_rules_do_not(still):
    said = changes(still, CHANGES)
    assert said["not sound, inconsistent"] > CHANGES / 4


@pytest.mark.matrix
def test_a_crowd_calls_no_map_of_thousands_sound_that_the_rules_do_not(still):
    said = changes(still, MANY_CHANGES)
    assert said["not sound, inconsistent"] > MANY_CHANGES / 4


def test_a_census_says_the_same_of_maps_one_by_one(still):
    def plain(census: Census) -> list[CensusMap]:
        rows = (replace(one, bytes=replace(one.bytes, parts={}, if_rebuilt=0)) for one in census.maps)
        return sorted(rows, key=lambda one: one.address)

    # Where strings are counted, each map is judged by itself.
    target = still.run.target
    together, alone = take_census(target), take_census(target, strings=True)
    assert plain(together) == plain(alone)
    assert len(together.maps) > 200
