"""Maps inside of a sync.Map are named by their keys, also since 1.24, when it became a HashTrieMap."""

from __future__ import annotations

import re

import pytest

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from inspector.census.census import take_census
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target

MANY = "25"
HELD = "map[uint64]string"

PATH = r'main\.registry\["\d+"\]'

RELEASES = [
    pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow),
    pytest.param(Toolchain("1.25.5", "noswissmap"), id="1.25.5-noswissmap", marks=pytest.mark.slow),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", RELEASES)
def test_every_map_in_a_sync_map_has_a_path(toolchain):
    with start(build("census", toolchain), MANY) as running:
        told = {int(one["address"], 16) for one in running.truth["maps"] if one["type"] == HELD and not one["name"]}
        with open_target(str(running.pid), memory="direct") as target:
            census = take_census(target, max_share=None)
            for one in [each for each in census.maps if each.address in told][:: int(MANY) // 5]:
                assert inspect(target, one.name).ref.address == one.address
    named = {one.address: one.name for one in census.maps if one.type == HELD and one.address in told}
    assert len(told) == int(MANY)
    assert set(named) == told
    assert all(name and re.fullmatch(PATH, name) for name in named.values()), named
    assert len(set(named.values())) == int(MANY)
