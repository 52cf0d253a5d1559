"""The forms of the command line: TARGET [MAP], the verbs beside it, the environment, the help, and -v."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import build, start
from inspector.cli import demo
from tests.support.commandline import (
    COMMAND,
    Answer,
    assert_refused,
    assert_running,
    cli_here,
    environment,
    thread_states,
)

VERBS: tuple[list[str], ...] = ([], ["demo"], ["diff"], ["snapshot"], ["gdb"], ["gdb", "setup"], ["gdb", "script"])


@pytest.fixture(scope="module")
def plain() -> Iterator:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def other() -> Iterator:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


def cli_here_with(variables: dict[str, str], *args: object) -> Answer:
    """The command line with more in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return cli_here(*args)


def without_times(text: str) -> str:
    return re.sub(r"[\d.]+ m?s\b|/tmp/go-map-inspect-demo-\w+", "-", text)


# The demo


def test_the_demo_is_a_target_and_an_option():
    said = {
        without_times(cli_here(*words).out)
        for words in (["demo"], ["--demo"], ["demo", "main.sessions"], ["--demo", "main.sessions"])
    }
    assert len(said) == 1
    assert "main.sessions" in said.pop()


def test_the_demo_takes_any_map_of_its_core():
    answer = cli_here("demo", "0xc0000943f0", "--json")
    assert (answer.code, answer.document["map"]["count"]) == (0, 3)


def test_the_demo_lists_all_maps_when_an_option_of_that_list_is_given():
    census = cli_here("demo", "--top", "2", "--json").document["census"]
    assert (len(census["maps"]), census["totals"]["maps"]) == (2, 6)
    assert cli_here("--json", "demo", "--sort", "count").document["census"]["maps"][0]["count"] == 209


def test_the_demo_looks_up_keys():
    assert cli_here("demo", "--key", '"session-0101"', "--json").document["lookup"]["value"] == 101
    assert cli_here("demo", "--key", '"nobody"').code == 1


@pytest.mark.pure
def test_the_demo_named_twice_is_refused():
    assert_refused(cli_here("demo", "--demo"), "--demo and the word demo are the same", "leave --demo out")


@pytest.mark.pure
def test_the_list_of_all_maps_names_a_map_by_its_symbol_where_debug_information_is_missing():
    rows = cli_here("demo", "--top", "all", "--json").document["census"]["maps"]
    names = {row["address"]: (row["name"], row["holder"]) for row in rows}
    assert names["0xc000094420"] == ("main.sessions", None)
    assert names["0xc000094450"] == (None, "(json.encodeState).ptrSeen")


# Two targets


@pytest.mark.pure
def test_a_saved_census_is_not_a_target_of_its_own(tmp_path):
    saved = tmp_path / "saved.json"
    saved.write_text(cli_here("demo", "--top", "all", "--json").out)
    assert_refused(cli_here(saved), f"{saved} is a saved census", f"diff {saved} TARGET")
    assert cli_here("diff", saved, "demo").code == 0
    saved.write_text("{")
    assert_refused(cli_here("diff", "demo", saved), "not a core dump")


