"""The services of fixtures/services.py, for tests."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import SWISS_RELEASES, USUAL
from fixtures.services import SERVICES

NEWEST = SWISS_RELEASES[-1]
_CHOSEN = {("sessioncache", USUAL), ("metricsregistry", NEWEST), ("jobqueue", NEWEST)}

EVERY_SERVICE = [
    pytest.param(program, toolchain, id=f"{program}-{toolchain.name}")
    for program in SERVICES
    for toolchain in (USUAL, NEWEST)
]
"""Parameters (program, toolchain): a release with classic maps, and the newest one, whose maps are Swiss."""

EACH_SERVICE = [
    pytest.param(*each.values, id=each.id, marks=pytest.mark.slow if each.values in _CHOSEN else pytest.mark.matrix)
    for each in EVERY_SERVICE
]
"""The same: each service once in the whole suite, the rest in the full cross product."""


def as_address(told: dict[str, Any]) -> int:
    """The address of a map that a service told of."""
    return int(told["address"], 16)
