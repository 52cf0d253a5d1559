"""The plugin in real gdb, on processes, cores and gdbserver, against what the program itself printed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from fixtures import CLASSIC, NEWEST, SWISS, USUAL, Core, build, kernel_core, start
from inspector.cli.gdbsetup import script_path
from tests.support.commandline import ROOT, assert_refused, assert_running, cli, cli_here
from tests.support.gdbsession import gdb, gdb_mi, gdbserver
from tests.support.promised import promised
from tests.support.racing import fatal_core
from tests.support.truth import NOT_IN_EXECUTABLE, differences

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

PAUSE = '-interpreter-exec console "python import time; time.sleep(1)"'
NEEDS_GDBSERVER = pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is not installed")
UNOPTIMISED = ("-gcflags=all=-N -l",)
SLOW = pytest.mark.slow
ENDS = [pytest.param(CLASSIC[0], id="oldest", marks=SLOW), pytest.param(NEWEST, id="newest", marks=SLOW)]
USUAL_AND_ENDS = [pytest.param(USUAL, id="usual"), *ENDS]

Answers = Callable[[list[str]], list[str]]


@pytest.fixture(scope="module", autouse=True)
def data_home(tmp_path_factory) -> Iterator[Path]:
    """What is written for gdb is kept out of the home of who runs the tests."""
    home = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def plain() -> Iterator:
    with start(build("plain")) as running:
        yield running
        assert_running(running)


def asked(state: dict[str, Any]) -> str:
    """The command for the map of a state, by its variable where it has one."""
    where = state["variable"] or f"{state['address']} -type '{state['type']}'"
    return f"info gomap {where} -entries all -json"


def all_differences(states: list[dict[str, Any]], answers: Answers) -> dict[str, list[str]]:
    """What gdb says otherwise than the program did, by state."""
    known = [state for state in states if state["name"] not in NOT_IN_EXECUTABLE]
    said = answers([asked(state) for state in known])
    pairs = zip(known, map(promised, said), strict=True)
    found = {state["name"]: differences(document, state) for state, document in pairs}
    return {name: wrong for name, wrong in found.items() if wrong}


# The same answers as the program's own words


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", USUAL_AND_ENDS)
def test_every_state_of_a_live_process_is_told_as_the_program_tells_it(run, toolchain):
    running = run("states", toolchain)
    assert all_differences(running.truth["maps"], lambda commands: gdb(*commands, on=("-p", running.pid))) == {}
    assert_running(running)


@pytest.mark.parametrize("toolchain", ENDS)
def test_every_state_is_told_over_mi_too(run, toolchain):
    running = run("states", toolchain)

    def answers(commands: list[str]) -> list[str]:
        told = gdb_mi(*(f"-interpreter-exec console {json.dumps(text)}" for text in commands), on=("-p", running.pid))
        assert {answer["message"] for answer in told} == {"done"}
        return [answer["console"] for answer in told]

    # The first command's answer comes behind what gdb says of its own start.
    assert all_differences(running.truth["maps"], lambda commands: answers(["echo", *commands])[1:]) == {}
    assert_running(running)


@pytest.mark.parametrize("toolchain", ENDS)
def test_every_state_of_a_kernel_core_is_told_as_the_program_told_it(crash, toolchain):
    core = crash("states", toolchain)
    assert all_differences(core.truth["maps"], lambda commands: gdb(*commands, on=(core.exe, core.path))) == {}


@NEEDS_GDBSERVER
@pytest.mark.parametrize("toolchain", ENDS)
def test_every_state_is_told_through_gdbserver(run, toolchain):
    running = run("states", toolchain)
    with gdbserver(running) as place:
        remote = f"target remote {place}"
        assert all_differences(running.truth["maps"], lambda commands: gdb(remote, *commands, "detach")[1:-1]) == {}
    assert_running(running)


@pytest.mark.slow
def test_a_million_entries_are_judged_and_shown(run):
    running = run("million")
    answer, length, last = gdb(
        "info gomap main.m64 -json", 'print $gomap_len ("main.m64")', 'print $gomap_get ("main.m64", 999999)',
        on=("-p", running.pid),
    )  # fmt: skip
    document = promised(answer)
    assert document["verdict"] == "consistent"
    assert document["occupancy"]["live"] == document["map"]["count"] == document["entries_total"] == 1_000_000
    assert document["hash_proof"]["matched"] == 1_000_000
    assert all(entry["value"] == 3 * entry["key"] + 1 for entry in document["entries"])
    assert (length, last) == ("$1 = 1000000", "$2 = 2999998")


# The same answers as the command line's


@pytest.mark.parametrize(
    ("toolchain", "names"),
    [
        pytest.param(USUAL, ["main.sameScattered"], id="usual"),
        *(
            pytest.param(
                toolchain, ["main.doubleMiddle", "main.elemAny", "main.keyElem129", "main.nilMap"],
                id=toolchain.name, marks=SLOW,
            )
            for toolchain in (CLASSIC[0], CLASSIC[-1])
        ),
    ],
)  # fmt: skip
def test_both_front_ends_say_the_same_about_a_core(crash, toolchain, names):
    core = crash("states", toolchain)
    for name in names:
        text, document = gdb(f"info gomap {name}", f"info gomap {name} -json -entries all", on=(core.exe, core.path))
        ours, theirs = promised(document), cli_here(core.path, name, "--entries", "all", "--json").document
        assert (ours["target"]["kind"], ours["target"]["memory"]) == ("gdb", "gdb")
        for form in (ours, theirs):
            del form["timing"], form["target"]["kind"], form["target"]["memory"]
        assert ours == theirs
        assert comparable(text) == comparable(cli_here(core.path, name).out)


def comparable(report: str) -> list[str]:
    """A report without the line that names the target, and without what changes from run to run."""
    lines = [line.rstrip() for line in report.splitlines()]
    (target,) = (line for line in lines[:4] if " of states (go" in line)
    return [re.sub(r"checked in [\d.]+ ms", "checked", line) for line in lines if line != target]


@pytest.mark.slow
def test_a_lookup_says_the_same_in_gdb(crash):
    core = crash("states")
    text, found, absent = gdb(
        "info gomap main.doubleMiddle -key key-7", "info gomap main.doubleMiddle -key key-7 -json",
        "info gomap main.doubleMiddle -key nowhere", on=(core.exe, core.path),
    )  # fmt: skip
    assert text == cli_here(core.path, "main.doubleMiddle", "--key", "key-7").out.strip("\n")
    theirs = cli_here(core.path, "main.doubleMiddle", "--key", "key-7", "--json").document
    assert promised(found)["lookup"] == theirs["lookup"]
    assert "absent" in absent


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, NEWEST], ids=["usual", "newest"])
def test_both_front_ends_name_the_goroutines_of_concurrent_map_writes(tmp_path, toolchain):
    core = fatal_core(toolchain, tmp_path)
    ours = promised(gdb("info gomap main.shared -json", on=(core.exe, core.path))[0])
    theirs = cli_here(core.path, "main.shared", "--json").document
    assert [finding["rule"] for finding in ours["findings"]].count("W2") >= 1
    assert (ours["verdict"], ours["findings"]) == (theirs["verdict"], theirs["findings"])


@pytest.mark.slow
def test_goroutines_in_a_write_are_named_and_the_selected_frame_stays():
    with start(build("churn")) as running:
        running.ask("write")
        for _ in range(50):
            answer, before, _, after = gdb(
                "info gomap main.doubling -json -entries 0",
                "frame",
                "info gomaps -variables main",
                "frame",
                on=("-p", running.pid),
            )
            document = promised(answer)
            assert document["verdict"] in ("consistent", "write-in-progress")
            assert after == before
            told = [finding["message"] for finding in document["findings"] if finding["rule"] == "W2"]
            if told:
                break
    assert all(message.endswith("called by main.double") for message in told)
    assert told


# Frames, expressions, conditions


@pytest.fixture(scope="module")
def in_a_frame(tmp_path_factory) -> Callable[..., list[str]]:
    """Run commands of gdb in a program that serves requests, stopped in main.serve with two requests served."""
    requests = tmp_path_factory.mktemp("requests") / "requests"
    requests.write_text("serve\nquit\n")

    def session(*commands: str, toolchain=USUAL, optimised: bool = False) -> list[str]:
        exe = build("serving", toolchain, extra_flags=() if optimised else UNOPTIMISED)
        begin = [
            "set startup-with-shell on", "break main.step if $gomap_len (sessions) == 2",
            f"run < {requests} > /dev/null", "up",
        ]  # fmt: skip
        return gdb(*begin, *commands, "kill", on=(exe,))[len(begin) : -1]

    return session


@pytest.mark.parametrize("toolchain", USUAL_AND_ENDS)
def test_variables_of_the_selected_frame_are_inspected(in_a_frame, toolchain):
    names = [
        "sessions",
        "local",
        "escaped",
        "s.inner.cache",
        "s.parts[1].table",
        "main.served",
        "$m",
        "main.front.cache",
        "main.shards[2].table",
    ]
    said = in_a_frame(
        "set $m = local", *(f"info gomap {name} -entries all -json" for name in names), toolchain=toolchain
    )
    documents = dict(zip(names, map(promised, said[1:]), strict=True))
    seen = {name: {str(e["key"]): e["value"] for e in document["entries"]} for name, document in documents.items()}
    assert seen == {
        "sessions": {"request-1": 1, "request-2": 2}, "local": {"1": True, "2": True},
        "escaped": {"1": "escaped", "2": "escaped"}, "s.inner.cache": {"b": 2},
        "s.parts[1].table": {"1": "one", "2": "two"}, "main.served": {"request-1": 1, "request-2": 2},
        "$m": {"1": True, "2": True}, "main.front.cache": {"a": 1},
        "main.shards[2].table": {"1": "one", "2": "two"},
    }  # fmt: skip
    assert {document["verdict"] for document in documents.values()} == {"consistent"}
    assert [documents[name]["map"]["name"] for name in names] == names
    assert documents["sessions"]["map"]["type"] == "main.visits"


@pytest.mark.slow
def test_registers_and_addresses_are_proven_by_their_hashes(in_a_frame):
    _, address, by_register, by_name = in_a_frame(
        "frame 0", "output/x $rbx", "info gomap $rbx -entries 0", "info gomap sessions -entries 0"
    )
    first, second = by_register.splitlines(), by_name.splitlines()
    # Of a bare address the keys tell the type, and another one in the program has such keys, too.
    assert first[0] == f"{address}  main.visits or 1 other  2 entries  256 B  OK"
    assert second[0] == "sessions  main.visits  2 entries  256 B  OK"
    assert any(line.startswith(f"hmap at {address}, ") for line in first)
    assert any(line.startswith("type inferred: all 2 keys hash to their places") for line in first)
    assert "all 2 keys are in the place that their hash selects (aeshash)" in first


def test_the_maps_in_sight_are_listed_with_count_and_verdict(in_a_frame):
    everything, chosen, none = in_a_frame(
        "info gomaps -variables", "info gomaps ^main -variables", "info gomaps -variables nothing"
    )
    rows = [re.split(r"\s{2,}", line) for line in everything.splitlines()]
    assert rows[0] == ["name", "type", "count", "verdict"]
    assert [row[:4] for row in rows[1:5]] == [
        ["sessions", "main.visits", "2", "consistent"], ["escaped", "map[string]string", "2", "consistent"],
        ["local", "map[int64]bool", "2", "consistent"], ["unused", "map[string]int", "1", "consistent"],
    ]  # fmt: skip
    assert ["main.served", "main.visits", "2", "consistent"] in [row[:4] for row in rows]
    assert [line.split()[0] for line in chosen.splitlines()[1:]] == ["main.served"]
    assert none == "No package variable or local of that name is a Go map."


def test_functions_give_numbers_and_strings(in_a_frame):
    said = in_a_frame(
        "print $gomap_len (sessions)", "print $gomap_len (local)", 'print $gomap_len ("escaped")',
        'print $gomap_len ("main.front.cache") + 1', 'print $gomap_get (sessions, "request-2") * 10',
        "print $gomap_get (local, 1)", 'print $gomap_get ("s.parts[1].table", 2)', "print $gomap_get (local, 77)",
        'print $gomap_get ("nothing", 1)', "print $gomap_len (s)", 'print $gomap_get (sessions, "")',
    )  # fmt: skip
    assert said[:7] == ["$1 = 2", "$2 = 2", "$3 = 2", "$4 = 2", "$5 = 20", "$6 = true", '$7 = "two"']
    assert said[7].startswith("key 77 is not in the map: absent: ")
    assert said[8].startswith("there is no variable nothing")
    assert " is not a map header: " in said[9]
    assert said[10].startswith('key "" is not in the map: ')


@pytest.mark.slow
def test_keys_of_every_kind_can_be_given_to_a_function(run):
    cases = {
        '"main.keyInt8", -128': '"min"',
        '"main.keyUint64", 18446744073709551615': "9223372036854775808",
        '"main.keyFloat64", 0.1': '"a float"',
        r'"main.keyString", "\"quoted\" and \\backslashed"': "8",
        '"main.keyArray", "{1, -2, 3}"': '"numbers"',
        r'"main.keyInterface", "\"one\""': '"string"',
        '"main.keyBool", "true"': '"yes"',
        '"main.keyPointer", 0': '"nil"',
        r'"main.keyStruct", "{1, \"one\", true, 1.5}"': '"first"',
    }
    said = gdb(*(f"print $gomap_get ({arguments})" for arguments in cases), on=("-p", run().pid))
    assert [text.split(" = ", 1)[-1] for text in said] == list(cases.values())


# What is not to be noticed, and where it works


@pytest.mark.slow
def test_nothing_that_the_user_has_set_is_changed(run):
    settings = ("language", "width", "height", "pagination", "print elements", "print pretty", "confirm", "listsize")
    shows = ["info frame", "info threads", "info display", *(f"show {name}" for name in settings)]
    work = [
        "info gomap main.doubleMiddle", "info gomaps -variables double", "complete info gomap main.doubleM",
        "info gomap main.nothing", 'print $gomap_len ("main.doubleMiddle")',
    ]  # fmt: skip
    begin = ["set language pascal", "set width 77", "set print elements 3", "up"]
    said = gdb(*begin, *shows, *work, *shows, on=("-p", run().pid))
    before, after = said[len(begin) :][: len(shows)], said[-len(shows) :]
    assert before == after
    assert 'The current source language is "pascal".' in before[3]
    # The headline is one line, however long; all that follows is as wide as gdb's screen.
    assert all(len(line) <= 77 for line in said[len(begin) + len(shows)].splitlines()[1:])


@pytest.mark.slow
def test_no_thread_but_gdbs_first_takes_the_signals_that_gdb_waits_for(plain):
    masks = (
        "python print({int(task): int(line.split()[1], 16) for task in os.listdir('/proc/self/task')"
        " for line in open(f'/proc/self/task/{task}/status') if line.startswith('SigBlk')}, os.getpid())"
    )
    *_, told = gdb("info gomap main.m", "python import os", masks, on=("-p", plain.pid))
    blocked, first = re.fullmatch(r"(\{.*\}) (\d+)", told).groups()
    others = {task: mask for task, mask in ast.literal_eval(blocked).items() if task != int(first)}
    assert others
    assert [task for task, mask in others.items() if not mask >> (signal.SIGCHLD - 1) & 1] == []


def test_the_inferior_that_is_selected_is_read(plain, run):
    said = gdb(
        "info gomap main.words -json", "add-inferior -no-connection", "inferior 2", f"attach {run().pid}",
        "info gomap main.doubleMiddle -json", "info gomap main.words", "inferior 1", "info gomap main.words -json",
        on=("-p", plain.pid),
    )  # fmt: skip
    first, other, back = (promised(said[at]) for at in (0, 4, 7))
    assert (first["target"]["pid"], other["target"]["pid"]) == (plain.pid, run().pid)
    assert differences(other | {"entries": run().map("double_middle")["entries"]}, run().map("double_middle")) == []
    assert said[5].startswith("there is no variable main.words")
    assert back["entries"] == first["entries"]
    assert back["target"] == first["target"]


@pytest.mark.slow
def test_recorded_executions_are_read_too(in_a_frame):
    said = in_a_frame(
        "delete", "set scheduler-locking on", "record full", "stepi", "stepi", "info gomap sessions -json",
        "reverse-stepi", "info gomap sessions -json", "record stop",
    )  # fmt: skip
    forth, back = promised(said[5]), promised(said[7])
    assert forth["verdict"] == "consistent"
    assert forth["entries_total"] == 2
    assert back["entries"] == forth["entries"]


@pytest.mark.slow
def test_names_and_options_are_completed(in_a_frame):
    dotted, local, option, none = in_a_frame(
        "complete info gomap main.serv", "complete info gomap esc", "complete info gomap local -ent",
        "complete info gomap main.nothing",
    )  # fmt: skip
    assert "info gomap main.served" in dotted.splitlines()
    assert local == "info gomap escaped"
    assert option == "info gomap local -entries"
    assert none == ""


@pytest.mark.slow
def test_help_tells_how_to_use_each_command(plain):
    texts = gdb(
        "help info gomap", "help info gomaps", "help set gomap pretty-print", "help function", "help show gomap",
        "apropos gomap",
    )  # fmt: skip
    assert (
        "Usage: info gomap EXPR [-type TYPE] [-entries N|all] [-key LITERAL] [-json] [-redact]" in texts[0].splitlines()
    )
    assert "Usage: info gomaps [REGEXP] [-sort" in texts[1]
    assert "once, whatever its growth" in texts[2]
    assert {"gomap_len", "gomap_get"} <= set(re.findall(r"\w+", texts[3]))
    assert "pretty-print" in texts[4]


@pytest.mark.slow
def test_sourcing_the_plugin_again_changes_nothing(plain):
    again, answer = gdb(f"source {script_path()}", "info gomap main.words -json", on=("-p", plain.pid))
    assert again == ""
    assert promised(answer)["entries_total"] == 3


# The pretty-printer


PRINTED = re.compile(r'\["(key-\d+)"\] = (-?\d+)')
GROWING = (
    "main.doubleMiddle",
    "main.doubleScattered",
    "main.sameMiddle",
    "main.sameScattered",
    "main.rangePausedGrowing",
)


def printed(text: str) -> list[tuple[str, int]]:
    return sorted((key, int(value)) for key, value in PRINTED.findall(text))


@pytest.mark.parametrize("toolchain", USUAL_AND_ENDS)
def test_growing_maps_are_printed_with_each_entry_once(run, toolchain):
    running = run("states", toolchain)
    states = {state["variable"]: state for state in running.truth["maps"]}
    told = gdb("set gomap pretty-print on", "set print elements 0", *(f"print '{name}'" for name in GROWING),
               on=("-p", running.pid))  # fmt: skip
    for name, text in zip(GROWING, told[2:], strict=True):
        entries = states[name]["entries"]
        assert f"({len(entries)} entries) = {{" in text
        assert printed(text) == sorted((entry["key"], entry["value"]) for entry in entries), name


@pytest.mark.slow
def test_go_s_own_script_does_not_show_every_growing_map_whole_and_ours_does_in_its_presence(run):
    running = run("states")
    script = USUAL.go.parent.parent / "src" / "runtime" / "runtime-gdb.py"
    entries = {state["variable"]: state["len"] for state in running.truth["maps"]}
    truths = {
        state["variable"]: {(entry["key"], entry["value"]) for entry in state["entries"]}
        for state in running.truth["maps"]
        if state["variable"] in GROWING
    }
    prints = [f"print '{name}'" for name in GROWING]
    said = gdb(f"source {script}", "set print elements 0", *prints, "set gomap pretty-print on", *prints,
               "set gomap pretty-print off", *prints, on=("-p", running.pid))  # fmt: skip
    n = len(prints)
    theirs, ours, again = said[2 : 2 + n], said[3 + n : 3 + 2 * n], said[4 + 2 * n :]
    assert [len(PRINTED.findall(text)) for text in ours] == [entries[name] for name in GROWING]
    right = [len(set(printed(text)) & truths[name]) for name, text in zip(GROWING, theirs, strict=True)]
    assert all(seen < entries[name] for name, seen in zip(GROWING, right, strict=True))
    assert [text.split(" = ", 1)[1] for text in again] == [text.split(" = ", 1)[1] for text in theirs]


def test_the_printer_is_off_until_it_is_wanted(plain):
    before, shown, _, on, after, _, off = gdb(
        "print 'main.words'", "show gomap pretty-print", "set gomap pretty-print on", "show gomap pretty-print",
        "print 'main.words'", "set gomap pretty-print off", "print 'main.words'", on=("-p", plain.pid),
    )  # fmt: skip
    assert re.fullmatch(r"\$1 = \(map\[string\]int\) 0xc[0-9a-f]+", before)
    assert (shown[-4:], on[-3:]) == ("off.", "on.")
    assert after == '$2 = map[string]int(3 entries) = {["one"] = 1, ["two"] = 2, ["three"] = 3}'
    assert off.replace("$3", "$1") == before


def test_front_ends_see_the_entries_of_a_map_as_children(plain):
    answers = gdb_mi(
        "-enable-pretty-printing", '-interpreter-exec console "set gomap pretty-print on"',
        "-var-create words @ \"'main.words'\"", "-var-list-children --all-values words", on=("-p", plain.pid),
    )  # fmt: skip
    variable, children = answers[2]["payload"], answers[3]["payload"]["children"]
    assert variable["displayhint"] == "map"
    assert [child["value"] for child in children] == ['"one"', "1", '"two"', "2", '"three"', "3"]


@pytest.mark.slow
def test_maps_in_values_nil_maps_and_odd_strings_are_printed(run):
    _, nested, nothing, odd, large = gdb(
        "set gomap pretty-print on", "print 'main.elemMap'", "print 'main.nilMap'", "print 'main.elemString'",
        "print 'main.elem129'[0]", on=("-p", run().pid),
    )  # fmt: skip
    assert '["two"] = map[string]int(2 entries) = {["a"] = 1, ["b"] = 2}' in nested
    assert '["nil"] = map[string]int(nil)' in nested
    assert nothing.endswith("= map[string]int(nil)")
    assert r'[-3] = "\033[31m"' in odd
    del large


@pytest.mark.slow
def test_a_damaged_map_is_called_so_by_everything():
    with start(build("plain")) as running:
        *_, inspected, listed, every, printed = gdb(
            "set language c", "set variable *(long *) 'main.words' = 7", "set gomap pretty-print on",
            "info gomap main.words", "info gomaps -variables main", "info gomaps main", "print 'main.words'",
            on=("-p", running.pid),
        )  # fmt: skip
    assert "verdict: inconsistent (the runtime cannot have produced this state)" in inspected
    assert listed.splitlines()[1].split() == ["main.words", "map[string]int", "7", "inconsistent"]
    assert re.search(r"main\.words +7 .* inconsistent", every)
    assert "(7 entries, inconsistent: see info gomap) = {" in printed


# What people get wrong


def assert_one_line(said: str, *words: str) -> None:
    assert len(said.splitlines()) == 1, said
    assert "internal error" not in said, said
    assert "Traceback" not in said, said
    assert "Python" not in said, said
    for word in words:
        assert word.lower() in said.lower(), (word, said)


def test_expressions_may_have_quotes_as_print_wants_them(plain):
    written = ["'main.words'", "*&'main.words'", "('main.words')", "&'main.words'"]
    *said, key, literal = gdb(
        *(f"info gomap {text} -json" for text in written), "info gomap -key 'two' main.words",
        r'info gomap main.words -key "\"two\""', on=("-p", plain.pid),
    )  # fmt: skip
    assert [promised(text)["map"]["address"] for text in said] == [plain.map("words")["address"]] * len(written)
    for text in (key, literal):
        assert re.search(r"found in cell \d: 2$", text, re.MULTILINE)


def test_without_a_process_one_line_says_so():
    for said in gdb("info gomap main.words", "info gomaps", 'print $gomap_len ("main.words")'):
        assert_one_line(said, "no process and no core", "attach")


@pytest.mark.slow
def test_what_is_no_go_program_is_refused():
    with subprocess.Popen(["sleep", "100"]) as sleep:
        try:
            said, usable = gdb("info gomap 0xc000012345", "print 1 + 1", on=("-p", sleep.pid))
        finally:
            sleep.kill()
    assert_one_line(said, "not built by the Go toolchain")
    assert usable == "$1 = 2"


@pytest.mark.slow
def test_swiss_maps_are_shown_and_listed():
    with start(build("plain", SWISS)) as running:
        said = gdb("info gomap main.words", "info gomaps", "print $gomap_len ('main.words')",
                   "set gomap pretty-print on", "print 'main.words'", on=("-p", running.pid))  # fmt: skip
        assert_running(running)
    assert "all 3 keys are in the place that their hash selects (aeshash)" in said[0]
    assert re.search(r"map\[string\]int +main\.words +3 .* consistent", said[1])
    assert said[2] == "$1 = 3"
    assert re.search(r"map\[string\]int\(3 entries\) = \{\[\"", said[4])


@pytest.mark.slow
def test_words_that_make_no_sense_are_answered_in_one_line(plain):
    cases = {
        "info gomap": ("required", "EXPR"),
        "info gomap main.word": ("did you mean main.words",),
        "info gomap main.words -entries many": ("many", "all"),
        "info gomap main.words -nonsense": ("-nonsense",),
        "info gomap main.words.field": ("main.words is of type map[string]int, which has no fields", "-key"),
        "info gomap main.words -type map[int]bool": ("no map type",),
        "info gomap main.words -key": ("-key",),
        "info gomap 0x10": ("0x10", "cannot"),
        "info gomap 0x401001": ("addresses of maps end in 0 or 8",),
        "info gomap 99999999999999999999999": ("64 bits",),
        "info gomap $nothing": ("void", "not a map"),
        "info gomap (": ("syntax error",),
        "info gomap $rip + ": ("syntax error",),
        "info gomap \x1b[31m": ("Invalid character",),
        "info gomaps (": ("not a regular expression",),
        "print $gomap_len ()": ("0 arguments", "$gomap_len (MAP)"),
        "print $gomap_len (1, 2)": ("2 arguments", "$gomap_len (MAP)"),
        "print $gomap_get (1)": ("1 arguments", "$gomap_get (MAP, KEY)"),
        "info gomap it's": ("unmatched",),
        "print $gomap_get ('main.words', 1.5)": ("1.5",),
        "set gomap pretty-print maybe": ("on",),
    }  # fmt: skip
    said = gdb(*cases, "info gomap main.words -json", on=("-p", plain.pid))
    for words, text in zip(cases.values(), said, strict=False):
        assert_one_line(text, *words)
    assert promised(said[-1])["verdict"] == "consistent"


@pytest.mark.slow
def test_advice_names_the_options_of_info_gomap_and_none_of_the_command_line(plain):
    shown, *said = gdb(
        "python from gdb_plugin import arguments, output; print(*arguments.OPTIONS, output.IN_GDB)",
        "info gomap main.words.field",
        "info gomap main.words -type map[int]bool",
        "info gomap main.words -type map[string]itn",
        "info gomap main.word",
        on=("-p", plain.pid),
    )
    options, spelling = shown.split(" Spelling(")
    for name in ("type", "key"):
        assert f"{name}='-{name}'" in spelling
        assert f"-{name}" in options.split()
    assert "-key" in said[0]
    for text in said:
        assert_one_line(text)
        assert not re.search(r"--[a-z]", text), text


@pytest.mark.slow
def test_a_variable_that_is_optimised_out_is_told_as_such(in_a_frame):
    alone, listed, usable = in_a_frame(
        "info gomap local",
        "info gomaps -variables local",
        "info gomap sessions -json",
        toolchain=CLASSIC[0],
        optimised=True,
    )
    assert_one_line(alone, "local is optimized out here", "-gcflags")
    assert "local is optimized out here" in listed
    assert promised(usable)["entries_total"] == 2


@pytest.mark.slow
def test_a_variable_that_was_not_written_yet_is_no_damaged_map(in_a_frame):
    *_, alone, listed, length, printed, usable = in_a_frame(
        "set language c", "set variable *(long *) &unused = $sp", "set gomap pretty-print on", "info gomap unused",
        "info gomaps -variables ^unused", "print $gomap_len (unused)", "print unused", "info gomap local -json",
    )  # fmt: skip
    assert_one_line(alone, "unused may not be in use here")
    for said in (alone, listed.splitlines()[1], length, printed):
        assert_one_line(said, " is not a map header: ")
        assert "inconsistent" not in said
    assert promised(usable)["entries_total"] == 2


@pytest.mark.slow
def test_a_program_that_runs_is_not_read_until_it_is_stopped():
    ask = '-interpreter-exec console "info gomap main.words -json"'
    length = '-data-evaluate-expression "$gomap_len (\\"main.words\\")"'
    with start(build("plain")) as running:
        *_, refused, function, _, _, stopped = gdb_mi(
            "-gdb-set mi-async on", "-gdb-set non-stop on", f"-target-attach {running.pid}", "-exec-continue --all",
            PAUSE, ask, length, "-exec-interrupt --all", PAUSE, ask,
        )  # fmt: skip
    for answer in (refused, function):
        assert answer["message"] == "error"
        assert_one_line(answer["payload"]["msg"], "the program is running", "interrupt")
    console = stopped["console"]
    assert promised(console[console.index('{"schema"') :])["verdict"] == "consistent"


@pytest.mark.slow
def test_maps_are_looked_at_again_and_with_a_note_while_other_threads_run():
    with start(build("plain")) as running:
        said = gdb("set non-stop on", f"attach {running.pid}", "info gomap main.words -entries 0", "detach")
    assert "note: the process was not stopped while the map was copied" in said[2]
    assert "verdict: consistent" in said[2]


@pytest.mark.slow
def test_stripped_programs_have_addresses_and_an_unstripped_twin_brings_the_names(tmp_path):
    whole, stripped = build("plain"), tmp_path / "plain"
    subprocess.run(["objcopy", "--strip-all", str(whole), str(stripped)], check=True)
    with start(stripped) as running:
        address = running.map("words")["address"]
        name, listed, proven, _, twin, _, wrong = gdb(
            "info gomap main.words", "info gomaps -variables", f"info gomap {address} -json", f"file {whole}",
            "info gomap main.words -json", f"file {build('million')}", f"info gomap {address} -json",
            on=("-p", running.pid),
        )  # fmt: skip
    assert_one_line(name, "is stripped", "gdb's command `file`")
    assert_one_line(listed, "no symbols or no DWARF")
    assert promised(proven)["map"]["type_source"] == "hash-proof"
    assert promised(twin)["map"]["address"] == address
    # Another program is not believed to be this one: the one that runs is looked at.
    assert promised(wrong)["target"]["exe"] == str(stripped)


def renumbered(core: Core, pid: int) -> Path:
    """Give the process of a core another pid, as if it had run in a container of its own."""
    with core.path.open("r+b") as file:
        segment = next(each for each in ELFFile(file).iter_segments("PT_NOTE"))
        for note in segment.iter_notes():
            at = {"NT_PRPSINFO": 24, "NT_PRSTATUS": 32}.get(note["n_type"])
            # The description comes behind three words and the name, "CORE" and a zero, in whole words.
            place = note["n_offset"] + 12 + 8 + (at or 0)
            file.seek(place)
            if at and struct.unpack("<i", file.read(4))[0] == core.truth["pid"]:
                file.seek(place)
                file.write(struct.pack("<i", pid))
    return core.path


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setarch") is None, reason="needs setarch")
def test_a_core_of_another_process_with_the_same_pid_and_path_is_read_anew(tmp_path):
    # Everything that gdb has names for is the same: the path of the program, the pid, the place of the vdso.
    exe, path = tmp_path / "service", tmp_path / "core"
    cores, programs = [], [build("plain"), build("plain", extra_flags=["-gcflags=-N"])]
    for program in programs:
        shutil.copy(program, exe)
        cores.append(kernel_core(Path(shutil.which("setarch")), "-R", str(exe), directory=tmp_path))
    first, second = (renumbered(core, 1) for core in cores)
    os.replace(first, path)
    shutil.copy(programs[0], exe)
    shutil.copy(programs[1], tmp_path / "other")
    one, _, _, _, other = gdb(
        "info gomap main.words -json",
        f"python import os; os.replace('{second}', '{path}'); os.replace('{tmp_path}/other', '{exe}')",
        f"file {exe}", f"core-file {path}", "info gomap main.words -json", on=(exe, path),
    )  # fmt: skip
    for text, core in zip((one, other), cores, strict=True):
        document = promised(text)
        assert document["target"]["pid"] == 1
        assert differences(document, core.truth["maps"][0]) == []
        assert document["hash_proof"]["matched"] == 3


def test_what_gdb_says_of_its_own_accord_is_not_taken_for_an_answer(plain):
    warn = 'python gdb.write("warning: Unexpected size of section `.reg-xstate/7\' in core file.\\n", gdb.STDERR)'
    said = gdb(warn, "print 1", "info gomap main.words -json", on=("-p", plain.pid))
    assert said[:2] == ["", "$1 = 1"]
    assert promised(said[2])["entries_total"] == 3


@pytest.mark.slow
def test_cores_need_the_executable_they_are_of(crash):
    core = crash("states")
    missing, _, wrong, _, right = gdb(
        "info gomap main.empty", f"file {build('plain')}", "info gomap main.empty", f"file {core.exe}",
        "info gomap main.empty -json", on=("-c", core.path),
    )  # fmt: skip
    assert_one_line(missing, "gdb does not know the executable", "gdb's command `file`")
    assert_one_line(wrong, "is not the executable of")
    assert promised(right)["verdict"] == "consistent"


# Getting it into gdb


def at_home() -> tuple[str, str]:
    """Words before a command line of ours that writes for gdb."""
    return "env", f"XDG_DATA_HOME={os.environ['XDG_DATA_HOME']}"


def test_the_command_prints_the_path_of_one_file_and_nothing_else():
    answer = cli("--gdb-script", before=at_home())
    assert (answer.code, answer.err) == (0, "")
    assert Path(answer.out.strip()).is_file()
    assert answer.out.strip() == str(script_path())


def test_the_file_that_gdb_sources_can_be_read_by_old_pythons():
    source = (ROOT / "gdb_plugin" / "gomap.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    oldest = re.search(r"^requires-python = .>=3[.](\d+)", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"_GOMAP_NEEDS = (3, {oldest[1]})" in source


def code_only(folder: Path) -> Path:
    """The package's code without the packages that it needs; returns the file to source."""
    for room in ("inspector", "gdb_plugin"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "gdb_plugin" / "gomap.py"


def test_packages_that_gdb_s_python_lacks_are_told_with_the_command_that_brings_them(tmp_path, plain):
    script = code_only(tmp_path)
    said, command, usable = gdb(
        f"source {script}", "info gomap main.words", "print 1 + 1", on=("-p", plain.pid), script=script
    )
    assert_told_to_set_up(said)
    assert 'Undefined info command: "gomap main.words"' in command
    assert usable == "$1 = 2"


def assert_told_to_set_up(said: str) -> None:
    lines = said.splitlines()
    assert len(lines) == 1, said
    assert re.match(r"go-map-inspect: gdb's Python 3\.\d+ cannot load \w+: run `go-map-inspect gdb setup`", lines[0])


@pytest.mark.slow
def test_programs_that_are_no_gdb_with_python_cannot_be_set_up():
    assert_refused(cli("--gdb-setup", "--gdb", "/nowhere/gdb"), "cannot start", "/nowhere/gdb", "--gdb")
    assert_refused(cli("--gdb-setup", "--gdb", "true"), "not a gdb with Python inside", "--gdb")


@pytest.mark.slow
def test_packages_of_another_python_are_fetched_anew_for_the_one_in_gdb(tmp_path, data_home, plain):
    asked = "python import sys; print('%d.%d' % sys.version_info[:2])"
    version = gdb(asked)[0]
    other = "3.13" if version != "3.13" else "3.12"
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "-q", "install", "--target", str(site), "--python-version", other]
    needed = ["numpy", "construct", "pyelftools", "pygdbmi", "rich"]
    subprocess.run([*pip, "--only-binary=:all:", *needed], check=True, timeout=600)
    # Installed into one place for another version, as a virtual environment has it.
    script = code_only(site)
    answer = "info gomap main.words -json"
    said, _ = gdb(f"source {script}", answer, on=("-p", plain.pid), script=script)
    assert_told_to_set_up(said)
    assert "numpy" in said
    done = cli("gdb", "setup", before=at_home())
    fetching, then = done.err.splitlines()
    assert fetching.startswith("go-map-inspect: fetching construct, numpy, ")
    assert fetching.endswith(f" for gdb's Python {version}")
    assert then == "go-map-inspect: done: start gdb with gdb -x $(go-map-inspect gdb script)"
    assert done.code == 0
    assert done.out.strip() == str(data_home / "go-map-inspect" / f"gdb-python-{version}")
    again, found = gdb(f"source {script}", answer, on=("-p", plain.pid), script=script)
    assert again == ""
    assert promised(found)["entries_total"] == 3
    shutil.rmtree(data_home / "go-map-inspect" / f"gdb-python-{version}")
