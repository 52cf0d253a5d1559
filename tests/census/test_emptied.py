"""Maps that were filled and emptied again, which hold much for nothing, are found where nothing tells of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixtures import Truth, build, kernel_core, start
from inspector.census import Census, take_census
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.heap import mspan
from inspector.goruntime.sizes import MAX_SMALL_SIZE
from inspector.heap.spans import find_spans
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.commandline import assert_running
from tests.support.toolchains import EVERY_TOOLCHAIN

STRIPPED = "-s -w"
CLEARED_FOR_POINTERS_ONLY = ("1.22.10", "1.23.9")
"""Releases that leave the type of an earlier object in the record of a span whose object has no pointers."""


def census_of(target: int | Path) -> Census:
    with open_target(str(target), memory="direct") as opened:
        return take_census(opened)


def assert_all_are_found_and_no_others(truth: Truth, census: Census) -> None:
    told = {int(one["address"], 16): one for one in truth["maps"]}
    found = {one.address: one for one in census.maps}
    assert set(told) <= set(found), [one for address, one in told.items() if address not in found]
    for address, one in told.items():
        seen = found[address]
        assert one["type"] in (seen.type, *seen.alternatives), (one, seen)
        assert (seen.count, seen.verdict) == (one["len"], "consistent"), (one, seen)
    # What typed references lead to is the standard library's: encoding/json keeps an empty map.
    others = [one for one in census.maps if not one.count and one.address not in told and one.holder is None]
    assert others == []


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_emptied_maps_of_a_stripped_process_are_found_by_overflow_buckets_that_are_all_in_use(toolchain):
    with start(build("emptied", toolchain, ldflags=STRIPPED)) as running:
        census = census_of(running.pid)
        assert_all_are_found_and_no_others(running.truth, census)
        assert_running(running)
    numbers = next(one for one in running.truth["maps"] if one["name"] == "numbers")
    wasted = next(one.bytes.wasted for one in census.maps if hex(one.address) == numbers["address"])
    assert wasted > 2_000_000


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_emptied_maps_of_a_stripped_core_are_found(toolchain, tmp_path):
    core = kernel_core(build("emptied", toolchain, ldflags=STRIPPED), directory=tmp_path)
    assert_all_are_found_and_no_others(core.truth, census_of(core.path))


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_what_the_allocator_noted_of_an_earlier_object_is_not_taken_for_the_type_of_a_map(toolchain):
    # Each processor of the runtime keeps the records of spans that were freed there for its own spans.
    with start(build("succeeding", toolchain, ldflags=STRIPPED), env={"GOMAXPROCS": "1"}) as running:
        truth, census = running.truth, census_of(running.pid)
        assert_all_are_found_and_no_others(truth, census)
        with open_target(str(running.pid), memory="direct") as target:
            run = Run(target)
            spans = find_spans(run)
            some = spans.spans["record"][spans.spans["noscan"] & (spans.spans["elemsize"] > MAX_SMALL_SIZE)]
            declared = dtype_of(mspan(target.program.release))
            records = target.memory.read_many(some, declared.itemsize).view(declared)[:, 0]
            for one in truth["maps"][:5]:
                assert inspect(target, one["address"], one["type"]).exit_code == 0
    assert len(records) >= len(truth["maps"])
    if toolchain.version in CLEARED_FOR_POINTERS_ONLY:
        assert np.count_nonzero(records["largeType"]) > 10
