"""Texts that a terminal, a shell or a reader of JSON obeys come out harmless, wherever a target may have them."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fixtures import NEWEST, SWISS_RELEASES, Running, build, start
from inspector.cli.completing import ProcessType
from inspector.cli.saying import say_lines
from inspector.gotypes.render import plain, quoted
from inspector.image.functions import printed
from tests.support.commandline import Answer, cli_here
from tests.support.gdbsession import gdb, gdb_mi
from tests.support.hostile import NAMED, TEXTS, file_name, named, overwritten

TOOLCHAINS = [
    pytest.param(NEWEST, id=NEWEST.name, marks=pytest.mark.slow),
    pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name),
]
OUR_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ALL = os.fsdecode(file_name())


@dataclass(frozen=True)
class Hostile:
    """The program with all these names, running, under a name of that kind."""

    running: Running
    folder: Path

    @cache  # noqa: B019  the fixture lives as long as the module
    def answer(self, *args: object) -> Answer:
        """What the command line says of it; each thing is asked once."""
        return cli_here(self.running.pid, *args)

    def address_of(self, type_name: str) -> str:
        """Where a map is whose type, or one of the types that fit as well, is called so in the census."""
        maps = self.answer("--json").document["census"]["maps"]
        return next(one["address"] for one in maps if type_name in (one["type"], *one["type_alternatives"]))


@pytest.fixture(scope="module", params=TOOLCHAINS)
def hostile(request, tmp_path_factory) -> Iterator[Hostile]:
    folder = tmp_path_factory.mktemp("hostile")
    exe = overwritten(build("hostile", request.param, ldflags="-compressdwarf=false"), folder / ALL)
    with start(exe) as running:
        yield Hostile(running, folder)


def obeyed(text: str) -> list[str]:
    """The characters that somebody may obey, or not show."""
    return sorted({char for char in text if char != "\n" and not char.isprintable()})


def assert_harmless(answer: Answer) -> None:
    assert obeyed(answer.out) == []
    assert obeyed(answer.err) == []
    assert "internal error" not in answer.err


def spelled(name: bytes) -> str:
    r"""A name in JSON: bytes that are not UTF-8 are \xff."""
    return re.sub(r"[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", os.fsdecode(name))


def content(form: Any) -> bytes:
    """The bytes of a Go string in JSON."""
    return form.encode() if isinstance(form, str) else base64.b64decode(form["bytes"])


# Text


@pytest.mark.parametrize(
    "args",
    [
        ("main.keys", "--entries", "all"),
        ("main.anything", "--entries", "all"),
        ("main.keys", "--key", quoted(TEXTS["escapes"], len(TEXTS["escapes"]))),
        (),
        ("--only-findings",),
        ("main.keys", "--memory", "gdb-mi", "--max-stop", "60s"),
        ("main.keys", "-v"),
        ("-v",),
    ],
    ids=lambda args: " ".join(args)[:30] or "census",
)
def test_no_report_has_a_character_that_a_terminal_obeys(hostile, args):
    answer = hostile.answer(*args)
    assert_harmless(answer)
    assert answer.code == 0
    if "--key" not in args:
        # The name of the executable, which may be cut where a line ends.
        assert plain(ALL)[:100] in answer.out.replace("\n", "")


@pytest.mark.parametrize("name", TEXTS)
def test_each_text_is_shown_as_go_writes_it_as_a_key_and_as_an_element(hostile, name):
    shown = quoted(TEXTS[name], len(TEXTS[name]))
    [line] = [line for line in hostile.answer("main.keys", "--entries", "all").out.splitlines() if shown in line]
    assert line.count(shown) == 2


@pytest.mark.parametrize("name", NAMED)
def test_each_text_is_shown_escaped_as_the_name_of_a_type_and_of_a_field(hostile, name):
    called = f"map[string]*main.{os.fsdecode(named(TEXTS[name]))}"
    answer = hostile.answer(hostile.address_of(f"map[string]*main.{spelled(named(TEXTS[name]))}"), "--type", called)
    assert_harmless(answer)
    assert answer.code == 0
    assert plain(called) in answer.out.splitlines()[0]


def test_markup_is_shown_and_not_obeyed(hostile):
    assert '"[bold red]x[/] [link=file:///x]y[/link] :bomb:"' in hostile.answer("main.keys", "--entries", "all").out


def test_the_only_escapes_on_a_real_terminal_are_our_colours(hostile):
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "inspector", str(hostile.running.pid), "main.anything", "--entries", "all"]
    process = subprocess.Popen(command, stdout=child, stderr=child, env=os.environ | {"TERM": "xterm-256color"})
    os.close(child)
    output = b""
    try:
        while piece := os.read(parent, 65536):
            output += piece
    except OSError:
        pass  # the other end was closed
    os.close(parent)
    assert process.wait() == 0
    text = output.decode().replace("\r\n", "\n")
    assert OUR_COLOURS.search(text)
    assert obeyed(OUR_COLOURS.sub("", text)) == []


# Errors


@pytest.mark.parametrize(
    "args",
    [
        (f"main.{ALL}",),
        ("main.keys", "--type", f"map[{ALL}]int"),
        ("main.keys", "--key", f'"{ALL}'),
        (f'main.keys["{ALL}"].x',),
        (f"main.{ALL}:local",),
        ("main.keys", "--exe", f"/nonexistent/{ALL.replace('/', '|')}"),
        ("--diff", f"/nonexistent/{ALL.replace('/', '|')}"),
        ("main.keys", f"--{ALL}"),
    ],
    ids=["variable", "type", "key", "path", "function", "executable", "other", "option"],
)
def test_what_is_refused_is_said_in_one_harmless_line(hostile, args):
    answer = hostile.answer(*args)
    assert_harmless(answer)
    assert answer.code == 2
    assert answer.err.count("\n") == 1


def test_a_target_that_does_not_exist_is_called_by_a_harmless_name():
    answer = cli_here(f"/nonexistent/{ALL}")
    assert_harmless(answer)
    assert answer.code == 2


@pytest.mark.pure
def test_a_traceback_for_developers_is_harmless(capsys):
    say_lines("Traceback:\n  " + "".join(text.decode(errors="surrogateescape") for text in TEXTS.values()))
    said = capsys.readouterr().err
    assert said.startswith("Traceback:\n  \\x1b[31m")
    assert obeyed(said) == []


# JSON


@pytest.mark.parametrize(
    "args",
    [
        ("main.keys", "--entries", "all", "--json"),
        ("main.anything", "--entries", "all", "--json"),
        ("main.keys", "--key", '"nul\\x00and\\"quote\\\\"', "--json"),
        ("--json",),
        ("--strings", "--json"),
    ],
    ids=lambda args: " ".join(args)[:40],
)
def test_every_document_is_ascii_and_has_no_half_of_a_character(hostile, args):
    answer = hostile.answer(*args)
    assert_harmless(answer)
    assert answer.out.isascii()
    document = answer.document
    json.dumps(document, ensure_ascii=False).encode()
    assert document["target"]["exe"].endswith("/" + spelled(file_name()))


@pytest.mark.parametrize("form", ["--json", "--ndjson"])
def test_documents_lose_nothing_of_keys_and_elements(hostile, form):
    out = hostile.answer("main.keys", "--entries", "all", form).out
    lines = [json.loads(line) for line in out.splitlines()] if form == "--ndjson" else []
    entries = lines[1:] if lines else json.loads(out)["entries"]
    assert {content(entry["key"]) for entry in entries} == set(TEXTS.values())
    assert all(entry["key"] == entry["value"] for entry in entries)


@pytest.mark.parametrize("number", range(len(NAMED)), ids=NAMED)
def test_documents_lose_nothing_of_names(hostile, number):
    name = spelled(named(TEXTS[NAMED[number]]))
    entries = hostile.answer("main.anything", "--entries", "all", "--json").document["entries"]
    of_type = {"type": f"main.{name}", "value": {name: str(number)}}
    [function] = [entry["value"] for entry in entries if entry["key"] == of_type]
    # Type arguments are left out, which is what the runtime takes any text in brackets for.
    assert function["value"]["func"] == printed(f"main.{name}")
    [pointer] = [e["value"] for e in entries if e["key"] == {"type": "string", "value": f"pointer {number}"}]
    assert content(pointer["value"]["target"][name]) == TEXTS[NAMED[number]]


# Files


def test_a_core_of_such_a_name_of_such_a_program_is_harmless(hostile):
    core = hostile.folder / f"{ALL}.core"
    written = cli_here("snapshot", hostile.running.pid, "-o", core)
    assert_harmless(written)
    assert (written.code, written.err) == (0, "")
    try:
        for args in (("main.keys",), (), ("-v",), ("main.nope",)):
            answer = cli_here(core, *args)
            assert_harmless(answer)
            assert answer.code == (2 if "main.nope" in args else 0)
        document = cli_here(core, "main.keys", "--json").document
        assert document["target"]["exe"].endswith("/" + spelled(file_name()))
    finally:
        core.unlink()


def test_what_a_shell_is_offered_is_harmless(hostile):
    offered = ProcessType().shell_complete(None, None, str(hostile.running.pid))
    [help_text] = [item.help for item in offered if item.value == str(hostile.running.pid)]
    assert help_text.endswith(plain(ALL))
    assert obeyed(help_text) == []


# gdb

IN_GDB = (
    "info gomap main.keys -entries all", "info gomap main.anything -entries all", "info gomaps",
    "info gomaps -variables", "info gomap main.nope", f"info gomap main.{TEXTS['escapes'].decode()}",
    'info gomap main.keys -key "no\x1b[31m"', "info gomap main.keys -json", "info gomaps -json",
    "complete info gomap main.",
)  # fmt: skip
PRINTED = ("set gomap pretty-print on", "set language c", "print 'main.keys'")


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_nothing_in_gdb_has_a_character_that_a_terminal_obeys(hostile):
    said = gdb(*IN_GDB, *PRINTED, on=("-p", hostile.running.pid))
    for command, text in zip((*IN_GDB, *PRINTED), said, strict=True):
        assert obeyed(text) == [], command
        assert "internal error" not in text, command
        assert "Python Exception" not in text, command
    for name in TEXTS:
        assert said[0].count(quoted(TEXTS[name], len(TEXTS[name]))) == 2
    document = json.loads(said[7])
    assert {content(entry["key"]) for entry in document["entries"]} == set(TEXTS.values())
    assert '"\\342\\200\\256abc' in said[-1]
    assert '"[bold red]x[/] [link=file:///x]y[/link] :bomb:"' in said[-1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_records_for_machines_hold_every_text(hostile):
    commands = ('-interpreter-exec console "set gomap pretty-print on"', "-enable-pretty-printing",
                "-var-create v * \"'main.keys'\"", "-var-list-children --all-values v",
                '-interpreter-exec console "info gomap main.keys -json"')  # fmt: skip
    *_, children, console = gdb_mi(*commands, on=("-p", hostile.running.pid))
    values = [child["value"] for child in children["payload"]["children"]]
    assert len(values) == 2 * len(TEXTS)
    assert obeyed("".join(values)) == []
    assert any(value.startswith('"\\033[31mred') for value in values)
    document = json.loads(console["console"])
    assert {content(entry["key"]) for entry in document["entries"]} == set(TEXTS.values())


# What comes last, as it changes the program


def test_findings_about_such_a_type_are_harmless(hostile):
    called = f"map[string]*main.{os.fsdecode(named(TEXTS['escapes']))}"
    address = hostile.address_of(f"map[string]*main.{spelled(named(TEXTS['escapes']))}")
    hostile.running.ask("break")
    for more in ((), ("--no-stop",)):
        answer = cli_here(hostile.running.pid, address, "--type", called, *more)
        assert_harmless(answer)
        assert answer.code == 1
        assert "verdict: inconsistent" in answer.out


@pytest.mark.slow
def test_strings_of_a_hundred_megabytes_are_cut_and_harmless(hostile):
    length = hostile.running.ask("huge")["length"]
    assert length > 100_000_000
    text = cli_here(hostile.running.pid, "main.huge")
    assert_harmless(text)
    assert text.code == 0
    assert len(text.out) < 10_000
    assert f"({length} bytes)" in text.out
    census = cli_here(hostile.running.pid, "--strings")
    assert_harmless(census)
    document = cli_here(hostile.running.pid, "main.huge", "--json")
    assert_harmless(document)
    [entry] = document.document["entries"]
    assert entry["key"]["length"] == entry["value"]["length"] == length
