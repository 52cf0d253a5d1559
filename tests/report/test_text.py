"""The report for people: complete, and harmless to their terminal."""

from __future__ import annotations

import io
import lzma
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fixtures import NEWEST
from inspector import Inspection
from inspector.cli.demo import CORE, EXECUTABLE, packed
from inspector.errors import NotReadInTime
from inspector.gotypes.render import go_form, plain, quoted
from inspector.gotypes.values import GoString
from inspector.gotypes.words import number_of, size
from inspector.inspection.one_map import inspect
from inspector.maps.family import Strip
from inspector.report.text.one_map import picture, print_report
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.commandline import cli_here


def report_of(run, name: str, entries: int | None = 20) -> str:
    out = io.StringIO()
    with open_target(str(run().pid)) as target:
        inspection = inspect(target, name, entries=entries)
    print_report(inspection, Console(file=out, markup=False, highlight=False, width=200))
    return out.getvalue()


def test_a_growing_map_is_reported_with_its_frontier_and_what_is_left_to_do(run):
    text = report_of(run, "main.sameMiddle")
    header = run().map("same_middle")["header"]
    assert "growth: same-size" in text
    assert f"^ nevacuate {header['nevacuate']}" in text
    assert "Growth finishes after" in text
    assert "sameSizeGrow" in text
    assert "verdict: consistent" in text


def test_a_resting_map_is_reported_with_its_next_growth(run):
    text = report_of(run, "main.small9")
    # B = 1 takes 13 entries (12 in Go 1.21): nine are in, so the fifth new key doubles it.
    assert "5 more new keys start the next (double)" in text


def test_times_are_written_with_four_digits_of_the_year(run):
    told = run().map("elem_time")
    with open_target(str(run().pid), memory="direct") as target:
        inspection = inspect(target, told["address"], told["type"])
    shown = {str(go_form(entry.key)): go_form(entry.value) for entry in inspection.entries()}
    assert "0001-01-01T00:00:00Z" in shown['"zero"']
    assert "2024-02-29T12:34:56.000000789Z" in shown['"utc"']


def test_the_first_line_is_the_answer(run):
    told = run().map("same_middle")
    first = report_of(run, "main.sameMiddle").splitlines()[0]
    assert first.startswith(f"main.sameMiddle  {told['type']}  {told['len']:,} entries  ")
    assert re.search(r"KiB  growing \(same-size, \d+ of \d+\)  OK$", first)
    assert report_of(run, "main.nilMap").splitlines()[0].endswith("  nil  OK")


def test_an_empty_map_says_nothing_of_keys(run):
    text = report_of(run, "main.empty")
    assert "0 entries" in text.splitlines()[0]
    assert "hash selects" not in text


def test_a_map_whose_buckets_came_too_late_is_not_called_empty(run):
    with open_target(str(run("million").pid)) as target:
        inspection = without_buckets(target)
    out = io.StringIO()
    print_report(inspection, Console(file=out, markup=False, highlight=False, width=200))
    text = out.getvalue()
    assert re.search(r"  0 entries read  .* read  PARTLY READ$", text.splitlines()[0])
    assert "occupancy: not known, because the buckets were not read; the header counts 1,000,000 entries" in text
    assert "the first write makes some" not in text
    assert "This map" not in text


def without_buckets(target: Target) -> Inspection:
    """An inspection whose stop ended after the header was copied, and before the buckets were.

    How long either takes depends on the machine.
    """
    seconds = 0.002
    for _ in range(100):
        try:
            inspection = inspect(target, "main.m64", max_stop=seconds)
        except NotReadInTime:
            seconds *= 1.2
            continue
        if inspection.snapshot.late == ("buckets",):
            return inspection
        seconds *= 0.9
    raise AssertionError("no stop ended among the buckets")


def test_sizes_are_written_for_people():
    sizes = {0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 22_328: "21.8 KiB", (1 << 20) - 1: "1.0 MiB",
             2_720_000: "2.6 MiB", 5 << 30: "5.0 GiB", 3 << 60: "3,145,728.0 TiB"}  # fmt: skip
    assert {count: size(count) for count in sizes} == sizes


