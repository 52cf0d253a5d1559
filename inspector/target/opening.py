"""Opening a process by its pid, or a core dump by its path."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from inspector.control.gdbmemory import GdbMemory
from inspector.control.hold import Holder, PtraceHolder, Still, Unheld
from inspector.control.tracer import Tracer
from inspector.errors import BadExecutable, Hint, NotGo, UsageError
from inspector.image.elf import ElfImage, open_image
from inspector.memory import procfs
from inspector.memory.lifetime import Lifetime
from inspector.memory.process import ProcessMemory
from inspector.settings import MemoryChoice
from inspector.target.library import library_of_core, library_of_process, lies_in_core, note_of
from inspector.target.presence import require_process
from inspector.target.program import Program, bias_of, build_matches, built, is_go, lay_over, require_same_build
from inspector.target.target import Target, noticing_the_end

if TYPE_CHECKING:
    from inspector.memory.corefile import CoreFile

logger = logging.getLogger(__name__)


def open_target(
    target: int | str | os.PathLike[str],
    *,
    exe: str | None = None,
    memory: MemoryChoice = "auto",
    stop: bool = True,
    gdb: str = "gdb",
    max_unpacked: int | None = None,
) -> Target:
    """Open a process by its pid, or a core dump by its path.

    A number and a text of digits are pids; any other text, and every Path, names a core. A compressed core may have
    `max_unpacked` bytes when it is unpacked; None for what the temporary folder has room for.
    Raises the members of the InspectError family that say what is wrong with it.
    """
    if not stop and memory == "gdb-mi":
        raise UsageError(
            "gdb stops what it attaches to, so it cannot read a process without a stop",
            Hint("leave {no_stop} or {gdb_mi} out"),
        )
    if isinstance(target, int) or (isinstance(target, str) and target.isdecimal()):
        return _open_process(_pid(target), exe, memory, stop, gdb)
    path = _path(target)
    if not stop:
        raise UsageError(
            f"only live processes can be read without a stop, and {path!r} is not a pid",
            Hint("leave {no_stop} out: a core dump stands still"),
        )
    return _open_core(path, exe, memory, gdb, max_unpacked)


def _pid(target: int | str) -> int:
    """The pid that a number or a text of digits stands for; raises UsageError."""
    if isinstance(target, bool) or int(target) < 0:
        raise UsageError(f"{target!r} is not a pid", "a pid is a number above 0")
    return int(target)


def _path(target: str | os.PathLike[str]) -> str:
    """The path of a core; raises UsageError for what is no text."""
    path: object = os.fspath(target) if isinstance(target, (str, os.PathLike)) else target
    if not isinstance(path, str):
        raise UsageError(f"{path!r} is neither a pid nor a path", "give a number, a text or a Path")
    return path


def _open_process(pid: int, exe: str | None, choice: MemoryChoice, stop: bool, gdb: str) -> Target:
    require_process(pid)
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
    running, library = _running_image(pid, resources)
    image = running if exe is None else _same_build(exe, running, f"process {pid}", resources)
    build = built(image)
    image.bias = running.bias if library else bias_of(image, procfs.entry_point(pid), f"process {pid}")
    process = ProcessMemory(pid)
    resources.callback(process.close)
    notes = (note_of(running, f"process {pid}"),) if library else ()
    holder: Holder = _by_ptrace(life, resources) if stop and choice != "gdb-mi" else Unheld()
    started = None if choice == "direct" or not stop else gdb
    program = Program(image, build, process, library)
    target = Target("process", str(pid), pid, program, process, holder, started, notes, life=life)
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


def _running_image(pid: int, resources: ExitStack) -> tuple[ElfImage, bool]:
    """The executable of a process, or its Go library if it has one and the executable is not Go; and whether it has."""
    link = procfs.executable_path(pid)
    running = open_image(link, os.readlink(link))
    resources.callback(running.close)
    if is_go(running):
        return running, False
    with closing(ProcessMemory(pid)) as process:
        library = library_of_process(process)
    if library is None:
        return running, False
    resources.callback(library.close)
    return library, True


def _same_build(exe: str, running: ElfImage, whose: str, resources: ExitStack) -> ElfImage:
    """The executable that the user names; raises BadExecutable if it is of another build."""
    image = open_image(exe)
    resources.callback(image.close)
    require_same_build(image, running.build_ids, whose)
    return image


def _give(target: Target, resources: ExitStack) -> None:
    """Let the target close what was opened for it: gdb first, before the files that it may still look at."""
    files = resources.pop_all()
    files.push(target.resources)
    target.resources = files


def _open_core(path: str, exe: str | None, choice: MemoryChoice, gdb: str, max_unpacked: int | None) -> Target:
    # What reads cores takes 4 ms to load, and no process needs it.
    from inspector.memory.corefile import CoreFile

    with ExitStack() as resources:
        core = CoreFile(path, max_unpacked)
        resources.callback(core.close)
        target = _of_core(core, exe, choice, gdb, resources)
        _give(target, resources)
        _log(target)
        return target


def _of_core(core: CoreFile, exe: str | None, choice: MemoryChoice, gdb: str, resources: ExitStack) -> Target:
    """Bind a core and its executable together; `resources` closes the executable."""
    notes = [core.note] if core.note else []
    if core.missing:
        notes.append(f"{core.path} is cut short: {core.missing:,} bytes that its headers announce are missing")
    if core.impossible:
        notes.append(
            f"{core.path} is damaged or made by hand: {core.impossible:,} bytes of its segments lie within others or "
            "where no memory can be, and are left out"
        )
    image = _core_image(core, exe)
    resources.callback(image.close)
    if not is_go(image):
        library = library_of_core(core)
        if library is not None:
            resources.callback(library.close)
            image = library
    try:
        build = built(image)
    except NotGo as error:
        hint = Hint("{exe} has to name the Go program that the core is of") if exe is not None else error.hint
        raise NotGo(error.message, hint) from None
    in_library = _is_library(image, core)
    if in_library:
        notes.append(note_of(image, f"the core {core.path}"))
    if not build_matches(core, image, f"the core {core.path}"):
        notes.append("the core does not hold its executable's build id, so it could not be compared")
    lay_over(core, image, image.data)
    program = Program(image, build, core, in_library)
    started = None if choice == "direct" else gdb
    holder = Still(lambda: core.threads)
    missing = core.missing + core.impossible
    target = Target("core", core.path, core.pid, program, core, holder, started, tuple(notes), missing)
    if choice == "gdb-mi":
        target.memory = program.memory = GdbMemory(target.bridge(), None)
    return target


def _is_library(image: ElfImage, core: CoreFile) -> bool:
    """Set the bias of an image; returns whether it is a library, not the executable. Raises BadExecutable."""
    if not core.entry:
        return False
    try:
        image.bias = bias_of(image, core.entry, f"the core {core.path}")
    except BadExecutable:
        if not lies_in_core(image, core):
            raise
        return True
    return False


def _core_image(core: CoreFile, exe: str | None) -> ElfImage:
    if exe is not None:
        return open_image(exe)
    path = core.executable_path()
    if path is None:
        cut = " because it is cut short" if core.missing else ""
        raise BadExecutable(f"{core.path} does not name its executable{cut}", Hint("name it with {exe}"))
    return open_image(path.removesuffix(" (deleted)"))
