"""Programs of both families that write at full speed, stopped at any moment: a sample of benchmarks.stops."""

from __future__ import annotations

import pytest

from benchmarks.nostop import TOOLCHAINS, measure
from benchmarks.stops import RIGHT
from tests.support.chance import unforeseen

SAMPLE = 20
"""Stops of each family in every run of the tests; the toolchain is another in each run."""


@pytest.mark.slow
@pytest.mark.parametrize("family", TOOLCHAINS)
def test_a_process_that_is_stopped_anywhere_has_sound_maps_or_a_write_in_progress(family):
    dice = unforeseen()
    seen = measure(family, dice.choice(TOOLCHAINS[family]), SAMPLE, dice, float("inf"), stop=True)
    assert seen.false == []
    assert RIGHT.issuperset({*seen.verdicts, *seen.census})
    assert seen.verdicts["consistent"] > 0
