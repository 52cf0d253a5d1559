"""What a gdb of ours starts ends with it, however it ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from inspector.control.gdbmi import GdbBridge
from inspector.errors import InspectError
from inspector.memory import procfs
from tests.support.commandline import assert_free, assert_free_soon

PATIENCE = 20.0


@pytest.fixture
def gdb_with_a_child(tmp_path) -> Path:
    """A gdb with a stopped process in its session, as it has when it tries what the kernel lets it trace."""
    script = tmp_path / "gdb"
    script.write_text(f'#!/bin/sh\nsleep 1000 &\necho $! > {tmp_path}/child\nkill -STOP $!\nexec gdb "$@"\n')
    script.chmod(0o755)
    return script


def child(script: Path) -> int:
    return int((script.parent / "child").read_text())


def kill_while_it_holds(gdb: GdbBridge, pid: int, gdbs_pid: int) -> None:
    with gdb.holding(pid):
        os.kill(gdbs_pid, signal.SIGKILL)
        gdb.console("info threads")


def ends(pid: int) -> bool:
    until = time.monotonic() + PATIENCE
    while not procfs.has_ended(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return procfs.has_ended(pid)


def test_what_a_gdb_has_started_ends_when_somebody_kills_the_gdb(run, gdb_with_a_child):
    running = run()
    with GdbBridge(str(gdb_with_a_child)) as gdb:
        started = child(gdb_with_a_child)
        assert procfs.status(started).state == "T"
        with pytest.raises(InspectError):
            kill_while_it_holds(gdb, running.pid, os.getsid(started))
        assert ends(started)
    assert_free(running.pid)


def test_what_a_gdb_has_started_ends_when_it_and_we_are_killed(run, gdb_with_a_child):
    running = run()
    inspector = os.fork()
    if inspector == 0:
        try:
            gdb = GdbBridge(str(gdb_with_a_child))
            with gdb.holding(running.pid):
                os.kill(os.getsid(child(gdb_with_a_child)), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(inspector, 0)[1]) == -signal.SIGKILL
    assert ends(child(gdb_with_a_child))
    # The kernel takes gdb down in its own time, and the guard looks whether the process runs.
    assert_free_soon(running.pid)