@pytest.mark.slow
def test_diff_says_what_target_and_diff_say(plain, tmp_path):
    saved = tmp_path / "before.json"
    saved.write_text(cli_here(plain.pid, "--json").out)
    verb, option = cli_here("diff", saved, plain.pid, "--json"), cli_here(plain.pid, "--diff", saved, "--json")
    assert (verb.code, option.code) == (0, 0)
    assert (
        verb.document["diff"]
        == option.document["diff"]
        == {
            "matched_by": "address",
            "changes": [],
            "groups": [],
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [["demo"], ["demo", "swiss"]])
def test_a_demo_is_compared_with_its_earlier_core(words):
    name = " ".join(words)
    document = cli_here(*words, "--diff", "--json").document
    assert document == cli_here("diff", f"{name} earlier", name, "--json").document | {"census": document["census"]} | {
        "target": document["target"]
    }
    [sessions] = [each for each in document["diff"]["changes"] if each["name"] == "main.sessions"]
    assert 0 < sessions["before"]["count"] < sessions["after"]["count"]
    assert document["diff"]["matched_by"] == "name"


def test_the_earlier_demo_is_a_target_of_its_own():
    earlier = cli_here("demo", "earlier", "--json").document
    assert earlier["map"]["count"] == 102
    assert earlier["verdict"] == "consistent"
    named = cli_here("demo earlier", "main.sessions", "--type", "map[string]int", "--json").document
    assert named["map"] == earlier["map"] | {"type_source": named["map"]["type_source"]}
    assert cli_here("demo", "swiss", "earlier", "--json").document["verdict"] == "consistent"
    diff = cli_here("diff", "demo earlier", "demo", "--map", "main.sessions", "--json").document["entry_diff"]
    assert len(diff["added"]) - len(diff["removed"]) == 209 - 102


def test_the_diff_of_the_demo_takes_another_target_too(tmp_path):
    saved = tmp_path / "saved.json"
    saved.write_text(cli_here("demo", "--maps", "--json").out)
    assert cli_here("demo", "--diff", saved, "--json").document["diff"]["changes"] == []


def test_a_snapshot_of_the_demo_is_refused():
    assert_refused(cli_here("snapshot", "demo", "-o", "core"), "the demo is a core dump already")


def test_a_demo_can_be_compared_with_itself():
    assert cli_here("diff", "demo", "demo", "--json").document["diff"]["changes"] == []


@pytest.mark.slow
def test_no_stop_holds_for_both_targets(plain, other):
    """A process in the hands of another debugger cannot be stopped: only who does not stop it can read it."""
    command = ["gdb", "-nx", "-q", "-p", str(other.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as gdb:
        while not all(tracer == gdb.pid for _, tracer in thread_states(other.pid)):
            time.sleep(0.02)
        stopped = cli_here(plain.pid, "--diff", other.pid)
        assert_refused(stopped, "already traced", str(other.pid))
        for words in ([plain.pid, "--diff", other.pid], ["diff", other.pid, plain.pid]):
            answer = cli_here(*words, "--no-stop", "--json")
            assert (answer.code, answer.document["diff"]["matched_by"]) == (0, "name")
        gdb.communicate(b"")


def test_memory_holds_for_both_targets(plain, other):
    assert_refused(cli_here("diff", other.pid, plain.pid, "--memory", "gdb-mi"), "gdb")


@pytest.mark.slow
def test_one_executable_is_for_both_and_two_are_for_each(plain, other):
    assert cli_here("diff", other.pid, plain.pid, "--exe", plain.exe).code == 0
    assert cli_here("diff", other.pid, plain.pid, "--exe", other.exe, "--exe", plain.exe).code == 0
    assert_refused(cli_here("diff", other.pid, plain.pid, "--exe", "/nonexistent", "--exe", plain.exe), "/nonexistent")
    assert_refused(
        cli_here(plain.pid, "--diff", other.pid, "--exe", plain.exe, "--exe", "/nonexistent"), "/nonexistent"
    )
    assert cli_here(plain.pid, "--diff", other.pid, "--exe", plain.exe).code == 0


# gdb


def test_the_file_for_gdb_is_named_by_verb_and_option():
    verb, option = cli_here("gdb", "script"), cli_here("--gdb-script")
    assert verb.out == option.out
    assert verb.out.endswith(".py\n")


@pytest.mark.pure
def test_a_word_after_gdb_that_is_not_a_verb_is_refused():
    assert_refused(cli_here("gdb", "scrip"), "scrip")


@pytest.mark.pure
@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["--bogus"], ""),
        (["demo", "--bogus"], " demo"),
        (["diff"], " diff"),
        (["gdb", "bogus"], " gdb"),
        (["gdb", "setup", "x"], " gdb setup"),
    ],
)
def test_a_wrong_word_points_to_the_help_of_its_verb(words, verb):
    assert_refused(cli_here(*words), f"(see go-map-inspect{verb} --help)")


@pytest.mark.pure
def test_an_executable_that_is_not_a_go_program_is_said_to_be_the_wrong_one():
    core = Path(demo.__file__).parent / demo.CORE
    assert_refused(
        cli_here(core, "main.sessions", "--exe", "/bin/true"), "/bin/true was not built", "--exe has to name"
    )


# The environment


def test_a_variable_of_the_environment_stands_for_an_option():
    assert "entries (" not in cli_here_with({"GO_MAP_INSPECT_ENTRIES": "0"}, "demo").out


def test_the_command_line_counts_more_than_the_environment():
    answer = cli_here_with({"GO_MAP_INSPECT_ENTRIES": "0"}, "demo", "--entries", "3", "--json")
    assert len(answer.document["entries"]) == 3


