"""Masks and slots of buckets, eight at a time, give what numpy gives one by one."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.maps.slots import all_of, any_of, count_of, nonzero, pairs, pick, places
from tests.support.chance import unforeseen

pytestmark = pytest.mark.pure

WIDTHS = (8, 1, 5, 16)


def masks(width):
    """Masks with nothing, all, most and a few true; one of them is not in one piece."""
    dice = np.random.default_rng(unforeseen().randrange(1 << 32))
    for share in (0, 0.01, 0.5, 0.99, 1):
        yield dice.random((200, width)) < share
    yield (dice.random((200, 2 * width)) < 0.5)[:, ::2]
    yield np.zeros((0, width), dtype=bool)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_true_in_a_mask_is_what_numpy_finds(width):
    for mask in masks(width):
        assert [each.tolist() for each in places(mask)] == [each.tolist() for each in np.nonzero(mask)]
        assert pairs(mask) == [tuple(pair) for pair in np.argwhere(mask).tolist()]
        assert any_of(mask).tolist() == mask.any(axis=1).tolist()
        assert all_of(mask).tolist() == mask.all(axis=1).tolist()
        assert count_of(mask).tolist() == mask.sum(axis=1).tolist()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 8, 12, 16, 24, 128])
def test_slots_are_picked_whole_and_zeros_are_told_from_other_bytes(size):
    dice = np.random.default_rng(unforeseen().randrange(1 << 32))
    # Slots lie in buckets, between other things.
    dtype = np.dtype([("tophash", "u1", 8), ("slots", "u1", (8, size)), ("overflow", "<u8")])
    cells = np.frombuffer(dice.bytes(300 * dtype.itemsize), dtype).copy()
    cells["slots"][dice.random((300, 8)) < 0.5] = 0
    slots = np.asarray(cells["slots"])
    slots[0, 0, :-1] = 0  # one byte at the very end
    mask = dice.random((300, 8)) < 0.3
    assert np.array_equal(pick(slots, *places(mask)), slots[mask])
    assert np.array_equal(nonzero(slots), slots.any(axis=2))
