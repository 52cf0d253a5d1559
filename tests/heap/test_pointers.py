"""Which words of small objects are pointers: a header of a map has them where it is declared to have them."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import CLASSIC, SWISS_RELEASES, USUAL, build, cached_core
from inspector.census import take_census
from inspector.heap.objects import read_heap
from inspector.heap.pointers import pointer_words
from inspector.target.opening import open_target
from inspector.target.run import Run

EXPECTED = {"classic": 0b101100, "swiss": 0b000100}
"""buckets, oldbuckets and extra; dirPtr."""


@pytest.mark.parametrize(
    ("toolchain", "family"),
    [
        pytest.param(USUAL, "classic", id=USUAL.name),
        pytest.param(SWISS_RELEASES[0], "swiss", id=SWISS_RELEASES[0].name, marks=pytest.mark.slow),
        pytest.param(SWISS_RELEASES[-1], "swiss", id=SWISS_RELEASES[-1].name),
    ],
)
def test_the_pointers_of_every_header_on_the_heap_are_those_that_it_is_declared_with(toolchain, family):
    core = cached_core(build("census", toolchain, ldflags="-s -w"), "2")
    with open_target(str(core.path), exe=str(core.exe), memory="direct") as target:
        maps = [one.address for one in take_census(target).maps if one.found_by != "stack" and "sync." not in one.type]
        run = Run(target, None)
        heap = read_heap(run)
        assert heap is not None
        addresses = np.array(maps, np.uint64)
        on_heap = heap.objects(addresses).base == addresses
        bits, known = pointer_words(run, heap, addresses)
    assert on_heap.sum() > 50
    assert known[on_heap].all()
    assert set(bits[on_heap].tolist()) == {EXPECTED[family]}


@pytest.mark.slow
def test_nothing_is_known_where_spans_do_not_note_pointers():
    core = cached_core(build("census", CLASSIC[0], ldflags="-s -w"), "2")
    with open_target(str(core.path), exe=str(core.exe), memory="direct") as target:
        run = Run(target, None)
        heap = read_heap(run)
        assert heap is not None
        addresses = np.concatenate([slots.addresses for slots in heap.alive(48, 48)])
        _, known = pointer_words(run, heap, addresses)
    assert len(known) > 50
    assert not known.any()
