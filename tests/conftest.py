"""Real processes and real cores, started once a session for each toolchain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from fixtures import USUAL, Core, Running, Toolchain, build, kernel_core, start

# How long an example takes says nothing on a busy machine.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")


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
