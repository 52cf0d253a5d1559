"""A target: one memory and one executable bound together, and the way to hold it still."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from inspector.control import ptrace
from inspector.control.gdbmi import GdbBridge, GdbMemory
from inspector.errors import (
    BadExecutable,
    GdbDied,
    GdbError,
    GdbMissing,
    InspectError,
    NoSuchTarget,
    SwissMaps,
    TargetGone,
    UnreadableMemory,
    UsageError,
)
from inspector.goruntime.releases import Release
from inspector.gotypes.table import TypeTable
from inspector.gotypes.variables import Declarations
from inspector.hashing.keys import HashKeys, find_hash_keys
from inspector.image.buildinfo import BuildInfo, read_build_info
from inspector.image.elf import ElfImage, open_image
from inspector.image.moduledata import find_modules
from inspector.memory import procfs
from inspector.memory.corefile import CoreFile
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Memory, RegionMap
from inspector.memory.threads import Thread

PAGE = 4096
"""Everything is mapped in whole pages."""

MemoryChoice = Literal["auto", "gdb-mi", "direct"]


class Debugger(Protocol):
    """What gdb knows and the bytes do not tell; everything raises GdbError."""

    def threads(self) -> list[Thread]:
        """The registers of all threads that stand still."""
        ...


@dataclass
class Target:
    """An opened process or core. Use as a context manager; closing it always leaves a process running.

    A target of kind "gdb" is opened by the plugin inside of gdb, which brings its own memory and answers, and holds
    the process still; `held_since` is set for a process that a gdbserver holds from the beginning to the end. `notes`
    are sentences for the person: fallbacks taken, checks that could not be made. `stopped_ms` is how long the process
    has been held still so far.
    """

    kind: Literal["process", "core", "gdb"]
    path: str
    pid: int | None
    image: ElfImage
    build: BuildInfo
    memory: Memory
    choice: MemoryChoice
    stop: bool = True
    gdb_program: str = "gdb"
    notes: list[str] = field(default_factory=list)
    missing: int = 0
    stopped_ms: float = 0.0
    heap_searched: bool = False
    own_debugger: Debugger | None = None
    held_since: float | None = None
    _resources: ExitStack = field(default_factory=ExitStack)
    _bridge: GdbBridge | None = None
    _no_bridge: GdbMissing | None = None
    _held: bool = False
    _regions: RegionMap | None = None

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process, end gdb, close the files."""
        self._resources.close()

    def note(self, sentence: str) -> None:
        """Keep a sentence for the person, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def local_pid(self) -> int | None:
        """The process whose end /proc tells of, None where there is none."""
        return self.pid if self.kind == "process" and self.held_since is None else None

    @property
    def release(self) -> Release:
        """The Go release the target was built with."""
        return self.build.release

    @cached_property
    def types(self) -> TypeTable:
        """The target's type descriptors, which never change; raises UnsupportedTarget, UnreadableMemory."""
        # gdb reads only what it holds; anyone else needs no stop for this.
        with self.held() if self.choice == "gdb-mi" else nullcontext():
            modules = find_modules(self.image, self.memory, self.release)
            return TypeTable(self.memory, modules, self.release)

    @cached_property
    def declarations(self) -> Declarations:
        """What the executable's DWARF declares, read when first asked for."""
        return Declarations(self.image, self.types)

    @cached_property
    def hash_keys(self) -> HashKeys | None:
        """The random keys of the process's hash functions, which never change; None where they are not found."""
        with self.held() if self.choice == "gdb-mi" else nullcontext():
            return find_hash_keys(self.image, self.memory, self.types)

    def search_heap_for_types(self) -> bool:
        """Look for map types that were made at run time; returns whether any is new."""
        self.heap_searched = True
        with self.held() if self.choice == "gdb-mi" else nullcontext():
            return self.types.search_heap(self.memory, self.regions())

    @property
    def still(self) -> bool:
        """Whether it stands still without being held: a core, or a process that a gdb has stopped already."""
        return self.kind != "process" or self.held_since is not None

    def regions(self) -> RegionMap:
        """What can be read right now; while the target stands still that is found out only once."""
        if not self.still and not (self._held and self.stop):
            return RegionMap(self.memory.regions())
        if self._regions is None:
            self._regions = RegionMap(self.memory.regions(), complete=self.kind != "core")
        return self._regions

    def threads(self) -> list[Thread]:
        """The threads with their registers, none where they cannot be had; call it while the target is held."""
        if isinstance(self.memory, CoreFile):
            return self.memory.threads
        debugger = self.own_debugger or self._bridge
        if debugger is not None:
            try:
                return debugger.threads()
            except GdbDied:
                raise
            except GdbError as error:
                self.note(f"the threads cannot be looked at: {error.message}")
                return []
        return ptrace.threads(self.pid) if self.pid is not None and self.stop else []

    def bridge(self) -> GdbBridge:
        """The gdb that knows this target's symbols, started when first needed; raises GdbMissing."""
        if self._no_bridge is not None:
            raise self._no_bridge
        if self._bridge is None:
            if self.choice == "direct":
                raise GdbMissing("--memory direct does without gdb", "leave it out")
            files = [self.image.file.fileno()]
            if isinstance(self.memory, CoreFile):
                files.append(self.memory.file.fileno())
            try:
                started = GdbBridge(self.gdb_program, tuple(files))
            except GdbMissing as error:
                # Finding out that a program is no gdb may take long: once is enough.
                self._no_bridge = error
                raise
            bridge = self._resources.enter_context(started)
            bridge.open_executable(files[0])
            for core in files[1:]:
                bridge.open_core(core)
            self._bridge = bridge
        return self._bridge

    def connect(self, bridge: GdbBridge, resources: ExitStack) -> None:
        """Take over a gdb that knows this target already, and what is to be closed after it."""
        self._bridge = bridge
        resources.push(self._resources)
        self._resources = resources

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a process still for the length of the block, where it is not already. May be nested."""
        if self.held_since is not None:
            yield
            self.stopped_ms = (time.perf_counter() - self.held_since) * 1000
            return
        if self._held or self.pid is None or self.still:
            yield
            return
        with self._holder(self.pid):
            self._held = True
            started = time.perf_counter()
            try:
                yield
                # A process can be killed while it is held; what was read of it then is nothing.
                if procfs.has_ended(self.pid):
                    raise gone(self.pid)
            finally:
                self._held, self._regions = False, None
                self.stopped_ms += (time.perf_counter() - started) * 1000 if self.stop else 0.0

    def _holder(self, pid: int) -> AbstractContextManager[None]:
        if not self.stop:
            return nullcontext()
        if self._bridge is not None:
            return self._bridge.holding(pid)
        return ptrace.stopped(pid)


def gone(pid: int) -> TargetGone:
    """The error for a process that ended under our hands."""
    return TargetGone(f"process {pid} ended while it was being inspected", "inspect its core dump, if it left one")


@contextmanager
def noticing_the_end(pid: int | None) -> Iterator[None]:
    """Turn whatever goes wrong in the block because the process ended into the one reason for it."""
    try:
        yield
    except InspectError:
        if pid is not None and procfs.has_ended(pid):
            raise gone(pid) from None
        raise


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
            "--no-stop cannot go with --memory gdb-mi: gdb stops what it attaches to", "leave one of them out"
        )
    if target.isdecimal():
        return _open_process(int(target), exe, memory, stop, gdb)
    if not stop:
        raise UsageError(
            f"--no-stop is for live processes, and {target!r} is no pid", "leave it out: a core dump stands still"
        )
    return _open_core(target, exe, memory, gdb)


def refuse_swiss(image: ElfImage, build: BuildInfo) -> None:
    """Raise SwissMaps for a program whose maps are not hmaps."""
    if build.release.swiss:
        raise SwissMaps(
            f"{image.path} was built by {build.release.version} with Swiss maps, which are not supported yet",
            "only classic maps (hmap) are: Go up to 1.23, or 1.24 and 1.25 with GOEXPERIMENT=noswissmap",
        )


def _open_process(pid: int, exe: str | None, choice: MemoryChoice, stop: bool, gdb: str) -> Target:
    status = procfs.status(pid)
    if status.ended:
        raise NoSuchTarget(
            f"process {pid} has ended and waits to be reaped (a zombie)", "inspect its core dump, if it left one"
        )
    if status.process != pid:
        raise NoSuchTarget(f"{pid} is a thread of process {status.process}", "give the pid of the process")
    with ExitStack() as resources, noticing_the_end(pid):
        link = procfs.executable_path(pid)
        running = open_image(link, os.readlink(link))
        resources.callback(running.close)
        image = running
        if exe is not None:
            image = open_image(exe)
            resources.callback(image.close)
            _require_same_build(image, running.build_ids, f"process {pid}")
        build = read_build_info(image)
        refuse_swiss(image, build)
        image.bias = bias_of(image, procfs.entry_point(pid), f"process {pid}")
        process = ProcessMemory(pid)
        resources.callback(process.close)
        target = Target("process", str(pid), pid, image, build, process, choice, stop, gdb)
        if choice == "gdb-mi":
            target.memory = GdbMemory(target.bridge(), pid)
        # gdb is entered last, so that it is left first: before the files it may still look at.
        files = resources.pop_all()
        files.push(target._resources)
        target._resources = files
        return target


def _open_core(path: str, exe: str | None, choice: MemoryChoice, gdb: str) -> Target:
    with ExitStack() as resources:
        core = CoreFile(path)
        resources.callback(core.close)
        target = _of_core(core, exe, choice, gdb)
        # gdb is left first, before the files it may still look at.
        files = resources.pop_all()
        files.push(target._resources)
        target._resources = files
        return target


def _of_core(core: CoreFile, exe: str | None, choice: MemoryChoice, gdb: str) -> Target:
    """Bind a core and its executable together."""
    notes = [core.note] if core.note else []
    if core.missing:
        notes.append(f"{core.path} is cut short: {core.missing} bytes that its headers promise are not there")
    image = _core_image(core, exe)
    build = read_build_info(image)
    refuse_swiss(image, build)
    image.bias = bias_of(image, core.entry, f"the core {core.path}") if core.entry else 0
    if not build_matches(core, image, f"the core {core.path}"):
        notes.append("the core does not hold its executable's build id, so it could not be compared")
    file_bytes = np.frombuffer(image.data, dtype=np.uint8)
    for segment in image.segments:
        # Writable segments change at run time: what the core lacks of them is lost, not as in the file.
        if not segment.writable:
            core.overlay(segment.address + image.bias, file_bytes, segment.offset, segment.file_size)
    target = Target("core", core.path, core.pid, image, build, core, choice, True, gdb, notes, core.missing)
    if choice == "gdb-mi":
        target.memory = GdbMemory(target.bridge(), None)
    return target


def bias_of(image: ElfImage, entry: int, whose: str) -> int:
    """What the loader added to the linked addresses; raises BadExecutable when it cannot have done so."""
    bias = entry - image.entry
    if bias < 0 or bias % PAGE or (bias and not image.movable):
        raise BadExecutable(
            f"{image.path} is not the executable of {whose}: their entry points do not fit",
            "name the right one with --exe",
        )
    return bias


def _core_image(core: CoreFile, exe: str | None) -> ElfImage:
    if exe is not None:
        return open_image(exe)
    path = core.executable_path()
    if path is None:
        cut = " because it is cut short" if core.missing else ""
        raise BadExecutable(f"{core.path} does not tell which executable it is of{cut}", "name it with --exe")
    return open_image(path.removesuffix(" (deleted)"))


def _require_same_build(image: ElfImage, expected: dict[str, bytes], whose: str) -> None:
    for name, note in image.build_ids.items():
        if name in expected and expected[name] != note:
            raise BadExecutable(
                f"{image.path} is not the executable of {whose}: their build ids differ",
                "name the right one with --exe",
            )


def build_matches(memory: Memory, image: ElfImage, whose: str) -> bool:
    """Compare the build id notes in the target's own pages with the file's; True when one was compared.

    Raises BadExecutable when they differ.
    """
    compared = False
    held: dict[str, bytes] = {}
    for name, note in image.build_ids.items():
        section = image.section(name)
        assert section is not None
        try:
            held[name] = bytes(memory.read(section.address + image.bias, len(note)))
            compared = True
        except UnreadableMemory:
            continue
    _require_same_build(image, held, whose)
    return compared
