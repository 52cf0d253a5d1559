"""A sync.Map in real gdb is the map that it is: by its name, in frames, for the functions, and in the list."""

from __future__ import annotations

import re
import shutil

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from tests.support.commandline import assert_running, cli_here
from tests.support.gdbsession import gdb
from tests.support.promised import promised
from tests.support.truth import in_order

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

BOTH_FORMS = [
    pytest.param(USUAL, id=USUAL.name, marks=pytest.mark.slow),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]
"""Two maps, and a trie."""


@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_its_entries_are_those_that_the_program_stored_and_the_command_line_says_the_same(crash, toolchain):
    core = crash("syncmaps", toolchain)
    told = core.truth["maps"]
    said = gdb(*(f"info gomap {one['name']} -entries all -json" for one in told), on=(core.exe, core.path))
    for one, text in zip(told, said, strict=True):
        document = promised(text)
        assert (document["map"]["address"], document["map"]["type"]) == (one["address"], "sync.Map")
        assert in_order(document["entries"]) == in_order(one["entries"]), one["name"]
        assert document["verdict"] == "consistent"
    text = gdb("info gomap main.many", on=(core.exe, core.path))[0]
    ours, theirs = (without_times(each) for each in (text, cli_here(core.path, "main.many").out))
    assert ours == theirs


def without_times(text: str) -> list[str]:
    """The lines of a report but for those that say how the target was read, and how long it took."""
    return [
        line.rstrip() for line in text.splitlines() if " read, checked in " not in line and " of syncmaps " not in line
    ]


@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_functions_count_and_look_up_and_take_a_value_too(toolchain):
    with start(build("syncmaps", toolchain)) as running:
        lengths = {one["name"]: one["len"] for one in running.truth["maps"]}
        named = ["main.many", "main.never", "main.pointed", "main.srv.sessions", "main.holding[3]"]
        values = ["'main.many'", "&'main.many'", "'main.pointed'", "'main.wanted'", "'main.srv'.behind"]
        said = gdb(
            *(f'print $gomap_len ("{name}")' for name in named), *(f"print $gomap_len ({value})" for value in values),
            r'print $gomap_get ("main.many", "\"key-7\"") + 1', r'print $gomap_get (' "'main.many'" r', "\"none\"")',
            "info gomaps ^main -variables", on=("-p", running.pid),
        )  # fmt: skip
        assert_running(running)
    counts = [int(text.split(" = ")[1]) for text in said[:10]]
    assert counts == [
        lengths["main.many"], 0, lengths["main.pointed"], lengths["main.srv.sessions"], 1,
        lengths["main.many"], lengths["main.many"], lengths["main.pointed"], 0, lengths["main.srv.behind"],
    ]  # fmt: skip
    assert said[10].endswith(" = 8")
    assert said[11].startswith('key "none" is not in the map: absent')
    rows = {row[0]: row[1:] for row in (re.split(r"\s{2,}", line) for line in said[12].splitlines())}
    assert rows["main.many"] == ["sync.Map", str(lengths["main.many"]), "consistent"]
    assert rows["main.never"] == ["sync.Map", "0", "consistent"]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda each: each.name)
def test_variables_of_all_goroutines_frames_are_found(toolchain):
    with start(build("syncframes", toolchain)) as running:
        told = running.truth["maps"]
        said = gdb(*(f"info gomap {one['name']} -entries all -json" for one in told), on=("-p", running.pid))
        assert_running(running)
    for one, text in zip(told, said, strict=True):
        document = promised(text)
        assert document["map"]["address"] == one["address"]
        assert in_order(document["entries"]) == in_order(one["entries"])


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda each: each.name)
def test_variables_of_the_selected_frame_are_taken_for_the_maps_that_they_are(toolchain, tmp_path):
    requests = tmp_path / "requests"
    requests.write_text("serve\nquit\n")
    said = gdb(
        "set startup-with-shell on", "break main.step", f"run < {requests} > /dev/null", "info gomap m -entries 0",
        "up", "info gomap own -entries all -json", 'print $gomap_len ("own")', "print $gomap_len (m)",
        "info gomap s.sessions -entries 0", "info gomap s.sessions[\"1\"] -json", "info gomaps -variables ^own$",
        "kill", on=(build("syncframes", toolchain, extra_flags=("-gcflags=all=-N -l",)),),
    )  # fmt: skip
    assert said[3].splitlines()[0].startswith("m  sync.Map  5 entries  ")
    document = promised(said[5])
    assert sorted(entry["key"]["value"] for entry in document["entries"]) == [0, 1, 2, 3, 4]
    assert (document["map"]["name"], document["verdict"]) == ("own", "consistent")
    assert said[6].endswith(" = 5")
    assert said[8].splitlines()[0].startswith("s.sessions  sync.Map  3 entries  ")
    assert promised(said[9])["entries"][0]["value"] == 1
    assert re.split(r"\s{2,}", said[10].splitlines()[1]) == ["own", "sync.Map", "5", "consistent"]