def test_numbers_agree_with_their_nouns():
    assert [number_of(count, "entry") for count in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert [number_of(count, "key") for count in (1, 1000)] == ["1 key", "1,000 keys"]


def test_output_that_is_not_unicode_gets_a_picture_in_ascii():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "inspector", "demo", "--entries", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert "  ##########.......##........#.#..\n" in done.stdout
    assert "\\u" not in done.stdout


def test_no_line_of_a_pipe_ends_in_blanks():
    for words in (["demo"], ["demo", "--top", "5"]):
        assert not [line for line in cli_here(*words).out.splitlines() if line != line.rstrip()]


def test_a_nil_map_is_explained(run):
    assert "a write to it panics" in report_of(run, "main.nilMap")


def test_the_header_shows_every_field_of_hmap_and_mapextra(run):
    text = report_of(run, "main.noPointersOld")
    for field in (
        "count", "flags", "B", "noverflow", "hash0", "buckets", "oldbuckets", "nevacuate", "extra",
        "overflow", "oldoverflow", "nextOverflow",
    ):  # fmt: skip
        assert re.search(rf"^\s*{field} ", text, re.MULTILINE), field


def test_the_header_shows_clear_seq_where_the_release_has_it(run):
    out = io.StringIO()
    state = run("states", NEWEST).map("key_string")
    with open_target(str(run("states", NEWEST).pid), memory="direct") as target:
        print_report(inspect(target, state["address"], state["type"]), Console(file=out, width=200))
    assert re.search(r"^clearSeq +\d+ *$", out.getvalue(), re.MULTILINE)
    assert "clearSeq" not in report_of(run, "main.keyString")


def test_strings_of_the_target_cannot_command_the_terminal(run):
    text = report_of(run, "main.keyString", entries=None)
    assert "\x1b" not in text
    assert '"\\x1b[31m' in text
    assert "[red]markup[/red]" in text


def test_strings_of_the_target_cannot_command_a_real_terminal_either(run):
    """Through a pty, where colours are on: the only escapes are our own."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "inspector", str(run().pid), "main.keyString", "--entries", "all"]
    process = subprocess.Popen(command, stdout=child, stderr=child, env=os.environ | {"TERM": "xterm-256color"})
    os.close(child)
    output = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    assert process.wait() == 0
    assert b"\x1b[" in output
    assert b"\\x1b[31m" in output
    assert b"\x1b[31m" not in output


@pytest.mark.pure
@given(st.text())
def test_plain_text_is_printable_whatever_it_was(text):
    assert all(char.isprintable() for char in plain(text))


@pytest.mark.pure
@given(st.binary(max_size=300))
def test_quoted_strings_are_printable_and_cut_ones_say_their_length(data):
    shown = quoted(data, len(data))
    assert all(char.isprintable() for char in shown)
    assert shown.startswith('"')
    assert shown.endswith(('"', f"... ({len(data)} bytes)"))


@pytest.mark.pure
def test_values_are_written_as_a_go_person_writes_them():
    assert go_form(GoString(b'a"b\\\n\xff\xe2\x80\xae', 9)) == r'"a\"b\\\n\xff\u202e"'
    assert go_form(1.0) == "1"
    assert go_form(float("nan")) == "NaN"
    assert go_form(float("-inf")) == "-Inf"
    assert go_form(complex(1, -2)) == "(1-2i)"
    assert go_form(None) == "nil"
    assert go_form(True) == "true"


def test_functions_are_shown_by_name_and_errors_by_their_message(run):
    functions = report_of(run, "main.elemFunc")
    assert re.search(r'"plain" +main\.valueStates *$', functions, re.MULTILINE)
    assert re.search(r'"closure" +main\.valueStates\.func1 *$', functions, re.MULTILINE)
    errors = report_of(run, "main.elemError")
    assert '*errors.errorString("it failed")' in errors
    assert '*fmt.wrapError("while trying: it failed")' in errors


def test_times_are_shown_as_moments(run):
    text = report_of(run, "main.elemTime", entries=None)
    assert "2024-02-29T12:34:56.000000789Z" in text
    # Seven hours behind UTC, the last second of 1999 is in the next year.
    assert "2000-01-01T06:59:59Z" in text
    assert re.search(r'"now" +20\d\d-\d\d-\d\dT', text)


@pytest.mark.pure
def test_the_picture_of_the_old_array_shows_each_share_of_it():
    legend = "evacuated", "partly", "waiting"
    assert picture(Strip(np.array([1.0, 1.0, 0.0, 1.0]), legend)) == "██░█"
    wide = picture(Strip((np.arange(6400) < 3250).astype(float), legend))
    assert len(wide) == 64
    assert wide[:32] == "█" * 32
    assert wide[32] == "▒"
    assert wide[33:] == "░" * 31


@pytest.mark.pure
def test_the_demo_does_the_whole_job_without_gdb_go_or_network(tmp_path):
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "--demo"], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "main.sessions" in done.stdout
    assert "14 of 32 old buckets evacuated" in done.stdout
    assert "verdict: consistent" in done.stdout


@pytest.mark.pure
@pytest.mark.parametrize("family", ["classic", "swiss"])
def test_the_demo_core_tells_nothing_of_the_machine_it_was_made_on(family):
    core, executable = (lzma.decompress(packed(name, family)) for name in (CORE, EXECUTABLE))
    assert b"GOTRACEBACK=crash" in core
    for word in (b"HOME=", b"PATH=", b"USER=", b"/home/", b"/root/"):
        assert word not in core
        assert word not in executable
