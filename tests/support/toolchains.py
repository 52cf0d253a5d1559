"""The toolchains that tests are repeated with."""

from __future__ import annotations

import pytest

from fixtures import CLASSIC, USUAL

EVERY_TOOLCHAIN = [
    pytest.param(toolchain, id=toolchain.name, marks=() if toolchain == USUAL else pytest.mark.slow)
    for toolchain in CLASSIC
]
"""Parameters: the usual toolchain in the quick suite, all of them in the whole one."""
