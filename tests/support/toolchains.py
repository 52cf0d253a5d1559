"""What tests are repeated with: in the quick suite a few representatives, in the whole one everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from fixtures import CLASSIC, SWISS_EXPERIMENTS, SWISS_RELEASES, USUAL

EVERY_TOOLCHAIN = [
    pytest.param(toolchain, id=toolchain.name, marks=() if toolchain == USUAL else pytest.mark.slow)
    for toolchain in CLASSIC
]
"""Parameters: the usual toolchain in the quick suite, all of them in the whole one."""

EVERY_SWISS = [
    pytest.param(toolchain, id=toolchain.name, marks=() if toolchain == SWISS_RELEASES[-1] else pytest.mark.slow)
    for toolchain in SWISS_RELEASES
]
"""Parameters: the newest release with Swiss maps in the quick suite, all of them in the whole one."""

TWO_SWISS = [
    *(pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.matrix) for toolchain in SWISS_RELEASES[:-2]),
    pytest.param(SWISS_RELEASES[-2], id=SWISS_RELEASES[-2].name, marks=pytest.mark.slow),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]
"""Parameters: the two newest releases, whose map types differ; the others belong to the full cross product."""

TWO_SWISS_BUILD = TWO_SWISS + [
    pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.matrix) for toolchain in SWISS_EXPERIMENTS
]
"""Parameters: those, and the experiments in the full cross product."""

NEWEST_SWISS = [
    *(pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.matrix) for toolchain in SWISS_RELEASES[:-1]),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name, marks=pytest.mark.slow),
]
"""Parameters: the newest release in the whole suite, the others in the full cross product."""

EVERY_SWISS_BUILD = EVERY_SWISS + [
    pytest.param(toolchain, id=toolchain.name, marks=pytest.mark.slow) for toolchain in SWISS_EXPERIMENTS
]
"""Parameters: those, and the experiments that change layouts or hash functions, which only the whole suite builds."""


def quick_are(values: Iterable[str], *quick: str) -> list[Any]:
    """Parameters: all these values, of which only the ones that are named belong to the quick suite."""
    every = list(values)
    assert set(quick) <= set(every)
    return [pytest.param(each, marks=() if each in quick else pytest.mark.slow) for each in every]
