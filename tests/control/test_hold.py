"""How long a process is held, and that what is said of it is what the process felt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hold import hold
from fixtures import USUAL, Running, build, start
from inspector import InspectError, Inspection, Target, inspect, look_up, open_target, take_census
from inspector.control.hold import WINDOW, Clock
from inspector.errors import NotReadInTime
from inspector.gotypes.values import GoString, Unreadable
from inspector.maps.classic.snapshot import MapSnapshot
from inspector.maps.family import Entry
from inspector.memory.counting import CountingMemory
from inspector.memory.deadline import AT_ONCE_IN_A_HURRY, HURRY, Deadline
from inspector.memory.process import ProcessMemory
from inspector.settings import MAX_SHARE, USUAL_STOP
from inspector.target.run import Run
from tests.support.commandline import assert_free

ROUNDS = 5
NEAR = 2.0
"""Milliseconds that the two clocks may be apart, beside what the machine itself makes of it."""


@pytest.fixture(params=[pytest.param(1, marks=pytest.mark.slow), 20, pytest.param(200, marks=pytest.mark.slow)])
def beating(request: pytest.FixtureRequest) -> Iterator[Running]:
    with start(build("beating", USUAL), str(request.param)) as running:
        yield running


def test_the_time_that_is_reported_is_what_the_process_felt(beating):
    rounds = [one for _ in range(ROUNDS) for one in hold(beating, "auto")]
    # On a busy machine others come between the two clocks, but not each time.
    assert min(one.difference - one.noise for one in rounds) < NEAR, rounds


def test_where_gdb_holds_no_less_is_reported_than_the_process_felt(beating):
    rounds = [one for _ in range(2) for one in hold(beating, "gdb-mi")]
    # gdb stops one thread after the other, so most threads feel less than the whole.
    assert min(one.felt - one.noise - one.reported for one in rounds) < NEAR, rounds


def test_gdb_is_not_started_for_a_package_variable(run):
    with open_target(str(run().pid), gdb="/nonexistent/gdb") as target:
        assert inspect(target, "main.doubleMiddle").judgement.verdict == "consistent"


# The deadline


CHAIN = 1 << 20
"""Buckets of the chain of fixtures/programs/endless."""


@pytest.fixture(scope="module")
def endless() -> Iterator[Running]:
    with start(build("endless", USUAL)) as running:
        yield running


def test_a_chain_of_a_million_buckets_is_followed_for_as_long_as_a_stop_may_take_and_no_longer(endless):
    with open_target(str(endless.pid)) as target:
        inspection = inspect(target, "main.endless", max_stop=0.05)
    assert inspection.judgement.verdict == "not-read"
    assert inspection.exit_code == 3
    assert inspection.snapshot.late == ("overflow buckets of buckets",)
    assert isinstance(inspection.snapshot, MapSnapshot)
    assert len(inspection.snapshot.buckets.overflow_rows) < CHAIN
    assert any("overflow buckets" in note and "50 ms" in note for note in inspection.notes)
    assert_free(endless.pid)


def test_a_copy_that_comes_too_late_is_given_up_within_a_mebibyte_and_is_not_counted_as_read(run):
    million = run("million")
    portions: list[int] = []

    class Watched(Deadline):
        def ask(self, size: int) -> int:
            portions.append(super().ask(size))
            return portions[-1]

    watched, buckets = Watched(), int(million.map("m64")["header"]["buckets"], 16)
    memory = CountingMemory(ProcessMemory(million.pid).within(watched))
    watched.start(time.perf_counter(), HURRY / 2)
    with pytest.raises(NotReadInTime):
        memory.read_many(np.full(64, buckets, dtype=np.uint64), 1 << 25)
    assert max(portions) == AT_ONCE_IN_A_HURRY
    assert memory.count == 0


def test_a_key_that_is_not_found_in_time_is_an_error_of_its_own(endless):
    with open_target(str(endless.pid)) as target, pytest.raises(NotReadInTime, match="50 ms"):
        look_up(target, "main.endless", "2", max_stop=0.05)
    assert_free(endless.pid)


MANY = 50_000
"""Entries that are shown of four times as many: their strings take long enough for a stop to end among them."""

STRINGS = ("what keys and elements point to",)
"""What came too late where nothing but the strings did."""


def is_late(entry: Entry) -> bool:
    """Whether the key of an entry says that it came too late."""
    return isinstance(entry.key, Unreadable) and entry.key.late


def cut_among_the_strings(target: Target) -> Inspection:
    """An inspection whose stop ended after the buckets were copied, and before the strings of all shown entries were.

    How long either takes depends on the machine.
    """
    seconds = 0.01
    for _ in range(100):
        try:
            inspection = inspect(target, "main.mstr", entries=MANY, max_stop=seconds)
        except NotReadInTime:
            seconds *= 1.2
            continue
        if inspection.snapshot.late not in ((), STRINGS):
            seconds *= 1.2
        elif any(map(is_late, inspection.entries())):
            return inspection
        else:
            seconds *= 0.9
    raise AssertionError("no stop ended among the strings")


def test_a_map_whose_strings_came_too_late_says_so_where_they_would_stand(run):
    million = run("million")
    with open_target(str(million.pid)) as target:
        inspection = cut_among_the_strings(target)
        entries = list(inspection.entries())
    assert (inspection.judgement.verdict, inspection.judgement.findings) == ("not-read", ())
    assert len(entries) == MANY
    # The strings of some may have come before the stop ended.
    told = {entry.value: entry.key.data for entry in entries if isinstance(entry.key, GoString)}
    assert told == {value: f"key-{value}".encode() for value in told}
    assert len(told) == sum(not is_late(entry) for entry in entries)


@pytest.mark.parametrize("name", ["key_interface", "key_string"])
def test_a_map_is_late_at_whichever_read_the_stop_ends(run, name):
    told = run().map(name)
    address = int(told["address"], 16)

    class Counted(Deadline):
        left = 1 << 30

        def ask(self, size: int) -> int:
            self.left -= 1
            if self.left < 0:
                raise NotReadInTime(size, 0.0)
            return size

    with open_target(str(run().pid)) as target:
        one, counted = Run(target), Counted()
        go_type = one.types.find_map_type(told["type"])
        source = replace(one.source(), memory=ProcessMemory(run().pid).within(counted))
        whole = one.family.take_snapshot(source, address, go_type, 0)
        reads = Counted.left - counted.left
        assert not whole.late
        for counted.left in range(1, reads):
            assert one.family.take_snapshot(source, address, go_type, 0).late


def test_an_error_of_the_api_can_be_caught_by_the_name_that_the_api_gives_it(endless):
    with open_target(str(endless.pid)) as target, pytest.raises(InspectError, match="longer stops with max_stop"):
        inspect(target, "main.endless", max_stop=1e-9)


@pytest.mark.slow
def test_a_census_reports_a_map_that_takes_too_long_as_not_read(endless):
    with open_target(str(endless.pid)) as target:
        census = take_census(target, max_stop=0.02, max_share=None)
    row = next(one for one in census.maps if one.name == "main.endless")
    assert (row.verdict, census.exit_code) == ("not-read", 3)
    assert_free(endless.pid)


# One request and the next


def test_two_inspections_of_one_target_report_each_their_own_stop_and_notes(run):
    with open_target(str(run().pid)) as target:
        first = inspect(target, run().map("empty")["address"])
        second = inspect(target, "main.doubleMiddle")
        again = inspect(target, "main.doubleMiddle")
    assert any("the map is empty" in note for note in first.notes)
    assert second.notes == again.notes == ()
    # A sum would be larger than either.
    assert again.timing.stopped < again.timing.total
    assert max(second.timing.stopped, again.timing.stopped) < first.timing.total + again.timing.total


def test_types_that_reflect_makes_later_are_found_later():
    with start(build("reflecting", USUAL)) as running, open_target(str(running.pid)) as target:
        for length in (3, 5, 9):
            told = running.ask(f"make {length}")
            inspection = inspect(target, told["address"])
            assert inspection.snapshot.type.name == told["type"] == f"map[[{length}]int8]uint16"
            assert inspection.snapshot.header.count == told["len"]


# The share of the time


@pytest.mark.slow
def test_a_process_is_held_for_no_more_than_its_share_of_any_second(run):
    with open_target(str(run("million").pid)) as target:
        asking = Run(target, USUAL_STOP, 0.1)
        began = time.perf_counter()
        while time.perf_counter() - began < 2.5 * WINDOW:
            with asking.held():
                time.sleep(0.03)
        assert len(asking.clock.stops) > 4
        for number, (began, _) in enumerate(asking.clock.stops):
            assert Clock(asking.clock.stops[:number]).recent(began) <= 0.1 * WINDOW - asking.patience + 0.001


def test_a_census_holds_a_process_for_its_share_of_the_time_unless_asked_otherwise(run):
    with open_target(str(run("plain").pid)) as target:
        usual, hasty = take_census(target), take_census(target, max_share=None)
    assert usual.timing.stopped <= MAX_SHARE * max(usual.timing.total, WINDOW * 1000)
    assert [one.address for one in usual.maps] == [one.address for one in hasty.maps]


def test_the_recent_share_counts_only_what_lies_in_the_window():
    clock = Clock([(0.0, 0.5), (1.0, 1.2), (1.9, 2.0)])
    assert clock.recent(2.0) == pytest.approx(0.2 + 0.1)
    assert (clock.total, clock.longest) == (pytest.approx(0.8), 0.5)


def test_threads_that_run_are_not_asked_for_their_registers(run):
    with open_target(str(run().pid), memory="direct") as target:
        asked = Run(target)
        assert asked.threads() == []
        with asked.held():
            held = {thread.id for thread in asked.threads()}
        assert asked.threads() == []
    assert run().pid in held
