"""A process copied whole: one stop, and everything after it as if the process stood still."""

from __future__ import annotations

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from fixtures.services import service
from inspector.census import take_census
from inspector.maps.findings import Verdict
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.whole import copied_whole
from tests.support.census import differences
from tests.support.commandline import assert_free, cli_here

NEWEST = SWISS_RELEASES[-1]
FEW = "4"
SOUND: set[Verdict] = {"consistent", "write-in-progress"}


@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(NEWEST, marks=pytest.mark.slow)])
def test_a_census_of_a_process_of_usual_size_stops_it_once(toolchain):
    with start(build("census", toolchain), FEW) as running, open_target(str(running.pid), memory="direct") as target:
        census = take_census(target, max_stop=None, max_share=None)
        assert census.timing.stopped == census.timing.longest_stop > 0
        assert {one.verdict for one in census.maps} == {"consistent"}
        assert len(census.maps) > 200
        assert_free(running.pid)


def test_what_changes_after_the_copy_is_not_seen_in_it():
    with (
        start(build("reflecting", USUAL)) as running,
        open_target(str(running.pid), memory="direct") as target,
        copied_whole(Run(target, None)) as whole,
    ):
        assert whole is not None
        copied = whole.target
        heap = next(one for one in copied.memory.regions() if one.start >> 32 == 0xC0)
        before = bytes(copied.memory.read(heap.start, 1 << 16))
        for length in range(3, 40):
            running.ask(f"make {length}")
        assert bytes(copied.memory.read(heap.start, 1 << 16)) == before
        assert bytes(target.memory.read(heap.start, 1 << 16)) != before


def test_a_copy_can_be_read_when_its_process_has_ended():
    with start(build("census", USUAL), FEW) as running, open_target(str(running.pid), memory="direct") as target:
        with copied_whole(Run(target, None)) as whole:
            assert whole is not None
            copied = whole.target
            running.end()
            census = take_census(copied)
        assert {one.verdict for one in census.maps} == {"consistent"}
        assert len(census.maps) > 200


def test_memory_that_was_never_touched_reads_as_zeros_and_what_is_not_mapped_does_not_read():
    with (
        start(build("census", USUAL), FEW) as running,
        open_target(str(running.pid), memory="direct") as target,
        copied_whole(Run(target, None)) as whole,
    ):
        assert whole is not None
        copied = whole.target
        for region in copied.memory.regions():
            if region.writable and region.end - region.start < 1 << 22:
                size = region.end - region.start
                assert len(copied.memory.read(region.start, size)) == size
        last = copied.memory.regions()[-1]
        assert not Run(copied).regions().covers(last.end, 1)


@pytest.mark.parametrize("toolchain", [NEWEST, pytest.param(USUAL, marks=pytest.mark.slow)])
def test_a_process_is_copied_in_slices_where_a_stop_is_too_short_for_all_of_it(toolchain):
    with start(build("census", toolchain), FEW) as running, open_target(str(running.pid), memory="direct") as target:
        run = Run(target, max_stop=0.001)
        with copied_whole(run) as whole:
            assert whole is not None
            assert not whole.at_once
            assert len(run.clock.stops) > 1
        census = take_census(target, max_stop=0.001, max_share=None)
        assert differences(running.truth, census) == []
        assert {one.verdict for one in census.maps} == {"consistent"}
        assert_free(running.pid)


@pytest.mark.slow
def test_a_service_that_is_copied_in_slices_under_load_is_never_called_inconsistent():
    with service("sessioncache", NEWEST) as served, open_target(str(served.pid), memory="direct") as target:
        for _ in range(3):
            census = take_census(target, max_stop=0.002, max_share=None)
            assert not [one for one in census.maps if one.verdict not in (*SOUND, "not-read")]
            assert len(census.maps) > 100
        assert served.requests() > 1


def test_a_budget_is_kept_and_told_of_and_all_maps_are_listed_all_the_same():
    with start(build("census", NEWEST), FEW) as running:
        run = cli_here(running.pid, "--budget", "1ms", "--max-stop", "1ms", "--json")
        assert "the process was held for all of the 1.0 ms that it may be" in run.document["notes"][-1]
        assert {one["verdict"] for one in run.document["census"]["maps"]} == {"consistent"}
        assert len(run.document["census"]["maps"]) > 200
        assert_free(running.pid)
