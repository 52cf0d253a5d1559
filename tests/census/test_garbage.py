"""A heap full of words that look like maps: the census is done soon, and copies little for what is not a map."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures import USUAL, Running, build, start
from inspector.census import take_census
from inspector.errors import EXIT_CONSISTENT
from inspector.memory.counting import CountingMemory
from inspector.target.opening import open_target

LOOK_LIKE_MAPS = 18_000
"""Objects of the program that are shaped like an hmap and lead to what is shaped like a bucket of three entries."""

ENOUGH = 160 << 20
"""Bytes to copy: its strings say that they have 36 PB altogether, of which 18 GB could be copied."""


@pytest.fixture(
    scope="module",
    params=[pytest.param("", id="symbols", marks=pytest.mark.slow), pytest.param("-s -w", id="stripped")],
)
def littered(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program with its thousands of objects that look like maps."""
    with start(build("garbage", USUAL, ldflags=request.param)) as running:
        yield running


@pytest.mark.slow
def test_garbage_that_says_it_has_long_strings_costs_few_copies_and_hides_no_map(littered):
    with open_target(str(littered.pid), memory="direct") as target:
        target.memory = counting = CountingMemory(target.memory)
        census = take_census(target, max_share=None)
    found = {one.address: (one.type, one.count, one.verdict) for one in census.maps}
    for one in littered.truth["maps"]:
        assert found[int(one["address"], 16)] == (one["type"], one["len"], "consistent")
    assert len(found) < 100 < LOOK_LIKE_MAPS
    # Nothing of all that is called a damaged map, or evidence of one.
    assert census.exit_code == EXIT_CONSISTENT
    assert counting.count < ENOUGH
