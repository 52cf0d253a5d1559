"""Names that can be typed back: each name that is printed leads to the map that it was printed for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fixtures import SWISS_RELEASES, build, cached_core
from fixtures.services import Service, service
from inspector import inspect, open_target, take_census
from inspector.census import Census
from inspector.errors import UnknownVariable, UsageError
from inspector.inspection.one_key import look_up
from inspector.naming.locate import locate
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import unforeseen
from tests.support.commandline import cli_here
from tests.support.services import EACH_SERVICE, EVERY_SERVICE, as_address

SAMPLE = 20
SHORT = 5
"""Names that the whole suite types back, of each service, and those of them with short forms of keys."""


@contextmanager
def standing(program, toolchain) -> Iterator[tuple[Service, Target]]:
    """A service that makes no requests."""
    with (
        service(program, toolchain) as served,
        open_target(str(served.pid), memory="direct") as target,
        served.paused(),
    ):
        yield served, target


@pytest.fixture(scope="module")
def queue() -> Iterator[tuple[Service, Target]]:
    with standing("jobqueue", SWISS_RELEASES[-1]) as both:
        yield both


def found(target: Target, name: str) -> int:
    """The address of the map that a name leads to."""
    run = Run(target, None)
    locator = locate(run, name, None)
    with run.held():
        return locator.find(run).address


def names_of(census: Census) -> dict[str, int]:
    """The names of a census, and the addresses of their maps."""
    return {one.name: one.address for one in census.maps if one.name is not None}


def of(served: Service, ending: str) -> tuple[str, int]:
    """The owner of a map that the service tells of, and its address, by how the owner ends."""
    return next((one["owner"], as_address(one)) for one in served.maps() if one["owner"].endswith(ending))


@pytest.mark.parametrize(("program", "toolchain"), EACH_SERVICE)
def test_names_of_a_census_and_of_the_program_itself_lead_back_to_their_maps(program, toolchain):
    random = unforeseen()
    with standing(program, toolchain) as (served, target):
        names = names_of(take_census(target, max_share=None))
        assert len(names) > 150
        short = [name for name in names if '"...' in name and '"#' not in name]
        chosen = [*random.sample(sorted(names), SAMPLE), *random.sample(short, min(SHORT, len(short)))]
        assert {name: found(target, name) for name in chosen} == {name: names[name] for name in chosen}
        for told in random.sample(served.maps(), SAMPLE):
            assert found(target, told["owner"]) == as_address(told), told


@pytest.mark.matrix
@pytest.mark.parametrize(("program", "toolchain"), EVERY_SERVICE)
def test_every_name_of_a_census_and_of_the_program_itself_leads_back_to_its_map(program, toolchain, capsys):
    with standing(program, toolchain) as (served, target):
        names = names_of(take_census(target, max_share=None))
        assert {name: found(target, name) for name in names} == names
        owners = {told["owner"]: as_address(told) for told in served.maps()}
        assert {owner: found(target, owner) for owner in owners} == owners
        with capsys.disabled():
            print(f"\n{program}, {toolchain.name}: {len(names)} names and {len(owners)} owners")


# One of each kind


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ('main.work.byTenant["tenant-3"].quotas[2]', 'main.work.byTenant["tenant-3"].quotas[2]'),
        ('main.work.byTenant["tenant-3"].labels', 'main.work.byTenant["tenant-3"].settings.labels'),
        ("main.work.byTenant[`tenant-3`].jobs", 'main.work.byTenant["tenant-3"].jobs'),
        ('(*main.work.byTenant["tenant-3"]).jobs', 'main.work.byTenant["tenant-3"].jobs'),
        ('(main.work).byTenant[ "tenant-3" ].jobs', 'main.work.byTenant["tenant-3"].jobs'),
        ('main.workers["worker-1"]', 'main.workers["worker-1"]'),
        ('(*main.workers)["worker-1"]', 'main.workers["worker-1"]'),
        ('main.work.byTenant["\\x22"].jobs', 'main.work.byTenant["\\""].jobs'),
        ('main.work.byTenant[""].jobs', 'main.work.byTenant[""].jobs'),
        ('main.work.byTenant["a\\"][\\"b"].jobs', 'main.work.byTenant["a\\"][\\"b"].jobs'),
    ],
)
def test_a_name_may_be_written_in_every_way_that_go_has(queue, name, owner):
    served, target = queue
    assert found(target, name) == found(target, owner)
    assert found(target, name) in {as_address(told) for told in served.maps()}


@pytest.mark.slow
def test_an_entry_that_holds_an_interface_is_followed_with_an_assertion_and_without(queue):
    served, target = queue
    owner, address = of(served, '.payload["args"].(map[string]string)')
    assert found(target, owner) == address
    assert found(target, owner.removesuffix(".(map[string]string)")) == address
    with pytest.raises(UnknownVariable, match=r"holds a value of type map\[string\]string, not map\[int\]bool"):
        found(target, owner.replace("(map[string]string)", "(map[int]bool)"))


@pytest.mark.slow
def test_the_address_of_an_object_leads_to_its_maps_once_it_is_converted_to_its_type(queue):
    served, target = queue
    run = Run(target, None)
    job = next(told["owner"] for told in served.maps() if told["owner"].endswith(".needs")).removesuffix(".needs")
    whole = next(told for told in served.maps() if told["owner"] == f"{job}.needs")
    jobs, _, number = job.partition("[")
    lookup = look_up(target, jobs, number.removesuffix("]"), max_stop=None).lookup
    with run.held():
        at = int.from_bytes(run.memory.read(lookup.elem_address, 8), "little")
    assert found(target, f"(*main.job)({at:#x}).needs") == as_address(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ('main.work.byTenant["nobody"].jobs', 'main.work.byTenant has no key "nobody"'),
        ("main.work.byTenant[tenant-3].jobs", "and tenant-3 is not a string"),
        ('main.work.byTenant["tenant-3"', "does not close"),
        ('main.work.byTenant["tenant-3"].names', "has no field names"),
        ('main.work.jobs["one"]', "a number of type main.jobID expected"),
        ('main.work.byTenant["tenant-3"].quotas[3]', "index 3 is out of range"),
        ('main.work.byTenant["tenant-3"].name', "is of type string, not a map"),
        ('main.work.byTenant["tenant-"...150#0123456789abcdef].jobs', "has no key"),
        ("(main.job).needs", "(main.job).needs says in what kind of object a map lies"),
        ("(main.nothing).needs", "there is no variable main.nothing"),
        ('main.work.byTenant["tenant-3"]jobs', "is not a field, an index or a key"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(queue, name, error):
    _, target = queue
    with pytest.raises((UnknownVariable, UsageError)) as raised:
        found(target, name)
    assert error in str(raised.value)


@pytest.mark.slow
def test_a_name_is_taken_by_every_command(queue):
    served, target = queue
    name = next(name for name in names_of(take_census(target, max_share=None)) if '"...150#' in name)
    told = cli_here(served.pid, name, "--json").document
    assert told["map"]["name"] == name
    assert int(told["map"]["address"], 16) == found(target, name)
    key = cli_here(served.pid, name, "--key", "nothing", "--json").document
    assert key["map"]["address"] == told["map"]["address"]


@pytest.mark.slow
def test_names_are_followed_in_a_core():
    core = cached_core(build("sessioncache"))
    # The others may have changed before it crashed.
    pinned = [told for told in core.truth["maps"] if told["owner"].startswith("main.pinned[")]
    with open_target(str(core.path)) as target:
        for told in pinned:
            assert inspect(target, told["owner"]).ref.address == as_address(told)
    assert len(pinned) > 20
