"""Where the heap lies, as far as the kernel says it: names of its regions, permissions, files."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import Toolchain, build, gcore_core, start
from inspector.heap.extent import HEAP_NAMES, heap_regions, likely_regions
from inspector.heap.objects import read_heap
from inspector.memory.procfs import parse_mappings
from inspector.memory.protocol import Region
from inspector.target.run import Run
from tests.support.targets import opened_for_heap

DECORATED = """\
00400000-004a7000 r-xp 00000000 fe:00 1054              /srv/a program with spaces
0058e000-005c4000 rw-p 00000000 00:00 0                 [anon: Go: something new]
20d44c000000-20d44ec00000 ---p 00000000 00:00 0         [anon: Go: heap reservation]
20d44ec00000-20d450c00000 rw-p 00000000 00:00 0         [anon: Go: heap]
7f2459550000-7f2459800000 rw-p 00000000 00:00 0         [anon: Go: page alloc]
7f24a02fd000-7f24a02fe000 rw-p 00000000 00:00 0
7ffd96f89000-7ffd96faa000 rw-p 00000000 00:00 0         [stack]
"""


@pytest.mark.pure
def test_regions_keep_their_whole_names_and_whether_they_are_writable():
    regions = parse_mappings(DECORATED)
    assert [(region.name, region.writable) for region in regions] == [
        ("/srv/a program with spaces", False),
        ("[anon: Go: something new]", True),
        ("[anon: Go: heap]", True),
        ("[anon: Go: page alloc]", True),
        ("", True),
        ("[stack]", True),
    ]


@pytest.mark.pure
def test_regions_that_the_kernel_calls_heap_are_it_and_anonymous_ones_where_it_names_none():
    regions = parse_mappings(DECORATED)
    assert [region.start for region in likely_regions(regions)] == [0x20D44EC00000]
    plain = parse_mappings(DECORATED.replace("[anon: Go: heap]", ""))
    assert [region.start for region in likely_regions(plain)] == [
        0x58E000, 0x20D44EC00000, 0x7F2459550000, 0x7F24A02FD000,
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["1.25.5", "1.26.6", "1.27.3"])
@pytest.mark.parametrize("settings", ["decoratemappings=1", "decoratemappings=1,harddecommit=1"])
def test_the_heap_of_a_program_that_names_its_memory_is_found(version, settings):
    with start(build("unswept", Toolchain(version)), env={"GODEBUG": settings}) as running:
        addresses = [address for told in running.truth["objects"] for address in told["addresses"]]
        with opened_for_heap(running.pid) as target:
            regions = target.memory.regions()
            # Not every kernel keeps names (CONFIG_ANON_VMA_NAME).
            named = any(region.name.startswith("[anon: Go:") for region in regions)
            assert named == any(region.name in HEAP_NAMES for region in regions)
            for found in (heap_regions(Run(target, None)), likely_regions(regions)):
                assert holds(found, addresses)


def holds(regions: list[Region], addresses: list[int]) -> bool:
    return all(any(each.start <= at < each.end for each in regions) for at in addresses)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.26.6", "1.27.3"])
@pytest.mark.parametrize("memory", ["direct", "gdb-mi"])
def test_the_heap_of_a_core_that_gcore_wrote_is_found(version, memory, tmp_path):
    with start(build("unswept", Toolchain(version)), env={"GOMAXPROCS": "1"}) as running:
        core = gcore_core(running, tmp_path)
        told = running.truth["objects"]
    with opened_for_heap(str(core.path), memory) as target:
        run = Run(target, None)
        heap = read_heap(run)
        assert heap is not None
        for each in told:
            alive = heap.objects(np.array(each["addresses"], np.uint64)).alive
            assert alive.tolist() == [at % 2 == 0 for at in range(len(alive))]
            assert holds(heap_regions(run), each["addresses"])
            assert holds(likely_regions(target.memory.regions()), each["addresses"])


@pytest.mark.parametrize("version", ["1.26.6", "1.27.3"])
def test_the_heap_of_a_process_is_found_where_gdb_reads_its_memory(version):
    with start(build("unswept", Toolchain(version)), env={"GOMAXPROCS": "1"}) as running:
        with opened_for_heap(running.pid, "gdb-mi") as target:
            run = Run(target, None)
            with run.held():
                found = heap_regions(run)
        assert all(holds(found, each["addresses"]) for each in running.truth["objects"])
