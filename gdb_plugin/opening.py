"""The selected inferior as a Target: what the command line's open_target is, inside of gdb."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import gdb

from gdb_plugin.debugger import InnerFrames, inner_threads
from gdb_plugin.memory import InferiorMemory
from inspector.control.hold import Still
from inspector.errors import BadExecutable, Hint, InspectError, NoSuchTarget, UsageError
from inspector.hashing.keys import find_hash_keys
from inspector.image.elf import ElfImage, open_image
from inspector.memory import procfs
from inspector.target.program import Program, bias_of, build_matches, built
from inspector.target.target import Target

ON_THE_REMOTE_SIDE = "target:"
"""gdb's mark for files that it reads through the remote side."""

_ENTRY = re.compile(r"AT_ENTRY.*?(0x[0-9a-f]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """What is learnt once for each process: its program, and whether build ids said that it is the right one."""

    program: Program
    compared: bool

    def is_still_there(self, memory: InferiorMemory) -> bool:
        """Whether a process is the one that this was learnt from: hash keys are random, so no two processes share them.

        Two cores may be of processes with the same pid and executable, and lie at the same path one after the other.
        """
        keys = self.program.hash_keys
        if keys is None or not any(keys.schedule or keys.hashkey or ()):
            # A process that has not run yet has zeros for keys, as any other.
            return False
        return keys == find_hash_keys(self.program.image, memory, self.program.types)


_known: dict[tuple[object, ...], Known] = {}
"""The last program of each inferior, by what distinguishes most of them without a look at their memory."""


def open_inferior() -> Target:
    """The inferior that is selected in gdb, which must be stopped; raises the InspectError family."""
    inferior = gdb.selected_inferior()
    if not inferior.pid:
        raise NoSuchTarget("gdb has no process and no core", "run or attach to a Go program, or load its core")
    if _is_executing():
        raise UsageError("the program is running, so its maps may change at any time", "stop it: interrupt -a")
    connection = getattr(inferior, "connection", None)
    memory = InferiorMemory(inferior, connection.type if connection else "remote")
    files = tuple(map(_file_of, gdb.objfiles()))
    key = inferior.num, inferior.pid, memory.connection, _file_of(gdb.current_progspace()), files
    known = _known.get(key)
    if known is None or not known.is_still_there(memory):
        known = _learn(key, memory)
    # What is read from now on comes from the inferior as it is now.
    known.program.memory = memory
    # Other threads may run: gdb can hold a single one (set non-stop on).
    stops = not any(thread.is_running() for thread in inferior.threads())
    notes = []
    if not known.compared and memory.connection == "core":
        notes.append("the core does not hold its executable's build id, so it could not be compared")
    holder = Still(inner_threads, stops)
    return Target(
        "gdb", str(inferior.pid), inferior.pid, known.program, memory, holder, notes=tuple(notes), inner=InnerFrames()
    )


def _is_executing() -> bool:
    """Whether the selected thread runs.

    While gdb evaluates the condition of a breakpoint it calls threads running that stand there: only those that run
    have no frame.
    """
    thread = gdb.selected_thread()
    if thread is None or not thread.is_running():
        return False
    try:
        gdb.selected_frame()
    except gdb.error:
        return True
    return False


def _learn(key: tuple[object, ...], memory: InferiorMemory) -> Known:
    image, compared = _executable(memory)
    known = Known(Program(image, built(image), memory), compared)
    # Read at once: they are what the process is known by.
    _ = known.program.types, known.program.hash_keys
    for other in [other for other in _known if other[0] == key[0]]:
        del _known[other]
    _known[key] = known
    return known


def _executable(memory: InferiorMemory) -> tuple[ElfImage, bool]:
    """The first executable that is the one which runs; returns whether build ids said so."""
    problems: list[InspectError] = []
    for opened, shown in _candidates(memory):
        try:
            image = open_image(opened, shown)
            whose = f"process {memory.inferior.pid}"
            image.bias = bias_of(image, entry, whose) if (entry := _entry_point()) else 0
            return image, build_matches(memory, image, whose)
        except InspectError as error:
            problems.append(error)
    raise problems[0]


def _candidates(memory: InferiorMemory) -> Iterator[tuple[str, str]]:
    """Paths to open, and to show: the file that gdb has, which may be an unstripped copy, and the one that runs."""
    filename = _file_of(gdb.current_progspace())
    if filename:
        # A remote side that is this very machine has it in the same place; build ids tell whether it is the same.
        path = filename.removeprefix(ON_THE_REMOTE_SIDE)
        yield path, path
    if memory.connection == "native":
        link = procfs.executable_path(memory.inferior.pid)
        yield link, os.readlink(link)
    elif not filename:
        raise BadExecutable("gdb does not know the executable, or its name is not UTF-8", Hint("name it with {exe}"))


def _file_of(what: gdb.Objfile | gdb.Progspace) -> str | None:
    """The name of a file that gdb has opened; None where it has none, or where gdb cannot decode it."""
    try:
        return str(what.filename) if what.filename else None
    except UnicodeError:
        return None


def _entry_point() -> int:
    """AT_ENTRY of the process's auxiliary vector, 0 where gdb does not have it."""
    try:
        found = _ENTRY.search(gdb.execute("info auxv", to_string=True))
    except gdb.error:
        return 0
    return int(found[1], 16) if found else 0
