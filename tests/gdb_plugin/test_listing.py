"""`info gomaps` in real gdb: every map, as the command line lists them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from tests.support.commandline import assert_running, cli_here
from tests.support.gdbsession import QUIET, environment, gdb, gdbserver, plugin
from tests.support.promised import promised

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

SWISS = SWISS_RELEASES[-1]
FAMILIES = [pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow), pytest.param(SWISS, id=SWISS.name)]


def rows(document: str) -> list[dict]:
    """The maps of a census in JSON, by address."""
    return sorted(promised(document)["census"]["maps"], key=lambda row: row["address"])


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_every_map_is_listed_as_the_command_line_lists_it(crash, toolchain):
    core = crash("nested", toolchain)
    theirs = rows(cli_here(core.path, "--json").out)
    ours = rows(gdb("info gomaps -json", on=(core.exe, core.path))[0])
    assert len(ours) > 15
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", FAMILIES)
def test_maps_that_no_variable_leads_to_are_listed_too(toolchain):
    with start(build("handlers", toolchain)) as running:
        listed = gdb("info gomaps -json", on=("-p", running.pid))[0]
        assert_running(running)
    found = {row["address"]: row["count"] for row in rows(listed)}
    told = {state["address"]: state["len"] for state in running.truth["maps"]}
    assert len(told) > 15
    assert {address: found.get(address) for address in told} == told


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")
def test_every_map_is_listed_through_gdbserver():
    with start(build("nested", SWISS)) as running:
        with gdbserver(running) as place:
            _, far, _ = gdb(f"target remote {place}", "info gomaps -json", "detach")
        near = cli_here(running.pid, "--json").out
        assert_running(running)
    assert rows(far) == rows(near)


@pytest.mark.slow
def test_stripped_programs_have_a_list_without_names(crash):
    with start(build("nested", SWISS, ldflags="-s -w")) as running:
        listed = gdb("info gomaps -json", on=("-p", running.pid))[0]
    found = {row["address"] for row in rows(listed)}
    assert {state["address"] for state in running.truth["maps"] if state["len"]} <= found


@pytest.mark.slow
def test_maps_are_chosen_and_ordered(crash):
    core = crash("handlers", SWISS)
    by_name, largest, several, typed, findings = gdb(
        "info gomaps ^unicode. -json", "info gomaps -sort count -top 3", "info gomaps -min-bytes 1KiB -json",
        "info gomaps -type-matches '^map.int64.' -top all -strings", "info gomaps -only-findings",
        on=(core.exe, core.path),
    )  # fmt: skip
    every = rows(cli_here(core.path, "--json").out)
    assert rows(by_name) == [row for row in every if (row["name"] or "").startswith("unicode.")] != []
    assert rows(several) == [row for row in every if row["bytes"]["total"] >= 1024] != []
    largest_counts = sorted((row["count"] for row in every), reverse=True)[:3]
    assert [int(re.search(r" (\d+) +\d+\.\d\d ", line)[1]) for line in listed(largest)] == largest_counts
    assert [line.split()[0] for line in listed(typed)] == [
        row["address"] for row in every if row["type"].startswith("map[int64]")
    ]
    assert listed(findings) == []


def listed(text: str) -> list[str]:
    """The lines of the table of maps."""
    return [line for line in text.splitlines() if line.startswith("0x")]


def test_maps_of_the_selected_frame_have_its_names(tmp_path):
    requests = tmp_path / "requests"
    requests.write_text("serve\nquit\n")
    exe = build("serving", SWISS, extra_flags=("-gcflags=all=-N -l",))
    *_, listed, chosen, inspected, _ = gdb(
        "set startup-with-shell on", "break main.step if $gomap_len (sessions) == 2", f"run < {requests} > /dev/null",
        "up", "info gomaps", "info gomaps ^local$ -json", "info gomap local -json", "kill", on=(exe,),
    )  # fmt: skip
    assert re.search(r"map\[int64\]bool +local +2 ", listed)
    assert re.search(r"main\.visits +main\.served +2 ", listed)
    assert [row["address"] for row in rows(chosen)] == [json.loads(inspected)["map"]["address"]]


@pytest.mark.slow
def test_ctrl_c_ends_the_search_and_leaves_gdb_usable():
    with start(build("census", SWISS)) as running:
        line = ["gdb", *QUIET, "-p", str(running.pid), *plugin(), "-ex", "echo begun\\n", "-ex", "info gomaps"]
        with subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment(), start_new_session=True,
        ) as session:  # fmt: skip
            assert any("begun" in said for said in session.stdout)
            time.sleep(1)
            os.kill(session.pid, signal.SIGINT)
            said, _ = session.communicate("print 20 + 22\ninfo gomap main.registry.m -entries 0\nquit\n", timeout=60)
        assert_running(running)
    assert "Quit\n" in said
    assert "maps by bytes" not in said
    assert "Traceback" not in said
    assert "$1 = 42" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("-top x", "'x' is neither a number nor 'all'"),
        ("-min-bytes q", "'q' is not a size: try 4096, 64k or 10MiB"),
        ("-sort bigness", "invalid choice: 'bigness'"),
        ("-type-matches (", "'(' is not a regular expression"),
        ("-variables -top 3", "-variables goes with a regular expression only"),
        ("-nonsense", "-nonsense"),
        ("one two", "two"),
    ],
)
def test_words_that_make_no_sense_are_answered_in_one_line(crash, words, answer):
    core = crash("nested", SWISS)
    said = gdb(f"info gomaps {words}", on=(core.exe, core.path))[0]
    assert answer in said
    assert len(said.splitlines()) == 1
