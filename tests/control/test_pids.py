"""A pid that is given to another process: what is meant for the first one must not reach the second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures import USUAL, build, start
from inspector.control.gdbmi import GdbBridge
from inspector.errors import InspectError

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
TRIES = 300
PROCESSES = 5
"""Whose pids are asked for: on a busy machine somebody else may get one, and keep it."""

COUNTER = """
import signal, sys, time
def told(number, _):
    print("signal", number, flush=True)
signal.signal(signal.SIGCONT, told)
print("ready", flush=True)
sys.stdin.readline()
"""


def start_with_pid(pid: int) -> subprocess.Popen[str] | None:
    """A process that says which signals it gets, with a pid that is free; None where others were faster each time."""
    for _ in range(TRIES):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"pids cannot be chosen here: {error}")
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if process.pid == pid:
            return process
        process.kill()
        process.communicate()
        time.sleep(0.01)
    return None


def test_a_process_that_was_given_the_pid_of_the_target_gets_none_of_its_signals():
    for _ in range(PROCESSES):
        with start(build("plain", USUAL)) as running, GdbBridge() as bridge:
            pid = running.pid
            other = None
            with pytest.raises(InspectError), bridge.holding(pid):  # noqa: PT012  the pid is only free within
                bridge._process.kill()
                bridge._process.wait()
                os.kill(pid, signal.SIGKILL)
                running.end()
                other = start_with_pid(pid)
                assert other is None or other.stdout.readline() == "ready\n"
            if other is not None:
                said, _ = other.communicate("\n")
                assert (other.returncode, said) == (0, "")
                return
    raise AssertionError("no pid was free")
