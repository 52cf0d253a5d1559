"""Maps that were filled and emptied again, which hold much for nothing, are found where nothing tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import Truth, build, kernel_core, start
from inspector.census import Census, take_census
from inspector.target.opening import open_target
from tests.support.commandline import assert_running
from tests.support.toolchains import EVERY_TOOLCHAIN

STRIPPED = "-s -w"


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
