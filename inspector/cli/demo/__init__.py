"""The demo: real core dumps of Go processes with their executables, two for each family of maps.

The process with classic maps was caught in mid-evacuation, the one with Swiss maps when one of its two tables had
split. The earlier core is of another run of the same executable, with about half as many sessions. All files are
compressed package data made by fixtures/make_demo.py.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from inspector.cli.request import DemoCore, DemoFamily
from inspector.memory.packed import no_room
from inspector.settings import MemoryChoice
from inspector.target.opening import open_target
from inspector.target.target import Target

CORE = "core.xz"
EARLIER = "earlier.xz"
EXECUTABLE = "executable.xz"
ABOUT = "about.json"

USUAL = DemoCore()

PREFIX: dict[DemoFamily, str] = {"classic": "", "swiss": "swiss-"}
"""What the names of a family's files begin with."""


@dataclass(frozen=True)
class Demo:
    """The open core, and the variable that it is about, with its type."""

    target: Target
    variable: str
    type: str


@contextmanager
def open_demo(memory: MemoryChoice = "direct", gdb: str = "gdb", which: DemoCore = USUAL) -> Iterator[Demo]:
    """Open a demo core as any compressed one, its executable in a temporary folder.

    Raises InspectError where that folder has no room.
    """
    family = which.family
    about = json.loads(packed(ABOUT, family))
    with (
        _unpacked_executable(family, about["executable"]) as executable,
        as_file(_file(EARLIER if which.earlier else CORE, family)) as core,
        open_target(str(core), exe=str(executable), memory=memory, gdb=gdb) as target,
    ):
        yield Demo(target, about["variable"], about["type"])


@contextmanager
def _unpacked_executable(family: DemoFamily, name: str) -> Iterator[Path]:
    with ExitStack() as until_done:
        try:
            folder = until_done.enter_context(tempfile.TemporaryDirectory(prefix="go-map-inspect-demo-"))
            executable = Path(folder, name)
            executable.write_bytes(lzma.decompress(packed(EXECUTABLE, family)))
        except OSError as error:
            raise no_room("the demo's executable", error) from None
        yield executable


def packed(name: str, family: DemoFamily = "classic") -> bytes:
    """A file of a family's demo as it is packed: CORE, EARLIER, EXECUTABLE or ABOUT."""
    return _file(name, family).read_bytes()


def _file(name: str, family: DemoFamily) -> Traversable:
    return files(__name__) / f"{PREFIX[family]}{name}"
