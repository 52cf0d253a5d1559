"""Maps on the stacks of many goroutines: all found, in a few stops."""

from __future__ import annotations

import pytest

from fixtures import USUAL, build, start
from inspector.census import census as census_module
from inspector.census import take_census
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.commandline import assert_running
from tests.support.toolchains import quick_are


@pytest.fixture
def runs(monkeypatch):
    """The requests that are made."""
    made: list[Run] = []

    class Kept(Run):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr(census_module, "Run", Kept)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("goroutines", quick_are(["400", "2000"], "400"))
def test_a_program_with_many_goroutines_is_held_far_fewer_times(runs, goroutines):
    with start(build("parked", USUAL), goroutines) as running, start(build("parked", USUAL), "1") as small:
        stops = []
        for process in (running, small):
            with open_target(str(process.pid), memory="direct") as target:
                census = take_census(target, max_share=None)
            stops.append(len(runs[-1].clock.stops))
            told = {int(one["address"], 16) for one in process.truth["maps"]}
            found = {one.address for one in census.maps if one.found_by == "stack"}
            assert told <= found
            assert {one.verdict for one in census.maps} == {"consistent"}
            assert_running(process)
    many, few = stops
    assert many < few + 100, stops
