"""A bare address whose bytes fit several types: what leads to the map decides, as in the list of all maps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import pytest

from fixtures import USUAL, Toolchain, build, start
from fixtures.services import service
from inspector.api import Target, open_target
from inspector.census.following import TypesOfReferences
from inspector.control.hold import Holder
from inspector.gotypes.gotype import GoType
from inspector.inspection.one_map import inspect
from tests.support.chance import seeded
from tests.support.commandline import cli_here
from tests.support.services import EACH_SERVICE, NEWEST, as_address
from tests.support.swiss import STRIPPED

SOME = 15


def compare(target: Target, seed: str) -> int:
    """Inspect maps of the list by their addresses alone; returns of how many references told the type.

    There are some, or as many as it takes until that was told of one: most maps are known by their keys.
    """
    listed = [row for row in target.census().maps if row.type != "sync.Map"]
    told = 0
    for number, row in enumerate(seeded(seed).sample(listed, len(listed))):
        if told and number >= SOME:
            break
        led = led_to(target, row.address)
        known = inspect(target, f"{row.address:#x}", entries=0).ref
        names = (known.type.name, *(each.name for each in known.alternatives))
        # The list knows also what is in maps that nothing but their keys proves.
        assert names[0] == row.type if led else row.type in names, row
        target.led_to = None
        told += len(led) > 0 and len(inspect(target, f"{row.address:#x}", entries=0).ref.alternatives) > 0
        target.led_to = TypesOfReferences()
    return told


def led_to(target: Target, address: int) -> Sequence[GoType]:
    assert target.led_to is not None
    return target.led_to(target, address)


@pytest.mark.parametrize(("program", "toolchain"), EACH_SERVICE)
def test_a_bare_address_gets_the_type_that_the_list_of_all_maps_gives_it(
    program: str, toolchain: Toolchain, tmp_path: Path
) -> None:
    with service(program, toolchain, STRIPPED) as asked, asked.paused():
        with open_target(asked.pid, memory="direct") as target:
            in_process = compare(target, f"{program} process")
        core, exe = tmp_path / "core", str(asked.running.exe)
        assert cli_here("snapshot", asked.pid, "-o", core).code == 0
    with open_target(core, exe=exe, memory="direct") as target:
        in_core = compare(target, f"{program} core")
    assert in_process > 0
    assert in_core > 0


@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(NEWEST, marks=pytest.mark.slow)], ids=str)
def test_words_that_only_look_like_a_map_in_an_interface_tell_no_type(toolchain: Toolchain) -> None:
    with service("sessioncache", toolchain, STRIPPED) as asked, asked.paused():
        # What the program makes its answer of are pairs of addresses and types, one after the other.
        truth = {as_address(told): told["type"] for told in asked.maps()}
        with open_target(asked.pid, memory="direct") as target:
            listed = {row.address: row for row in target.census().maps}
    assert {address: listed[address].type for address in truth} == truth
    assert {row.verdict for row in listed.values()} <= {"consistent", "write-in-progress"}


class Counting:
    """A holder that counts how often it holds its process."""

    def __init__(self, holder: Holder) -> None:
        self.holder, self.held = holder, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.holder, name)

    def holding(self) -> AbstractContextManager[float]:
        self.held += 1
        return self.holder.holding()


def test_a_process_is_not_held_once_more_for_what_leads_to_a_map() -> None:
    with start(build("noted", USUAL, ldflags=STRIPPED)) as running:
        told = running.map("page")
        with open_target(running.pid, memory="direct") as target:
            counting = Counting(target.holder)
            target.holder = cast(Holder, counting)
            inspection = inspect(target, told["address"])
    assert (inspection.ref.type.name, inspection.ref.alternatives) == (told["type"], ())
    assert any("reference which leads to it" in note for note in inspection.notes)
    assert counting.held == 1
