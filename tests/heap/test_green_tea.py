"""Which objects are alive where the collector keeps marks in the spans themselves, and where it does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures import Toolchain, build, cached_core, start
from inspector.goruntime import heap as schema
from inspector.heap.extent import heap_regions, likely_regions
from inspector.heap.objects import read_heap
from inspector.target.run import Run
from tests.support.targets import opened_for_heap

COLLECTORS = [
    (Toolchain("1.24.11"), False),
    (Toolchain("1.25.5"), False),
    (Toolchain("1.25.5", "greenteagc"), True),
    (Toolchain("1.26.6"), True),
    (Toolchain("1.26.6", "nogreenteagc"), False),
    (Toolchain("1.27.3"), True),
    (Toolchain("1.27.3", "nogreenteagc"), False),
]
QUICK = (Toolchain("1.25.5"), Toolchain("1.27.3"))
EACH = pytest.mark.parametrize(
    ("toolchain", "inline"),
    [pytest.param(*each, id=each[0].name, marks=() if each[0] in QUICK else pytest.mark.slow) for each in COLLECTORS],
)
WAYS = pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["symbols", "stripped"])


@EACH
@WAYS
def test_objects_that_wait_to_be_swept_are_alive_exactly_if_the_program_holds_them(toolchain, inline, ldflags):
    with start(build("unswept", toolchain, ldflags=ldflags), env={"GOMAXPROCS": "1"}) as running:
        with opened_for_heap(running.pid) as target:
            assert target.program.release.marks_in_spans == inline
            run = Run(target, None)
            heap = read_heap(run)
            assert heap is not None
        waiting = 0
        for told in running.truth["objects"]:
            addresses = np.array(told["addresses"], np.uint64)
            found = heap.objects(addresses)
            span = np.searchsorted(heap.spans["start"], addresses, side="right") - 1
            unswept = heap.spans["age"][span] == schema.UNSWEPT
            waiting += int(unswept.sum())
            # The span of a dropped object may be gone.
            there = found.base != 0
            assert (found.base == addresses)[there].all()
            assert set(found.size[there].tolist()) == {told["size"]}
            # Every other one was dropped before the collection.
            assert found.alive.tolist() == [at % 2 == 0 for at in range(len(addresses))]
        assert waiting > 1000


@EACH
def test_the_regions_of_the_heap_hold_all_objects_whatever_its_base_is(toolchain, inline):
    with start(build("unswept", toolchain), env={"GOMAXPROCS": "1"}) as running:
        with opened_for_heap(running.pid) as target:
            ways = heap_regions(Run(target, None)), likely_regions(target.memory.regions())
        addresses = [address for told in running.truth["objects"] for address in told["addresses"]]
        for regions in ways:
            assert all(any(r.start <= address < r.end for r in regions) for address in addresses)
        # What is found by its spans is the heap and nothing beside it.
        assert all(region.start >= min(addresses) - schema.ARENA_SIZE for region in ways[0])


@EACH
def test_live_objects_of_a_core_are_those_that_the_program_held(toolchain, inline):
    core = cached_core(build("unswept", toolchain), command="confess")
    told = json.loads(core.stderr.splitlines()[0])["objects"]
    with opened_for_heap(str(core.path)) as target:
        heap = read_heap(Run(target, None))
        assert heap is not None
        reused = 0
        for each in told:
            alive = heap.objects(np.array(each["addresses"], np.uint64)).alive
            assert alive[::2].all()
            # The crash itself may take the places of what was swept.
            reused += int(alive[1::2].sum())
        assert reused < len(told)
        for regions in (heap_regions(Run(target, None)), likely_regions(target.memory.regions())):
            assert all(any(r.start <= at < r.end for r in regions) for each in told for at in each["addresses"])
