"""Real processes and real cores, started once a session for each toolchain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fixtures import CLASSIC, USUAL, Core, Running, Toolchain, build, kernel_core, start

EVERY_TOOLCHAIN = [
    pytest.param(toolchain, id=toolchain.name, marks=() if toolchain == USUAL else pytest.mark.slow)
    for toolchain in CLASSIC
]
"""Parameters: the usual toolchain in the quick suite, all of them in the whole one."""


@pytest.fixture(scope="session")
def run() -> Iterator[Callable[..., Running]]:
    """Start a fixture program, the same one only once."""
    with ExitStack() as stack:
        known: dict[tuple[str, Toolchain], Running] = {}

        def starter(program: str = "states", toolchain: Toolchain = USUAL) -> Running:
            key = program, toolchain
            if key not in known:
                known[key] = stack.enter_context(start(build(program, toolchain)))
            return known[key]

        yield starter


@pytest.fixture(scope="session")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Core]:
    """Let a fixture program crash, the same one only once, and give the kernel's core."""
    known: dict[tuple[str, Toolchain], Core] = {}
    folder: Path = tmp_path_factory.mktemp("cores")

    def crasher(program: str = "states", toolchain: Toolchain = USUAL) -> Core:
        key = program, toolchain
        if key not in known:
            known[key] = kernel_core(build(program, toolchain), directory=folder)
        return known[key]

    return crasher
