"""Sets of words are what numpy's own functions say, and numpy.ma is not loaded for them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.memory.sets import distinct, is_among
from tests.support.chance import unforeseen

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("dtype", [np.uint64, np.int64, np.uint8])
def test_distinct_words_and_those_that_are_among_others_are_numpys(dtype: type) -> None:
    chance = unforeseen()
    for length in (0, 1, 2, 7, 300):
        for most in (1, 4, 255):
            values: NDArray[Any] = np.array([chance.randrange(most) for _ in range(length)], dtype)
            others: NDArray[Any] = np.array([chance.randrange(most) for _ in range(chance.randrange(9))], dtype)
            found = distinct(values)
            assert found.dtype == dtype
            assert found.tolist() == np.unique(values).tolist()
            assert is_among(values, others).tolist() == np.isin(values, others).tolist()


def test_rows_are_taken_as_their_words() -> None:
    assert distinct(np.array([[3, 1], [1, 2]])).tolist() == [1, 2, 3]


def test_words_with_any_bit_set_are_told_apart() -> None:
    words = np.array([1 << 63, (1 << 64) - 1, 0, 1 << 63], np.uint64)
    assert distinct(words).tolist() == [0, 1 << 63, (1 << 64) - 1]
    assert is_among(words, words[1:2]).tolist() == [False, True, False, False]


def test_no_masked_arrays_are_loaded() -> None:
    code = (
        "import sys, numpy as np; from inspector.memory.sets import distinct, is_among; "
        "words = np.arange(99, dtype=np.uint64) << np.uint64(40); distinct(words), is_among(words, words[:50]); "
        "print('numpy.ma' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
