"""What real gdb takes for a map: names as they are written, paths from locals, and gdb's own expressions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL
from fixtures.services import Service, service
from inspector import inspect, look_up, open_target
from tests.support.commandline import assert_running
from tests.support.gdbsession import gdb
from tests.support.promised import promised

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

TENANT = 'main.work.byTenant["tenant-3"]'


@pytest.fixture(scope="module")
def queue() -> Iterator[Service]:
    """A queue of jobs that stands still."""
    with service("jobqueue", SWISS_RELEASES[-1]) as served, served.paused():
        yield served
        assert_running(served.running)


def expected(served: Service, *names: str) -> list[str]:
    """Where names lead to on the command line; each is a map that the program tells of, too."""
    told = {one["address"] for one in served.maps()}
    with open_target(str(served.pid), memory="direct") as target:
        found = [hex(inspect(target, name, entries=0, max_stop=None).ref.address) for name in names]
    assert set(found) <= told
    return found


def ending(served: Service, end: str) -> str:
    """The owner of a map that the service tells of, by how it ends."""
    return next(str(one["owner"]) for one in served.maps() if one["owner"].endswith(end))


def addresses(served: Service, *names: str) -> list[str]:
    """Where names lead to in gdb; what gdb said in the place of those that lead nowhere."""
    said = gdb(*(f"info gomap {name} -entries 0 -json" for name in names), on=("-p", served.pid))
    return [promised(text)["map"]["address"] if text.startswith("{") else text for text in said]


@pytest.mark.slow
def test_a_name_may_be_written_in_every_way_that_go_has(queue):
    args = ending(queue, '.payload["args"].(map[string]string)')
    names = [
        f"{TENANT}.jobs", "main.work.byTenant[`tenant-3`].jobs", f"(*{TENANT}).jobs",
        '(main.work).byTenant[  "tenant-3" ].jobs', 'main.workers["worker-1"]', '(*main.workers)["worker-1"]',
        f"{TENANT}.labels", f"{TENANT}.settings.labels", f"{TENANT}.quotas[2]", 'main.work.byTenant["\\x22"].jobs',
        'main.work.byTenant["\\""].jobs', args, args.removesuffix(".(map[string]string)"),
    ]  # fmt: skip
    cases = dict(zip(names, expected(queue, *names), strict=True))
    # As print wants names.
    cases["'main.work'.byTenant[\"tenant-3\"].jobs"] = cases[f"{TENANT}.jobs"]
    assert len(set(cases.values())) == 6
    assert dict(zip(cases, addresses(queue, *cases), strict=True)) == cases


@pytest.mark.slow
def test_the_address_of_an_object_leads_to_its_maps_once_it_is_converted_to_its_type(queue):
    owner = ending(queue, ".needs")
    needs = expected(queue, owner)[0]
    jobs, _, number = owner.removesuffix(".needs").partition("[")
    with open_target(str(queue.pid), memory="direct") as target:
        word = look_up(target, jobs, number.removesuffix("]"), max_stop=None).lookup.elem_address
        at = int.from_bytes(target.memory.read(word, 8), "little")
    assert addresses(queue, f"(*main.job)({at:#x}).needs") == [needs]


@pytest.mark.slow
def test_what_is_wrong_with_a_name_is_said_as_on_the_command_line(queue):
    cases = {
        'main.work.byTenant["nobody"].jobs': 'main.work.byTenant has no key "nobody"',
        "main.work.byTenant[tenant-3].jobs": "and tenant-3 is not a string",
        'main.work.byTenant["tenant-3"': "does not close",
        'main.work.byTenant["tenant-3"]jobs': "is not a field, an index or a key",
        'main.work.byTenant["tenant-"...150#0123456789abcdef].jobs': "has no key",
        "(main.job).needs": "says in what kind of object a map lies",
        "(*main.nothing)(0xc000000000).x": "the executable has no type 'main.nothing'",
        'main.nothing["x"].y': "there is no variable main.nothing",
        "main.main": "is a function",
    }
    said = gdb(*(f"info gomap {name}" for name in cases), on=("-p", queue.pid))
    for words, text in zip(cases.values(), said, strict=True):
        assert len(text.splitlines()) == 1
        assert words in text


@pytest.mark.slow
def test_functions_take_names_with_keys(queue):
    owner = f"{TENANT}.quotas[2]"
    at = expected(queue, owner)[0]
    length = next(one["len"] for one in queue.maps() if one["address"] == at)
    in_c = owner.replace('"', '\\"')
    said = gdb(f'print $gomap_len ("{in_c}")', f'print $gomap_get ("{in_c}", "nothing")', on=("-p", queue.pid))
    assert said[0] == f"$1 = {length}"
    assert said[1].startswith("key ")
    assert "is not in the map: absent" in said[1]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda each: each.name)
def test_a_path_from_a_local_leads_through_entries_of_maps_and_gdbs_own_expressions_stay(toolchain):
    # In this method q is what main.work is, so both ways lead to one map.
    same = [
        'byTenant["tenant-3"].jobs',
        "byTenant[`tenant-3`].quotas[2]",
        'byTenant["tenant-3"].settings.parents',
        "jobs",
    ]
    with service("jobqueue", toolchain) as served:
        cases = [name for path in same for name in (f"q.{path}", f"main.work.{path}")]
        own = ["(*q).jobs", "*&q.jobs", "&q.jobs", "$kept"]
        wrong = ['q.byTenant["nobody"].jobs', "q.nothing", "*q", "q.byPriority[0]"]
        *said, _ = gdb(
            "break main.(*queue).add", "continue", "set $kept = q.jobs",
            *(f"info gomap {name} -entries 0 -json" for name in [*cases, *own]),
            *(f"info gomap {name}" for name in wrong), "delete", on=("-p", served.pid),
        )  # fmt: skip
        assert_running(served.running)
    said = said[3:]
    found = [promised(text)["map"]["address"] for text in said[: len(cases) + len(own)]]
    assert found[0:8:2] == found[1:8:2]
    assert len(set(found)) == len(same)
    assert set(found[8:]) == {found[6]}
    expected = ('q.byTenant has no key "nobody"', "has no field nothing", "main.queue, not a map", "not a map")
    for words, text in zip(expected, said[len(cases) + len(own) :], strict=True):
        assert words in text
