"""A target is a number, a text or a Path."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import NoSuchTarget, UsageError, open_remote, open_target
from tests.support.commandline import assert_running
from tests.support.gdbservers import attached, needs_gdbserver

BY = {"direct": "process_vm_readv", "gdb-mi": "gdb-mi"}
"""What reads the bytes, by the choice."""


def test_a_process_opens_by_a_number_and_by_its_digits(run):
    pid = run().pid
    for spelled in (pid, str(pid)):
        with open_target(spelled, memory="direct") as target:
            assert (target.kind, target.pid) == ("process", pid)


def test_a_core_opens_by_a_text_and_by_a_path_even_if_it_is_called_like_a_pid(crash, tmp_path):
    core = crash()
    digits = tmp_path / "25114"
    digits.symlink_to(core.path)
    for spelled in (str(core.path), Path(core.path), digits):
        with open_target(spelled, memory="direct", exe=str(core.exe)) as target:
            assert target.kind == "core"


@pytest.mark.parametrize("memory", ["direct", "gdb-mi"])
def test_maps_are_mappings_whoever_reads_the_memory_and_the_process_runs_on(run, memory):
    running = run("elements")
    with open_target(running.pid, memory=memory) as target:
        assert target["main.sizes"] == {"small": 200}
        assert target["main.open"] == {-1: True, 2: False}
        assert target["main.open"].inspection.target.memory == BY[memory]
    assert_running(running)


@needs_gdbserver
def test_maps_behind_a_gdbserver_are_mappings(run, tmp_path):
    running = run("elements")
    with attached(running, tmp_path) as server, open_remote(server.endpoint) as target:
        assert target["main.sizes"] == {"small": 200}
        assert target["main.lists"] == {"odd": [1, 3, 5]}
    assert_running(running)


@pytest.mark.pure
@pytest.mark.parametrize("wrong", [True, -3, 1.5, None, b"core"])
def test_what_is_neither_a_pid_nor_a_path_is_refused(wrong):
    with pytest.raises(UsageError, match=r"not a pid|neither a pid nor a path"):
        open_target(wrong)


@pytest.mark.pure
def test_a_path_of_digits_is_not_taken_for_a_pid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoSuchTarget, match="'1'"):
        open_target(Path("1"))
