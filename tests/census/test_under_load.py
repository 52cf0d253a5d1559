"""Services under load: whatever a census or an inspection meets, nothing sound is called inconsistent."""

from __future__ import annotations

from collections import Counter

import pytest

from fixtures.services import Service, service
from inspector import inspect, open_target, take_census
from inspector.errors import NotAMap, UnknownMap
from tests.support.chance import unforeseen
from tests.support.services import EACH_SERVICE, EVERY_SERVICE, as_address

SOUND = {"consistent", "write-in-progress"}
MOST = 10_000
"""No map of a service has as many entries."""


def look(served: Service, censuses: int, inspections: int) -> Counter[str]:
    """Take censuses, and inspect maps that they list, while the service works; what was said how often."""
    random, said = unforeseen(), Counter[str]()
    with open_target(str(served.pid), memory="direct") as target:
        for number in range(censuses):
            census = take_census(target, max_share=None)
            for one in census.maps:
                said[f"listed: {one.verdict}"] += 1
                # A busy machine leaves no time for some maps, whose counts have to be possible all the same.
                sound = one.verdict in SOUND or (one.verdict == "not-read" and one.count < MOST)
                assert sound, (one, census.notes)
            assert not any(one.evidence for one in census.unproven), census.unproven
            said["censuses"] += 1
            share = inspections * (number + 1) // censuses - inspections * number // censuses
            for one in random.choices(census.maps, k=share):
                said[_inspected(served, target, one.address)] += 1
    return said


def _inspected(served: Service, target, address: int) -> str:
    """The verdict on a map by its address; it may have been freed since it was listed, and then it is not a map."""
    before = {as_address(told) for told in served.maps()}
    try:
        # How long that takes on a busy machine is not what is asked here.
        verdict = inspect(target, f"{address:#x}", max_stop=None).judgement.verdict
    except (NotAMap, UnknownMap):
        # What the service holds before and after is there all the time, unless it was freed and made anew.
        after = {as_address(told) for told in served.maps()}
        assert (
            address not in before & after or inspect(target, f"{address:#x}", max_stop=None).judgement.verdict in SOUND
        )
        return "no longer a map"
    assert verdict in SOUND, f"{address:#x}"
    return verdict


@pytest.mark.parametrize(("program", "toolchain"), EACH_SERVICE)
def test_a_service_under_load_is_never_called_inconsistent_and_answers_after_it(program, toolchain):
    with service(program, toolchain) as served:
        before = served.requests()
        said = look(served, 1, 10)
        assert said["censuses"] == 1
        # How many of those that are inspected have been freed since is a matter of chance.
        assert said["listed: consistent"] > 100
        assert served.requests() > before + 1


@pytest.mark.matrix
@pytest.mark.parametrize(("program", "toolchain"), EVERY_SERVICE)
def test_two_hundred_censuses_and_a_thousand_inspections_call_nothing_inconsistent(program, toolchain, capsys):
    with service(program, toolchain) as served:
        before = served.requests()
        said = look(served, 200, 1000)
        answered = served.requests() - before
        with capsys.disabled():
            print(f"\n{program}, {toolchain.name}: {dict(sorted(said.items()))}, {answered} requests answered")
        assert said["censuses"] == 200
        assert answered > 1


@pytest.mark.parametrize(("program", "toolchain"), EACH_SERVICE)
def test_every_map_that_a_service_tells_of_is_listed_with_its_type_and_count(program, toolchain):
    with service(program, toolchain) as served, open_target(str(served.pid), memory="direct") as target:
        with served.paused():
            listed = {one.address: one for one in take_census(target, max_share=None).maps}
            told = served.maps()
        assert len(told) > 150
        for each in told:
            one = listed[as_address(each)]
            assert one.count == each["len"], each
            assert each["type"].replace("interface {}", "any") in [
                spelled.replace("interface {}", "any") for spelled in (one.type, *one.alternatives)
            ]
