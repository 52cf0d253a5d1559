"""The demo: real core dumps of Go processes with their executables, one for each family of maps.

The process with classic maps was caught in mid-evacuation, the one with Swiss maps when one of its two tables had
split. All files are compressed package data made by fixtures/make_demo.py.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from inspector.target.opening import open_target
from inspector.target.target import MemoryChoice, Target

CORE = "core.xz"
EXECUTABLE = "executable.xz"
ABOUT = "about.json"

DemoFamily = Literal["classic", "swiss"]
PREFIX: dict[DemoFamily, str] = {"classic": "", "swiss": "swiss-"}
"""What the names of a family's files begin with."""


@dataclass(frozen=True)
class Demo:
    """The open core, and the variable that it is about, with its type."""

    target: Target
    variable: str
    type: str


@contextmanager
def open_demo(memory: MemoryChoice = "direct", gdb: str = "gdb", family: DemoFamily = "classic") -> Iterator[Demo]:
    """Open the demo core of a family of maps as any compressed one, its executable in a temporary folder."""
    about = json.loads(packed(ABOUT, family))
    with (
        tempfile.TemporaryDirectory(prefix="go-map-inspect-demo-") as folder,
        as_file(_file(CORE, family)) as core,
    ):
        executable = Path(folder, about["executable"])
        executable.write_bytes(lzma.decompress(packed(EXECUTABLE, family)))
        with open_target(str(core), exe=str(executable), memory=memory, gdb=gdb) as target:
            yield Demo(target, about["variable"], about["type"])


def packed(name: str, family: DemoFamily = "classic") -> bytes:
    """A file of a family's demo as it is packed: CORE, EXECUTABLE or ABOUT."""
    return _file(name, family).read_bytes()


def _file(name: str, family: DemoFamily) -> Traversable:
    return files(__name__) / f"{PREFIX[family]}{name}"
