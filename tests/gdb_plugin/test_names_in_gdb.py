"""Names that are printed, typed back in real gdb: each leads to the map that it was printed for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, cached_core, gcore_core
from fixtures.services import Service, service
from inspector import open_target, take_census
from inspector.census import Census
from tests.support.chance import unforeseen
from tests.support.commandline import assert_running
from tests.support.gdbsession import gdb
from tests.support.services import EVERY_SERVICE

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

HOSTILE = 8
OTHERS = 7
"""Names that the whole suite types back: of keys that had to be escaped, shortened or put in braces, and others."""

MARKS = "\\#{`'"
"""Characters that names have only where their keys are not plain."""

PATIENCE = 900.0
"""Seconds for some thousand names, on a busy machine."""

TYPE_BACK = """
import json, gdb
answers = {{}}
for name in json.load(open({names!r})):
    try:
        answers[name] = gdb.execute(f"info gomap {{name}} -entries 0 -json", to_string=True)
    except gdb.error as error:
        answers[name] = str(error)
json.dump(answers, open({answers!r}, "w"))
"""
"""A script for gdb: what it answers to each name. One gdb for all of them, as its start takes longest."""


def typed_back(names: list[str], on: tuple[object, ...], folder: Path) -> dict[str, str]:
    """The addresses that names lead to in gdb; what gdb said in the place of those that lead nowhere."""
    wanted, answers, script = (folder / name for name in ("names.json", "answers.json", "script.py"))
    wanted.write_text(json.dumps(names))
    script.write_text(TYPE_BACK.format(names=str(wanted), answers=str(answers)))
    said = gdb(f"source {script}", on=on, patience=PATIENCE)
    assert said == [""]
    return {name: _address(answer) for name, answer in json.loads(answers.read_text()).items()}


def _address(answer: str) -> str:
    return str(json.loads(answer)["map"]["address"]) if answer.startswith("{") else answer


@contextmanager
def standing(program, toolchain) -> Iterator[Service]:
    """A service that makes no requests."""
    with service(program, toolchain) as served, served.paused():
        yield served
        assert_running(served.running)


def census_of(target: object) -> Census:
    with open_target(str(target), memory="direct") as opened:
        return take_census(opened, max_share=None)


def names_of(census: Census) -> dict[str, str]:
    """The names of a census, and the addresses of their maps."""
    return {one.name: hex(one.address) for one in census.maps if one.name is not None}


def is_hostile(name: str) -> bool:
    return any(mark in name for mark in MARKS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "toolchain"), [("metricsregistry", SWISS_RELEASES[-1]), ("jobqueue", USUAL)], ids=["swiss", "classic"]
)
def test_names_of_a_census_lead_back_to_their_maps(program, toolchain, tmp_path):
    random = unforeseen()
    with standing(program, toolchain) as served:
        names = names_of(census_of(served.pid))
        hostile = sorted(filter(is_hostile, names))
        chosen = random.sample(hostile, HOSTILE) + random.sample(sorted(set(names) - set(hostile)), OTHERS)
        assert typed_back(chosen, ("-p", served.pid), tmp_path) == {name: names[name] for name in chosen}


def report(program: str, toolchain: object, names: dict[str, str], owners: int) -> None:
    hostile = sum(map(is_hostile, names))
    print(f"\n{program}, {toolchain}: {len(names)} names ({hostile} hostile) and {owners} owners typed back in gdb")


@pytest.mark.matrix
@pytest.mark.parametrize(("program", "toolchain"), EVERY_SERVICE)
def test_every_name_of_a_census_and_of_the_program_itself_leads_back_to_its_map(program, toolchain, tmp_path, capsys):
    with standing(program, toolchain) as served:
        census = census_of(served.pid)
        names = names_of(census)
        owners = {told["owner"]: told["address"] for told in served.maps()}
        assert len(names) > 150
        assert sum(map(is_hostile, names)) > 40
        found = typed_back(sorted(names | owners), ("-p", served.pid), tmp_path)
        assert found == {name: hex(int(address, 16)) for name, address in (names | owners).items()}
        # What says in what kind of object a map lies is not a name, and is not evaluated either.
        held = sorted({one.holder for one in census.maps if not one.name and (one.holder or "").startswith("(")})
        for holder, said in typed_back(held, ("-p", served.pid), tmp_path).items():
            assert "give the map's address" in said, (holder, said)
    with capsys.disabled():
        report(program, toolchain.name, names, len(owners))


@pytest.mark.matrix
@pytest.mark.parametrize("made_by", ["gcore", "kernel"])
@pytest.mark.parametrize(
    ("program", "toolchain"),
    [("metricsregistry", SWISS_RELEASES[-1]), ("sessioncache", USUAL)],
    ids=["swiss", "classic"],
)
def test_every_name_of_a_census_of_a_core_leads_back_to_its_map(program, toolchain, made_by, tmp_path, capsys):
    if made_by == "kernel":
        core = cached_core(build(program, toolchain))
    else:
        with service(program, toolchain) as served:
            core = gcore_core(served.running, tmp_path)
    names = names_of(census_of(core.path))
    assert len(names) > 150
    assert typed_back(sorted(names), (core.exe, core.path), tmp_path) == names
    with capsys.disabled():
        report(f"{program} (core of {made_by})", toolchain.name, names, 0)
