"""Opening a process behind a gdbserver, on this machine or another."""

from __future__ import annotations

import time
from contextlib import ExitStack

from inspector.control.gdbserver import RemoteBridge, RemoteMemory, parse_endpoint
from inspector.errors import UsageError
from inspector.image.buildinfo import read_build_info
from inspector.image.elf import open_image
from inspector.target.target import MemoryChoice, Target, bias_of, build_matches, refuse_swiss


def open_remote(
    endpoint: str, *, exe: str | None = None, memory: MemoryChoice = "auto", stop: bool = True, gdb: str = "gdb"
) -> Target:
    """Open the process of the gdbserver that listens at `endpoint`, HOST:PORT.

    gdbserver holds the process until the target is closed. One that it attached to runs then; a program that
    it started stands where it stood, and gdbserver listens again. Raises the InspectError family.
    """
    if memory == "direct":
        raise UsageError("--remote needs gdb, which --memory direct does without", "leave one of them out")
    if not stop:
        raise UsageError("--no-stop cannot go with --remote: gdbserver stops the process", "leave one of them out")
    endpoint = parse_endpoint(endpoint)
    whose = f"the process at {endpoint}"
    with ExitStack() as resources:
        copy = open_image(exe) if exe else None
        if copy is not None:
            resources.callback(copy.close)
        bridge = resources.enter_context(RemoteBridge(gdb, endpoint, copy.file.fileno() if copy else None))
        held_since = time.perf_counter()
        bridge.connect()
        image = copy or open_image(bridge.fetch_executable(), bridge.executable_name())
        if image is not copy:
            resources.callback(image.close)
        build = read_build_info(image)
        refuse_swiss(image, build)
        entry = bridge.entry_point()
        image.bias = bias_of(image, entry, whose) if entry else 0
        bridge.open_executable(bridge.executable, image.bias)
        reader = RemoteMemory(bridge)
        target = Target("process", endpoint, bridge.pid, image, build, reader, "gdb-mi", gdb_program=gdb)
        if not build_matches(reader, image, whose):
            target.note(f"{endpoint} does not show its executable's build id, so it could not be compared")
        reader.sign_of_life = image.entry + image.bias
        if bridge.program_counter() == entry:
            target.note("the program has not run yet: gdbserver holds it at its very first instruction")
        target.held_since = held_since
        target.regions()
        if not reader.knows_regions:
            target.note(f"{endpoint} does not tell what is mapped, so every address is tried")
        target.connect(bridge, resources.pop_all())
        return target
