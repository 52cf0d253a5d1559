"""Opening a process behind a gdbserver, on this machine or another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from inspector.control.gdbserver import RemoteBridge, RemoteMemory, parse_endpoint
from inspector.control.hold import Still
from inspector.errors import GdbDied, GdbError, Hint, UsageError
from inspector.image.elf import ElfImage, open_image
from inspector.maps.families import load_families
from inspector.maps.readers import reader_of_sync_maps
from inspector.settings import MemoryChoice
from inspector.target.program import Program, bias_of, build_matches, built
from inspector.target.target import Target


def open_remote(
    endpoint: str, *, exe: str | None = None, memory: MemoryChoice = "auto", stop: bool = True, gdb: str = "gdb"
) -> Target:
    """Open the process of the gdbserver that listens at `endpoint`, HOST:PORT.

    gdbserver holds the process until the target is closed. One that it attached to runs then; a program that
    it started stands where it stood, and gdbserver listens again. Raises the InspectError family.
    """
    if memory == "direct":
        raise UsageError("only gdb can talk to a gdbserver", Hint("leave {direct} out"))
    if not stop:
        raise UsageError(
            "gdbserver stops its process, so it cannot be read without a stop", Hint("leave {no_stop} out")
        )
    endpoint = parse_endpoint(endpoint)
    whose = f"the process at {endpoint}"
    # gdbserver holds its process from the connection on: nothing that can be loaded before is loaded then.
    load_families()
    reader_of_sync_maps()
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
        build = built(image)
        entry = bridge.entry_point()
        image.bias = bias_of(image, entry, whose) if entry else 0
        bridge.open_executable(bridge.executable, image.bias)
        reader = RemoteMemory(bridge)
        target = Target(
            "process",
            endpoint,
            bridge.pid,
            Program(image, build, reader),
            reader,
            Still(bridge.threads),
            gdb,
            tuple(_notes(bridge, reader, image, entry)),
            held_since=held_since,
        )
        target.connect(bridge, resources.pop_all())
        return target


def _notes(bridge: RemoteBridge, reader: RemoteMemory, image: ElfImage, entry: int) -> Iterator[str]:
    """What the user has to know of a gdbserver that does not show everything."""
    endpoint = bridge.endpoint
    if not build_matches(reader, image, f"the process at {endpoint}"):
        yield f"{endpoint} does not show its executable's build id, so it could not be compared"
    reader.sign_of_life = image.entry + image.bias
    if _stands_at(bridge, entry):
        yield "the program has not run yet: gdbserver holds it at its very first instruction"
    reader.regions()
    if not reader.knows_regions:
        yield f"{endpoint} does not show what is mapped, so every address is tried"


def _stands_at(bridge: RemoteBridge, address: int) -> bool:
    """Whether the process stands at an instruction; one that is being killed has no registers any more."""
    try:
        return bridge.program_counter() == address
    except GdbDied:
        raise
    except GdbError:
        return False
