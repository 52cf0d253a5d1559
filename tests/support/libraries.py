"""A program in C that loads a Go library: the runtime is in a process whose executable is not Go."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, Toolchain, build

HOST = Path(__file__).resolve().parent.parent.parent / "fixtures" / "programs" / "shared" / "host.c"
NEEDS_GCC = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="a Go library for C is linked by gcc, which is not here"
)


def build_library(toolchain: Toolchain = SWISS_RELEASES[-1], ldflags: str = "") -> Path:
    """Build the Go library."""
    return build("shared", toolchain, ldflags=ldflags, extra_flags=["-buildmode=c-shared"], env={"CGO_ENABLED": "1"})


def build_host(folder: Path) -> Path:
    """Build the program that loads it; start it with the path of the library."""
    host = folder / "host"
    subprocess.run(["gcc", "-o", str(host), str(HOST), "-ldl"], check=True)
    return host
