"""Ranges of bytes are put where they belong, alike with the compiled library and with numpy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from inspector.memory import joining
from inspector.memory.joining import LONG, join
from tests.support.chance import unforeseen

pytestmark = pytest.mark.pure


@pytest.fixture(params=["compiled", "numpy"])
def way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(joining, "_library", lambda: None)
    elif joining._library() is None:
        assert shutil.which("cc") is None, "join.c was not built"
        pytest.skip("there is no C compiler")
    return request.param


def whole(*numbers):
    return np.array(numbers, np.int64)


def test_ranges_of_all_sizes_come_to_their_places_and_nothing_else_changes(way):
    dice = unforeseen()
    for count in (1, 2, 17, 3000):
        data = np.frombuffer(dice.randbytes(20_000), np.uint8)
        sizes = np.array([dice.choice((0, 1, 7, 16, 40, LONG, LONG + 1, 3000)) for _ in range(count)], np.int64)
        starts = np.array([dice.randrange(len(data) - size + 1) for size in sizes.tolist()], np.int64)
        # In any order, with gaps between them.
        order = list(range(count))
        dice.shuffle(order)
        at, end = np.zeros(count, np.int64), 3
        for each in order:
            at[each], end = end, end + int(sizes[each]) + dice.randrange(3)
        out = np.full(end + 5, 0xEE, np.uint8)
        expected = out.copy()
        for start, size, place in zip(starts.tolist(), sizes.tolist(), at.tolist(), strict=True):
            expected[place : place + size] = data[start : start + size]
        join(data, starts, sizes, out, at)
        assert np.array_equal(out, expected), count


def test_columns_of_other_arrays_are_ranges_too(way):
    table = np.array([[0, 2, 1], [4, 3, 3]], np.int64)
    out = np.zeros(6, np.uint8)
    join(np.arange(10, dtype=np.uint8), table[:, 0], table[:, 1], out, table[:, 2])
    assert out.tolist() == [0, 0, 1, 4, 5, 6]


def test_no_ranges_are_nothing_to_do(way):
    out = np.full(2, 7, np.uint8)
    join(np.empty(0, np.uint8), whole(), whole(), out, whole())
    assert out.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("starts", "sizes", "at"),
    [((-1,), (1,), (0,)), ((0,), (-1,), (0,)), ((9,), (2,), (0,)), ((0,), (2,), (4,)), ((0,), (1,), (-1,)),
     ((0, 1 << 62), (1, 1 << 62), (0, 0))],
)  # fmt: skip
def test_a_range_that_leaves_either_array_is_refused_before_anything_is_copied(way, starts, sizes, at):
    out = np.full(5, 7, np.uint8)
    with pytest.raises(ValueError, match="does not lie in"):
        join(np.arange(10, dtype=np.uint8), whole(*starts), whole(*sizes), out, whole(*at))
    assert out.tolist() == [7] * 5
