"""Paths behind package variables: fields, promoted ones, elements of arrays and slices, through pointers."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures import CLASSIC, NEWEST, USUAL, build, gcore_core, kernel_core, start
from inspector import inspect, open_target
from inspector.errors import UnknownVariable, UsageError
from inspector.gotypes.dwarf import location
from inspector.gotypes.render import go_form
from inspector.image.elf import open_image
from inspector.naming.locate import locate
from inspector.target.remote import open_remote
from inspector.target.run import Run
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.gdbservers import attached, needs_gdbserver
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import all_differences

MAPS = 18
"""Maps that the program tells of, each by its path."""

NO_GDB = "/nonexistent/gdb"
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def nested() -> Iterator:
    with start(build("nested")) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def opened(nested) -> Iterator:
    with open_target(str(nested.pid), gdb=NO_GDB) as target:
        yield target


@pytest.fixture(scope="module")
def serving() -> Iterator:
    with start(build("serving")) as running, open_target(str(running.pid)) as target:
        yield target


@pytest.mark.parametrize(
    ("path", "entries"),
    [
        ("main.front.cache", ['"a"']),
        ("main.front.inner.cache", ['"b"']),
        ("main.front.parts[0].table", ["0"]),
        ("main.front.parts[1].table", ["1", "2"]),
        ("main.shards[2].table", ["1", "2"]),
    ],
)
def test_a_path_leads_through_fields_and_elements_to_its_map(serving, path, entries):
    assert sorted(go_form(entry.key) for entry in inspect(serving, path).entries()) == entries


# Every path, wherever the bytes come from, without gdb


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_path_of_a_live_process_is_followed_without_gdb(toolchain):
    with start(build("nested", toolchain)) as running, open_target(str(running.pid), gdb=NO_GDB) as target:
        assert len(running.truth["maps"]) == MAPS
        assert all_differences(target, running.truth["maps"]) == {}


def test_a_type_whose_descriptor_the_linker_dropped_is_read_from_the_dwarf(opened):
    declared = opened.program.declarations.type_of(opened.program.image.symbol("main.chain"))
    assert not opened.program.types.is_static(declared.address)
    assert [field.name for field in declared.fields] == ["entries", "self"]


@pytest.mark.parametrize("options", [{"memory": "direct"}, {"stop": False}], ids=["direct", "no-stop"])
def test_every_path_is_followed_with_every_way_to_read_a_process(nested, options):
    with open_target(str(nested.pid), gdb=NO_GDB, **options) as target:
        assert all_differences(target, nested.truth["maps"]) == {}


def test_every_path_is_followed_through_gdb(nested):
    with open_target(str(nested.pid), memory="gdb-mi") as target:
        assert all_differences(target, nested.truth["maps"]) == {}


@pytest.mark.parametrize("toolchain", [USUAL, *(pytest.param(each, marks=SLOW) for each in (CLASSIC[0], NEWEST))])
def test_every_path_is_followed_in_a_kernel_core(toolchain, tmp_path):
    core = kernel_core(build("nested", toolchain), directory=tmp_path)
    with open_target(str(core.path), gdb=NO_GDB) as target:
        assert all_differences(target, core.truth["maps"]) == {}


@SLOW
def test_every_path_is_followed_in_a_core_of_gdb(nested, tmp_path):
    with open_target(str(gcore_core(nested, tmp_path).path), gdb=NO_GDB) as target:
        assert all_differences(target, nested.truth["maps"]) == {}


@SLOW
@needs_gdbserver
def test_every_path_is_followed_behind_a_gdbserver(nested, tmp_path):
    with attached(nested, tmp_path) as server, open_remote(server.endpoint) as target:
        assert all_differences(target, nested.truth["maps"]) == {}


@pytest.mark.parametrize(
    ("flags", "ldflags"),
    [
        pytest.param(["-buildmode=pie"], "", id="position independent"),
        pytest.param([], "-compressdwarf=false", id="DWARF as it is"),
        pytest.param(["-gcflags=all=-N -l"], "", id="unoptimised", marks=SLOW),
    ],
)
def test_every_path_is_followed_however_the_program_was_built(flags, ldflags):
    with (
        start(build("nested", NEWEST, extra_flags=flags, ldflags=ldflags)) as running,
        open_target(str(running.pid), gdb=NO_GDB) as target,
    ):
        assert bool(target.program.image.bias) == (flags == ["-buildmode=pie"])
        assert all_differences(target, running.truth["maps"]) == {}


def test_an_unstripped_twin_has_the_paths_of_a_stripped_process(tmp_path):
    whole, stripped = build("nested"), tmp_path / "nested"
    subprocess.run(["objcopy", "--strip-all", str(whole), str(stripped)], check=True)
    with start(stripped) as running, open_target(str(running.pid), exe=str(whole), gdb=NO_GDB) as target:
        assert all_differences(target, running.truth["maps"]) == {}


def test_a_map_in_a_frame_of_a_generic_function_for_a_type_with_tags_is_found(nested):
    # gdb is never given such a name: its tags may hold any text.
    with open_target(str(nested.pid)) as target:
        functions = [each.name for each in target.program.image.functions() if each.name.startswith("main.hold[")]
        assert [name for name in functions if '"json' in name], functions
        assert inspect(target, "main.hold[...]:kept").snapshot.header.count == 2


# What cannot be followed


@pytest.mark.parametrize("path", ["main.front.parts[2].table", "main.shards[3].table", "main.front.parts[9].table"])
def test_an_element_behind_the_last_one_is_not_read(serving, path):
    with pytest.raises(UnknownVariable, match="out of range"):
        inspect(serving, path)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("main.chain.entrys", ["main.chain has no field entrys (fields: entries, self; did you mean main.chain.ent"]),
        ("main.chain.zzz", ["main.chain has no field zzz (fields: entries, self)"]),
        ("main.front.twice", ["main.front.twice is ambiguous", "main.front.left.twice, main.front.right.twice"]),
        ("main.app.nothing.sessions", ["main.app.nothing.sessions cannot be read: main.app.nothing is nil"]),
        ("main.app.next.sessions", ["main.app.next.sessions cannot be read: main.app.next.middle.base is nil"]),
        ("main.front.limits[2][0]", ["index 2 is out of range", "main.front.limits has 2 elements"]),
        ("main.front.rows[2].cells[0]", ["index 2 is out of range", "main.front.rows has 2 elements"]),
        ("main.front.rows[0].cells[0]", ["index 0 is out of range", "main.front.rows[0].cells has 0 elements"]),
        ("main.app", ["main.app is of type *main.server, not a map", "maps in it: main.app.hidden"]),
        ("main.app.nothing", ["not a map (main.app.nothing.hidden cannot be read: main.app.nothing is nil)"]),
        ("main.count", ["main.count is of type int, not a map"]),
        ("main.front.name", ["main.front.name is of type string, not a map"]),
        ("main.front.name.x", ["main.front.name is of type string, which has no fields"]),
        ("main.front.name[0]", ["main.front.name is of type string, which is neither an array nor a slice"]),
        ("main.front.hidden[0]", ["main.front.hidden is of type map[string]int, and 0 is not a string", "quotes"]),
        ("main.front.any.x", ["main.front.any is nil"]),
        ("main.fn", ["main.fn is of type func(int) string, not a map"]),
        ("main.channel", ["main.channel is of type chan int, not a map"]),
    ],
)  # fmt: skip
def test_what_leads_to_no_map_is_said_to_be_what_it_is(opened, path, words):
    with pytest.raises(UnknownVariable) as refused:
        inspect(opened, path)
    for word in words:
        assert word in str(refused.value)


def test_an_index_below_zero_is_said_to_be_none(opened):
    with pytest.raises(UsageError, match=r"'\[-1\]' is not an index of main.front.limits"):
        inspect(opened, "main.front.limits[-1][0]")


def test_a_map_type_that_the_linker_dropped_is_said_to_be_missing(opened):
    # No such map was ever made, or the linker would have kept its type.
    with pytest.raises(UnknownVariable, match=r"main.unmade.never is declared as a map, but .* no map type"):
        inspect(opened, "main.unmade.never")


def test_types_are_checked_before_the_process_is_held(nested):
    with open_target(str(nested.pid), gdb=NO_GDB) as target:
        run = Run(target)
        with pytest.raises(UnknownVariable):
            locate(run, "main.chain.entrys", None)
        assert run.stopped_ms == 0


def test_without_dwarf_a_variable_needs_its_type_and_fields_are_unknown():
    with start(build("nested", ldflags="-w")) as running:
        cases = {
            ("main.count",): ["main.count has no debug information (linked with -w)", "add --type 'map[string]int'"],
            ("main.chain.entries",): ["main.chain has no debug information (linked with -w)", "fields"],
            ("main.chain.entries", "--type", "map[string]int"): ["main.chain has no debug information", "fields"],
            ("main.app", "--type", "map[string]int"): ["not a map header"],
        }
        for args, words in cases.items():
            assert_refused(cli_here(running.pid, *args), *words)
        assert_running(running)
    with start(build("plain", ldflags="-w")) as running:
        answer = cli_here(running.pid, "main.words", "--type", "map[string]int")
        assert (answer.code, answer.err) == (0, "")
        assert_running(running)


def damaged(exe: Path, name: str, to: Path) -> Path:
    """Copy an executable and let the type of one package variable lead out of its DWARF."""
    with closing(open_image(exe)) as image:
        address = image.symbol(name).address
    data = bytearray(exe.read_bytes())
    spelled = name.encode() + b"\0" + location.build({"address": address})
    assert data.count(spelled) == 1
    at = data.index(spelled) + len(spelled)
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    to.write_bytes(data)
    return to


def test_damaged_debug_information_is_noted_and_costs_no_other_variable(tmp_path):
    exe = damaged(build("nested", ldflags="-compressdwarf=false"), "main.front", tmp_path / "nested")
    exe.chmod(0o755)
    with start(exe) as running:
        assert_refused(cli_here(running.pid, "main.front.sessions"), "the debug information of main.front is damaged")
        assert cli_here(running.pid, "main.chain.entries").code == 0
        census = cli_here(running.pid, "--json")
        assert census.code in (0, 3)
        assert [note for note in census.notes if "is damaged at 1 place: main.front" in note]
        names = {row["name"] for row in json.loads(census.out)["census"]["maps"]}
        assert {"main.chain.entries", "main.generic.items"} <= names
        assert_running(running)
