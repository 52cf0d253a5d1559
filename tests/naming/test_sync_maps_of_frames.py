"""Values of sync.Map that only frames lead to: arguments, locals, fields of receivers, in every goroutine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from fixtures import CLASSIC, SWISS_RELEASES, USUAL, Running, build, gcore_core, start
from inspector import inspect, open_target
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.truth import document_of, in_order

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

BOTH_FORMS = [
    pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]
"""Two maps, and a trie."""

OTHERS = [
    pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.matrix)
    for toolchain in (CLASSIC[0], CLASSIC[-1], *SWISS_RELEASES[:-1])
]


@pytest.fixture(scope="module", params=BOTH_FORMS)
def running(request) -> Iterator[Running]:
    """The program whose goroutines hold them, and wait."""
    with start(build("syncframes", request.param)) as started:
        yield started
        assert_running(started)


def differences(target: object, told: list[dict]) -> list[str]:
    """What is found otherwise than the program tells of."""
    wrong = []
    with open_target(str(target)) as opened:
        for one in told:
            document = document_of(inspect(opened, one["name"], entries=None))
            found = document["map"]["address"], document["map"]["type"], document["map"]["count"], document["verdict"]
            if found != (one["address"], "sync.Map", one["len"], "consistent"):
                wrong.append(f"{one['name']}: {found}")
            if in_order(document["entries"]) != in_order(one["entries"]):
                wrong.append(f"{one['name']}: {document['entries']}")
    return wrong


def test_each_is_found_by_its_frame_with_its_entries(running):
    assert len(running.truth["maps"]) == 4
    assert differences(running.pid, running.truth["maps"]) == []


@pytest.mark.parametrize("toolchain", OTHERS)
def test_each_is_found_with_every_release(toolchain):
    with start(build("syncframes", toolchain)) as started:
        assert differences(started.pid, started.truth["maps"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("made_by", ["the kernel", "gdb"])
def test_each_is_found_in_a_core(made_by, crash, tmp_path):
    if made_by == "gdb":
        with start(build("syncframes", SWISS_RELEASES[-1])) as started:
            core = gcore_core(started, tmp_path)
    else:
        core = crash("syncframes", SWISS_RELEASES[-1])
    assert differences(core.path, core.truth["maps"]) == []


@pytest.mark.slow
def test_several_are_distinguished_a_nil_one_is_nil_and_a_key_is_looked_up(running):
    several = cli_here(running.pid, "main.worker:jobs")
    assert_refused(several, "main.worker:jobs is in 2 places", "waiting, main.go:", "a sync.Map at 0x")
    nil = cli_here(running.pid, "main.idle:none")
    assert nil.code == 0
    assert "nil: a nil *sync.Map" in nil.out
    present = cli_here(running.pid, "main.local:sm", "--key", '"main.local:sm-7"')
    assert present.code == 0
    assert present.out.splitlines()[0].endswith("  present")


@pytest.mark.slow
def test_a_type_that_contradicts_is_refused_and_the_right_one_is_not(running):
    told = next(one for one in running.truth["maps"] if one["name"] == "main.handler:sm")
    right = cli_here(running.pid, told["name"], "--type", "sync.Map", "--json")
    assert (right.document["map"]["address"], right.err) == (told["address"], "")
    wrong = cli_here(running.pid, told["name"], "--type", "map[string]int")
    assert_refused(wrong, "the type given is map[string]int, but ", "is declared as sync.Map", "leave --type out")