def test_a_variable_for_the_list_of_all_maps_is_no_obstacle_to_one_map(plain):
    variables = {"GO_MAP_INSPECT_TOP": "5", "GO_MAP_INSPECT_MAX_STOP": "1s"}
    assert cli_here_with(variables, plain.pid, plain.map("words")["address"]).code == 0


def test_no_stop_in_the_environment_is_no_obstacle_to_core_dumps():
    assert cli_here_with({"GO_MAP_INSPECT_NO_STOP": "1"}, "demo").code == 0
    assert_refused(cli_here("demo", "--no-stop"), "--no-stop")


def test_a_variable_with_a_senseless_value_is_refused():
    answer = cli_here_with({"GO_MAP_INSPECT_MEMORY": "magic"}, "demo")
    assert_refused(answer, "--memory", "magic")


# What was tried


def test_verbose_reports_what_was_tried_and_nothing_else_changes(plain):
    address = plain.map("words")["address"]
    quiet, loud = cli_here(plain.pid, address), cli_here(plain.pid, address, "-v")
    assert quiet.err == ""
    assert re.sub(r"[\d.]+ ms", "", loud.out) == re.sub(r"[\d.]+ ms", "", quiet.out)
    rooms = set(re.findall(r"ms ([\w.]+): ", loud.err))
    assert {"target.opening", "target.program", "inspection.identification", "inspection.one_map"} <= rooms
    assert f"process {plain.pid}" in loud.err
    assert re.search(rf"{address}: of \d+ map types \d+ fit its bytes and keys", loud.err)
    assert re.search(r"\d+ bytes read in .* 3 of 3 keys .* findings by rule: none; consistent", loud.err)
    assert "stopped by ptrace" in loud.err


def test_verbose_never_reports_keys_or_values(plain):
    runs = ([plain.pid], [plain.pid, "main.words", "--key", "three"], [plain.pid, plain.map("words")["address"]])
    for words in runs:
        answer = cli_here(*words, "--verbose")
        assert answer.code == 0
        assert answer.err
        assert not re.search(r"\b(one|two|three)\b", answer.err.replace("inspection.one_", ""))


def test_verbose_counts_the_parts_of_a_census(plain):
    answer = cli_here(plain.pid, "--json", "-v")
    assert re.search(r"census: \d+ bytes in \d+ ranges scanned, \d+ candidates", answer.err)
    assert re.search(r"census: \d+ stops, [\d.]+ ms in all", answer.err)
    assert answer.document["census"]["totals"]["maps"] > 0


# The help


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_explains_itself_within_80_columns(verb):
    answer = cli_here_with({"COLUMNS": "80"}, *verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"{' '.join(verb)} [OPTIONS]" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_help_has_panels_examples_and_the_environment():
    text = cli_here("--help").out
    for panel in ("Target", "One map", "All maps", "Output", "gdb", "Commands"):
        assert f"─ {panel} ─" in text, panel
    assert len(re.findall(r"^ +go-map-inspect \S+ .*  ", text, re.MULTILINE)) == 4
    assert text.index("go-map-inspect demo") < text.index("─ Target ─")
    assert "GO_MAP_INSPECT_DEBUG" in text
    assert "Exit codes" in text


# What a shell completes


def completed(*words: str) -> list[str]:
    variables = {
        "_GO_MAP_INSPECT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("go-map-inspect", *words)),
        "COMP_CWORD": str(len(words)),
    }
    script = [os.path.join(os.path.dirname(COMMAND[0]), "go-map-inspect")]
    done = subprocess.run(script, capture_output=True, text=True, env=environment() | variables, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.slow
def test_verbs_and_pids_of_go_programs_are_completed(plain):
    assert "plain,diff" in completed("di")
    assert f"plain,{plain.pid}" in completed(str(plain.pid)[:-1])


@pytest.mark.slow
def test_variables_of_a_process_are_completed(plain):
    assert completed(str(plain.pid), "main.wor") == ["plain,main.words"]


@pytest.mark.slow
def test_pids_of_go_programs_are_completed_for_a_snapshot(plain):
    assert completed("snapshot", str(plain.pid)[:-1]).count(f"plain,{plain.pid}") == 1
    assert completed("snapshot", "--zs") == ["plain,--zstd"]


def test_options_of_a_verb_are_completed():
    assert completed("demo", "--entr") == ["plain,--entries"]
    assert completed("demo", "--rem") == []


def test_the_verb_gdb_without_another_is_refused_in_one_line() -> None:
    assert_refused(cli_here("gdb"), "Missing command", "gdb --help")
