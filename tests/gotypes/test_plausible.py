"""What can be a value of a type is told before anything that it points to is copied."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.plausible import Followable
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Region, RegionMap

pytestmark = pytest.mark.pure

STRING = GoType(0x1000, Kind.STRING, 16, "string", has_pointers=True)
MAPPED = RegionMap([Region(0xC000000000, 0xC000400000)])


def followable(go_type: GoType, words: list[list[int]]) -> Followable:
    """The judge of some values; a string is made of nothing, so no table of types is asked."""
    rows = np.array(words, np.uint64).view(np.uint8).reshape(len(words), -1)
    return Followable(cast(TypeTable, None), FrozenMemory(), MAPPED, go_type, rows)


@pytest.mark.parametrize(
    ("data", "length", "can"),
    [
        (0xC000000000, 5, True),
        (0, 0, True),
        (0xC000000000, 0x400000, True),
        (0xC000000000, 0x400001, False),
        (0xC000000000, 1 << 40, False),
        (0xC0003FFFFF, 2, False),
        (0xC000000000, (1 << 64) - 1, False),
        (0x10, 1, False),
    ],
)
def test_a_string_has_to_lie_in_readable_memory_from_its_first_byte_to_its_last(data, length, can):
    judge = followable(STRING, [[data, length]])
    assert judge.can.tolist() == [can]


def test_each_string_is_judged_on_its_own_and_known_by_its_length():
    judge = followable(STRING, [[0xC000000000, 90_000], [0xC000000000, 1 << 30], [0, 0]])
    assert judge.can.tolist() == [True, False, True]
    assert judge.longest.tolist() == [90_000, 1 << 30, 0]
