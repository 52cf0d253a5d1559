"""Real gdbservers on loopback, for processes that run and for programs that they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures import Running
from tests.support.commandline import PATIENCE, children_of

needs_gdbserver = pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")


@dataclass
class Server:
    """A gdbserver: its process, and what it says of itself."""

    process: subprocess.Popen[bytes]
    endpoint: str
    said: Path

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until it has said something so many times, or has ended."""
        deadline = time.monotonic() + PATIENCE
        while self.said.read_text().count(words) < times and self.process.poll() is None:
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """The process that it has started or attached to."""
        return int(re.search(r"pid = (\d+)", self.said.read_text())[1])

    def truth(self) -> dict[str, Any]:
        """What a program prints that gdbserver has started and somebody let run."""
        return json.loads(self.process.stdout.readline())


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def gdbserver(folder: Path, *args: object, once: bool = False) -> Iterator[Server]:
    """Run gdbserver for a program and its arguments, or for "--attach" and a pid, and let go of all it held."""
    endpoint = f"127.0.0.1:{free_port()}"
    words = [str(each) for each in args]
    words.insert(1 if words[0] == "--attach" else 0, endpoint)
    said = folder / f"gdbserver-{endpoint.rpartition(':')[2]}"
    with said.open("w") as errors:
        process = subprocess.Popen(
            ["gdbserver", *(["--once"] if once else []), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    server = Server(process, endpoint, said)
    started = set()
    try:
        server.wait_for("Listening")
        started = children_of(process.pid)
        yield server
    finally:
        process.kill()
        process.wait()
        for pid in started:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()


@contextmanager
def attached(running: Running, folder: Path) -> Iterator[Server]:
    """A gdbserver that has attached to a running program."""
    with gdbserver(folder, "--attach", running.pid) as server:
        yield server


def let_run(server: Server, *commands: str) -> None:
    """Let another debugger do something with gdbserver's process, and leave it as it is then."""
    quiet = ["-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
    steps = ["set remote kill-packet off", f"target remote {server.endpoint}", *commands]
    line = [word for step in steps for word in ("-ex", step)]
    done = subprocess.run(["gdb", *quiet, *line], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
