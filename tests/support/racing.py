"""Cores of the program `racing`, which the runtime ended because goroutines used a map at once."""

from __future__ import annotations

from pathlib import Path

from fixtures import Core, Toolchain, build, kernel_core

TRIES = 5


def fatal_core(
    toolchain: Toolchain,
    directory: Path,
    command: str = "race",
    reason: str = "concurrent map writes",
    ldflags: str = "",
) -> Core:
    """The core of a `racing` that was told a command and that the runtime ended for a reason.

    What writers do to a map that they share is chance: they may break it before the runtime sees that they share it,
    and it ends the program for that.
    """
    for _ in range(TRIES):
        core = kernel_core(build("racing", toolchain, ldflags=ldflags), directory=directory, command=command)
        if f"fatal error: {reason}" in core.stderr:
            return core
    raise AssertionError(f"{TRIES} of {TRIES} ended without {reason!r}: {core.stderr[:2000]}")
