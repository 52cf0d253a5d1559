"""Published programs with Swiss maps, stripped, while they work: esbuild in two modes, and tsgo."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from fixtures.esbuild import RECENT, esbuild_serving, esbuild_watching
from fixtures.npm import NotOnNpm
from fixtures.tsgo import tsgo
from fixtures.working import Working
from inspector import inspect, open_target, take_census
from inspector.errors import NotAMap, UnknownMap
from tests.support.chance import unforeseen
from tests.support.commandline import assert_free

SOUND = {"consistent", "write-in-progress"}
NEWEST = next(iter(RECENT))
FILES = 2


def look(pid: int, inspections: int) -> int:
    """Take a census and inspect some of the maps by their addresses; how many maps are listed."""
    with open_target(str(pid), memory="direct") as target:
        census = take_census(target, max_share=None)
        wrong = [one for one in census.maps if one.verdict not in SOUND]
        assert wrong == []
        for one in unforeseen().choices(census.maps, k=inspections):
            try:
                assert inspect(target, f"{one.address:#x}", max_stop=None).judgement.verdict in SOUND
            except (NotAMap, UnknownMap):
                continue  # it was freed since
    return len(census.maps)


def at_work(working: AbstractContextManager[Working]) -> None:
    """Look at a program while it works, and see that it goes on working."""
    try:
        with working as program:
            assert look(program.pid, 20) > 100
            program.wait_for(2)
    except NotOnNpm as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
def test_every_map_of_esbuild_is_sound_while_it_builds_what_changes():
    at_work(esbuild_watching(NEWEST))


@pytest.mark.matrix
def test_every_map_of_esbuild_is_sound_while_it_serves():
    at_work(esbuild_serving(NEWEST))


@pytest.mark.matrix
def test_every_map_of_tsgo_is_sound_while_it_waits_for_changes():
    try:
        with tsgo(FILES) as pid:
            assert look(pid, 20) > 100
            assert_free(pid)
    except NotOnNpm as reason:
        pytest.skip(str(reason))
