"""Opening a process by its pid, or a core dump by its path."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack

import numpy as np

from inspector.control.gdbmi import GdbMemory
from inspector.control.hold import Holder, PtraceHolder, Still, Unheld
from inspector.control.tracer import Tracer
from inspector.errors import BadExecutable, Hint, NoSuchTarget, NotGo, UsageError
from inspector.image.elf import ElfImage, open_image
from inspector.memory import procfs
from inspector.memory.corefile import CoreFile
from inspector.memory.lifetime import Lifetime
from inspector.memory.process import ProcessMemory
from inspector.target.program import Program, bias_of, build_matches, built, require_same_build
from inspector.target.target import MemoryChoice, Target, noticing_the_end

logger = logging.getLogger(__name__)


def open_target(
    target: str,
    *,
    exe: str | None = None,
    memory: MemoryChoice = "auto",
    stop: bool = True,
    gdb: str = "gdb",
) -> Target:
    """Open a process by its pid, or a core dump by its path.

    Raises the members of the InspectError family that say what is wrong with it.
    """
    if not stop and memory == "gdb-mi":
        raise UsageError(
            "gdb stops what it attaches to, so it cannot read a process without a stop",
            Hint("leave {no_stop} or {gdb_mi} out"),
        )
    if target.isdecimal():
        return _open_process(int(target), exe, memory, stop, gdb)
    if not stop:
        raise UsageError(
            f"only live processes can be read without a stop, and {target!r} is not a pid",
            Hint("leave {no_stop} out: a core dump stands still"),
        )
    return _open_core(target, exe, memory, gdb)


def _open_process(pid: int, exe: str | None, choice: MemoryChoice, stop: bool, gdb: str) -> Target:
    _require_process(pid)
    with ExitStack() as resources:
        life = Lifetime(pid)
        resources.callback(life.close)
        with noticing_the_end(life):
            target = _process(life, exe, choice, stop, gdb, resources)
        _give(target, resources)
        _log(target)
        return target


def _process(
    life: Lifetime, exe: str | None, choice: MemoryChoice, stop: bool, gdb: str, resources: ExitStack
) -> Target:
    """Bind a process, its executable and whoever holds it together."""
    pid = life.pid
    image = _running_image(pid, exe, resources)
    build = built(image)
    image.bias = bias_of(image, procfs.entry_point(pid), f"process {pid}")
    process = ProcessMemory(pid)
    resources.callback(process.close)
    holder: Holder = _by_ptrace(life, resources) if stop and choice != "gdb-mi" else Unheld()
    started = None if choice == "direct" or not stop else gdb
    target = Target("process", str(pid), pid, Program(image, build, process), process, holder, started, life=life)
    if choice == "gdb-mi":
        target.memory = target.program.memory = GdbMemory(target.bridge(), pid)
        target.holder = target.gdb_holder()
    return target


def _by_ptrace(life: Lifetime, resources: ExitStack) -> Holder:
    tracer = Tracer(life)
    resources.callback(tracer.close)
    return PtraceHolder(tracer)


def _log(target: Target) -> None:
    image, build = target.program.image, target.program.build
    logger.debug(
        "%s %s: executable %s, %s%s, read by %s, %s",
        target.kind, target.path, image.path, build.release.version, ", stripped" if image.stripped else "",
        target.memory.name, target.holder.words,
    )  # fmt: skip


def _require_process(pid: int) -> None:
    status = procfs.status(pid)
    if status.ended and procfs.has_ended(pid):
        raise NoSuchTarget(
            f"process {pid} has ended and waits to be reaped (a zombie)", "inspect its core dump, if it left one"
        )
    if status.process != pid:
        raise NoSuchTarget(f"{pid} is a thread of process {status.process}", "give the pid of the process")


def _running_image(pid: int, exe: str | None, resources: ExitStack) -> ElfImage:
    """The executable of a process, or the one that the user names if it is the same build."""
    link = procfs.executable_path(pid)
    running = open_image(link, os.readlink(link))
    resources.callback(running.close)
    if exe is None:
        return running
    image = open_image(exe)
    resources.callback(image.close)
    require_same_build(image, running.build_ids, f"process {pid}")
    return image


def _give(target: Target, resources: ExitStack) -> None:
    """Let the target close what was opened for it: gdb first, before the files that it may still look at."""
    files = resources.pop_all()
    files.push(target.resources)
    target.resources = files


def _open_core(path: str, exe: str | None, choice: MemoryChoice, gdb: str) -> Target:
    with ExitStack() as resources:
        core = CoreFile(path)
        resources.callback(core.close)
        target = _of_core(core, exe, choice, gdb)
        _give(target, resources)
        _log(target)
        return target


def _of_core(core: CoreFile, exe: str | None, choice: MemoryChoice, gdb: str) -> Target:
    """Bind a core and its executable together."""
    notes = [core.note] if core.note else []
    if core.missing:
        notes.append(f"{core.path} is cut short: {core.missing:,} bytes that its headers announce are missing")
    image = _core_image(core, exe)
    try:
        build = built(image)
    except NotGo as error:
        hint = Hint("{exe} has to name the Go program that the core is of") if exe is not None else error.hint
        raise NotGo(error.message, hint) from None
    image.bias = bias_of(image, core.entry, f"the core {core.path}") if core.entry else 0
    if not build_matches(core, image, f"the core {core.path}"):
        notes.append("the core does not hold its executable's build id, so it could not be compared")
    file_bytes = np.frombuffer(image.data, dtype=np.uint8)
    for segment in image.segments:
        # Writable segments change at run time: what the core lacks of them is lost, not as in the file.
        if not segment.writable:
            core.overlay(segment.address + image.bias, file_bytes, segment.offset, segment.file_size)
    program = Program(image, build, core)
    started = None if choice == "direct" else gdb
    holder = Still(lambda: core.threads)
    target = Target("core", core.path, core.pid, program, core, holder, started, tuple(notes), core.missing)
    if choice == "gdb-mi":
        target.memory = program.memory = GdbMemory(target.bridge(), None)
    return target


def _core_image(core: CoreFile, exe: str | None) -> ElfImage:
    if exe is not None:
        return open_image(exe)
    path = core.executable_path()
    if path is None:
        cut = " because it is cut short" if core.missing else ""
        raise BadExecutable(f"{core.path} does not name its executable{cut}", Hint("name it with {exe}"))
    return open_image(path.removesuffix(" (deleted)"))
