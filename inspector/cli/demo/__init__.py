"""The demo: a real core dump of a Go process caught in mid-evacuation, with its executable.

Both are compressed package data made by fixtures/make_demo.py.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from inspector.target.opening import open_target
from inspector.target.target import MemoryChoice, Target

CORE = "core.xz"
EXECUTABLE = "executable.xz"
ABOUT = "about.json"


@dataclass(frozen=True)
class Demo:
    """The open core, and the variable that it is about, with its type."""

    target: Target
    variable: str
    type: str


@contextmanager
def open_demo(memory: MemoryChoice = "direct", gdb: str = "gdb") -> Iterator[Demo]:
    """Open the demo core as any compressed one, its executable in a temporary folder."""
    here = files(__name__)
    about = json.loads((here / ABOUT).read_text())
    with tempfile.TemporaryDirectory(prefix="go-map-inspect-demo-") as folder, as_file(here / CORE) as core:
        executable = Path(folder, about["executable"])
        executable.write_bytes(lzma.decompress((here / EXECUTABLE).read_bytes()))
        with open_target(str(core), exe=str(executable), memory=memory, gdb=gdb) as target:
            yield Demo(target, about["variable"], about["type"])
