"""How long a census and a snapshot hold a process, beside a bare copy and gdb's gcore of the same process.

Run it with `python -m benchmarks.snapshot [ROUNDS] [MAPS ...]`. Programs with 4,000, 40,000 and 400,000 maps, classic
and Swiss, and one with 1 GiB of records and random bytes, are copied in each way in turn. A bare copy takes the same
bytes with process_vm_readv on one processor, into memory that is there already, while the process runs. How long gcore
holds is watched from outside: as long as /proc/PID/status names a tracer. Ours is watched in the same way, and reported
by itself. A census reports how long it held the process, and how many maps it listed in what time. Printed are
medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from inspector.census import take_census
from inspector.copying.pages import Pages
from inspector.copying.plan import make_plan
from inspector.coredump import write_core
from inspector.memory.process import IOVEC, ProcessMemory
from inspector.target.opening import open_target

MAPS = (4_000, 40_000, 400_000)
MIB = 1024
AT_ONCE = 1 << 24
WATCH = 0.0002


@dataclass(frozen=True)
class Way:
    """One copy of a process: seconds that it was held by our watch, seconds in all, bytes on the disk, its length."""

    held: float
    took: float
    on_disk: int = 0
    length: int = 0


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    counts = [int(word) for word in sys.argv[2:]] or MAPS
    for toolchain in (USUAL, SWISS_RELEASES[-1]):
        for count in counts:
            compare("keeping", count, f"{count:,} maps", toolchain, rounds)
    compare("bulk", MIB, f"{MIB:,} MiB", USUAL, rounds)


def compare(program: str, argument: int, what: str, toolchain: Toolchain, rounds: int) -> None:
    """Copy one program in all ways, and print the medians."""
    with start(build(program, toolchain), str(argument)) as running, tempfile.TemporaryDirectory() as folder:
        ways: dict[str, list[Way]] = {}
        for _ in range(rounds):
            for name, way in each_way(running.pid, Path(folder)):
                ways.setdefault(name, []).append(way)
        bare = statistics.median(one.took for one in ways["bare copy"])
        size = ways["bare copy"][0].length
        print(f"{what}, {toolchain.name}: {size / 1e6:,.1f} MB of memory, {rounds} rounds")
        for name, each in ways.items():
            held, took = (statistics.median(values) for values in zip(*((e.held, e.took) for e in each), strict=True))
            print(
                f"  {name:20} held {held * 1000:10,.1f} ms {held / bare:8.2f} x the bare copy   in all {took:8.2f} s"
                f"   on disk {each[-1].on_disk / 1e6:10,.1f} MB   length {each[-1].length / 1e6:10,.1f} MB"
            )


def each_way(pid: int, folder: Path) -> Iterator[tuple[str, Way]]:
    """All ways in turn."""
    yield "bare copy", bare_copy(pid)
    with open_target(str(pid), memory="direct") as target:
        census = take_census(target)
        yield f"census of {len(census.maps):,}", Way(census.timing.stopped / 1000, census.timing.total / 1000)
        for name, zstd in (("snapshot", False), ("snapshot --zstd", True)):
            core = folder / f"core{zstd}"
            held: list[float] = []

            def work(core: Path = core, zstd: bool = zstd, held: list[float] = held) -> None:
                held.append(write_core(target, core, zstd=zstd).held)

            way = watched(pid, work, core)
            yield f"{name}, watched", way
            yield name, Way(held[0], way.took, way.on_disk, way.length)
    core = folder / "gcore"

    def gcore() -> None:
        command = ["gdb", "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
        subprocess.run([*command, "-p", str(pid), "-ex", f"gcore {core}"], check=True, capture_output=True)

    yield "gcore", watched(pid, gcore, core)


def bare_copy(pid: int) -> Way:
    """Copy the same bytes with one system call after the other."""
    with Pages(pid) as pages:
        plan = make_plan(pid, pages)
    memory = ProcessMemory(pid)
    into = np.zeros(max(1, plan.size), dtype=np.uint8)
    into[::4096] = 1
    began = time.perf_counter()
    at = 0
    for start_, end in plan.ranges:
        for address in range(start_, end, AT_ONCE):
            size = min(AT_ONCE, end - address)
            remote = np.array([(address, size)], IOVEC)
            local = np.array([(into.ctypes.data + at, size)], IOVEC)
            memory.copy(remote, local)
            at += size
    took = time.perf_counter() - began
    memory.close()
    return Way(took, took, 0, plan.size)


def watched(pid: int, work: Callable[[], None], core: Path) -> Way:
    """Do something, and watch for how long the process has a tracer meanwhile; the core is removed."""
    held, over = [0.0], threading.Event()

    def watch() -> None:
        status, since = Path(f"/proc/{pid}/status"), None
        while not over.is_set():
            traced = "TracerPid:\t0\n" not in status.read_text()
            now = time.perf_counter()
            if traced and since is None:
                since = now
            elif not traced and since is not None:
                held[0] += now - since
                since = None
            time.sleep(WATCH)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    over.set()
    watcher.join()
    status = core.stat()
    core.unlink()
    return Way(held[0], took, status.st_blocks * 512, status.st_size)


if __name__ == "__main__":
    main()
