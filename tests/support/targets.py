"""Releases that came after the last classic one, and how their programs are opened before their maps are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from fixtures import Running, Toolchain
from inspector.image.buildinfo import read_build_info
from inspector.image.elf import open_image
from inspector.memory import procfs
from inspector.memory.process import ProcessMemory
from inspector.settings import MemoryChoice
from inspector.target.opening import open_target
from inspector.target.program import Program, bias_of
from inspector.target.target import Target

OLDER = Toolchain("1.23.9")

RECENT = (
    Toolchain("1.24.11"),
    Toolchain("1.25.5"),
    Toolchain("1.26.6"),
    Toolchain("1.27.3"),
)
"""A toolchain of each release whose programs have Swiss maps by default."""

EACH_RECENT = [
    pytest.param(toolchain, id=toolchain.name, marks=() if toolchain == RECENT[-1] else pytest.mark.slow)
    for toolchain in (OLDER, *RECENT)
]
"""Parameters: the newest of them in the quick suite, all and an older release in the whole one."""


@contextmanager
def opened_program(running: Running) -> Iterator[Program]:
    """The program that a process runs, read without a stop; what family its maps are of is not asked."""
    memory = ProcessMemory(running.pid)
    image = open_image(running.exe)
    image.bias = bias_of(image, procfs.entry_point(running.pid), "the process")
    try:
        yield Program(image, read_build_info(image), memory)
    finally:
        memory.close()
        image.close()


@contextmanager
def opened_for_heap(target: str | int, memory: MemoryChoice = "direct") -> Iterator[Target]:
    """A process or core whose heap is asked for; what family its maps are of is not asked."""
    with patch("inspector.target.program.family_of"), open_target(str(target), memory=memory) as opened:
        yield opened


@contextmanager
def opened_for_frames(target: str | int) -> Iterator[Target]:
    """The same, with gdb to ask for variables in frames."""
    with patch("inspector.target.program.family_of"), open_target(str(target)) as opened:
        yield opened
