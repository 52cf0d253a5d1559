"""Which process a census is of: maps are matched by address in one process only, whatever its pid is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from fixtures import USUAL, build, gcore_core, start
from inspector.census import take_census
from inspector.census.diff import Earlier, compare
from inspector.census.identity import process_identity
from inspector.memory import procfs
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.commandline import cli_here


@pytest.fixture(scope="module")
def pods():
    """Two processes of one program."""
    program = build("plain", USUAL)
    with start(program) as one, start(program) as other:
        yield one, other


def census_of(target):
    with open_target(str(target), memory="direct") as opened:
        return take_census(opened, max_share=None)


def identity_of(target):
    with open_target(str(target), memory="direct") as opened:
        return process_identity(Run(opened))


def test_the_process_1_of_two_containers_is_two_processes(pods):
    # A process sees its own pid, and so does the core that the kernel writes of it.
    one, other = (census_of(running.pid) for running in pods)
    one, other = (replace(each, target=replace(each.target, pid=1)) for each in (one, other))
    assert (one.target.exe, one.target.pid) == (other.target.exe, other.target.pid)
    assert not compare(Earlier.of(one), Earlier.of(other)).by_address


@pytest.mark.slow
def test_a_saved_census_of_another_process_with_the_same_pid_is_compared_by_name(pods, tmp_path):
    one, other = pods
    saved = json.loads(cli_here(one.pid, "--json").out)
    saved["target"]["pid"] = other.pid
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(saved))
    document = json.loads(cli_here(other.pid, "--diff", file, "--json").out)
    assert document["diff"]["matched_by"] == "name"
    assert "main.words" not in {change["name"] for change in document["diff"]["changes"]}
    assert "not known to be the same process" not in cli_here(other.pid, "--diff", other.pid).out


def test_a_saved_census_of_the_same_process_is_compared_by_address_and_an_old_document_by_name(pods, tmp_path):
    running = pods[0]
    file = tmp_path / "saved.json"
    answer = cli_here(running.pid, "--json")
    file.write_text(answer.out)
    assert json.loads(cli_here(running.pid, "--diff", file, "--json").out)["diff"]["matched_by"] == "address"
    old = json.loads(answer.out)
    del old["target"]["process_identity"]
    file.write_text(json.dumps(old))
    assert json.loads(cli_here(running.pid, "--diff", file, "--json").out)["diff"]["matched_by"] == "name"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb writes this core")
def test_a_process_and_its_core_are_one_process(pods, tmp_path):
    core = gcore_core(pods[0], tmp_path)
    assert identity_of(core.path) == identity_of(pods[0].pid)
    assert identity_of(core.path) != identity_of(pods[1].pid)


def test_the_identity_gives_no_byte_of_the_hash_keys_away(pods):
    with open_target(str(pods[0].pid), memory="direct") as opened:
        run = Run(opened)
        name, keys = process_identity(run), run.hash_keys
    assert keys is not None
    secret = keys.schedule or b"".join(word.to_bytes(8, "little") for word in keys.hashkey)
    assert name is not None
    assert not any(secret[at : at + 3].hex() in name for at in range(len(secret) - 2))


def test_without_hash_keys_a_running_process_is_known_by_its_beginning(pods, monkeypatch):
    monkeypatch.setattr("inspector.target.program.find_hash_keys", lambda *_: None)
    names = [identity_of(running.pid) for running in (*pods, pods[0])]
    assert None not in names
    assert names[0] == names[2] != names[1]
    monkeypatch.setattr("inspector.memory.procfs.beginning", lambda pid: None)
    assert identity_of(pods[0].pid) is None
    assert compare(Earlier(None, ()), Earlier(None, ())).by_address is False


def test_when_a_process_began_is_told_by_the_kernel(pods):
    first, second = (procfs.beginning(running.pid) for running in pods)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    assert 0 < first[1] <= second[1]
    assert procfs.beginning(1 << 30) is None
