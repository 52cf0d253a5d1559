"""The threads of the selected inferior and their frames, as the gdb that we run in has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gdb

from inspector.control import gdbframes
from inspector.errors import GdbError
from inspector.memory.prstatus import GENERAL
from inspector.memory.threads import Thread

REGISTERS = (*GENERAL, "rip", "rsp", "fs_base")


def inner_threads() -> list[Thread]:
    """The registers of the threads of the selected inferior that stand still; raises GdbError."""
    with _as_ours(), _selection_kept():
        threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)
        found = map(_registers_of, threads)
        return [thread for thread in found if thread is not None]


class InnerFrames:
    """Finds variables in the frames of all goroutines; the selected thread and frame stay selected."""

    def prepare_frames(self, functions: list[tuple[str, int]]) -> list[str]:
        """Read what is needed to find the frames of functions; the names of those that exist. Raises GdbError."""
        with _as_ours():
            return gdbframes.prepare(functions)

    def search_frames(self, request: dict[str, Any]) -> dict[str, Any]:
        """Find variables in frames, see gdbframes.search. Raises GdbError."""
        with _as_ours(), _selection_kept():
            return gdbframes.search_and_go_back(request)


def _registers_of(thread: gdb.InferiorThread) -> Thread | None:
    try:
        thread.switch()
        frame = gdb.newest_frame()
        registers = {name: int(frame.read_register(name)) % (1 << 64) for name in REGISTERS}
    except (gdb.error, ValueError):
        # It runs, or its registers are not in the core.
        return None
    return Thread.of(thread.ptid[1] or thread.ptid[0], registers)


@contextmanager
def _selection_kept() -> Iterator[None]:
    """Select the thread and frame again that are selected now."""
    thread, frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            frame.select()


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except (gdb.error, RuntimeError) as error:
        raise GdbError(f"gdb: {error}") from None
