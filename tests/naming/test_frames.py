"""Variables of functions that are being executed, held against what the program says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fixtures import CLASSIC, NEWEST, SWISS_RELEASES, build, gcore_core, start
from inspector import inspect, open_target
from inspector.errors import InspectError
from inspector.target.remote import open_remote
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.gdbservers import attached, needs_gdbserver
from tests.support.truth import all_differences

BOTH_FAMILIES = [pytest.param(CLASSIC[0], marks=pytest.mark.slow), NEWEST, SWISS_RELEASES[-1]]
UNOPTIMISED = ("-gcflags=all=-N -l",)
MAPS = {18, 22}
"""Maps that the program tells of: before Go 1.23, and since, with those of loops over functions."""


@pytest.fixture(scope="module", params=BOTH_FAMILIES, ids=lambda each: each.name)
def frames(request) -> Iterator:
    """The program whose goroutines wait, sleep in the kernel and run."""
    with start(build("handlers", request.param)) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def newest() -> Iterator:
    with start(build("handlers", NEWEST)) as running:
        yield running
        assert_running(running)


@pytest.fixture(scope="module")
def unoptimised() -> Iterator:
    with start(build("handlers", NEWEST, extra_flags=UNOPTIMISED)) as running:
        yield running


@pytest.fixture(scope="module")
def opened(newest) -> Iterator:
    """The same process for many questions."""
    with open_target(str(newest.pid)) as target:
        yield target


def entries_of(target, name: str) -> int:
    """How many entries the map has that a name leads to."""
    return inspect(target, name).snapshot.header.count


# Where the frames are found


@pytest.mark.slow
def test_every_map_of_a_live_process_is_found_by_its_frame(frames):
    with open_target(str(frames.pid)) as target:
        assert len(frames.truth["maps"]) in MAPS
        assert all_differences(target, frames.truth["maps"]) == {}


@pytest.mark.slow
def test_every_map_of_a_process_that_only_gdb_reads_is_found_by_its_frame(newest):
    with open_target(str(newest.pid), memory="gdb-mi") as target:
        assert all_differences(target, newest.truth["maps"]) == {}


@pytest.mark.parametrize("toolchain", BOTH_FAMILIES, ids=lambda each: each.name)
def test_every_map_of_a_kernel_core_is_found_by_its_frame(crash, toolchain):
    core = crash("handlers", toolchain)
    with open_target(str(core.path)) as target:
        assert all_differences(target, core.truth["maps"]) == {}


@pytest.mark.slow
@needs_gdbserver
def test_every_map_of_a_remote_process_is_found_by_its_frame(frames, tmp_path):
    with attached(frames, tmp_path) as server, open_remote(server.endpoint) as target:
        assert all_differences(target, frames.truth["maps"]) == {}


@pytest.mark.slow
def test_every_map_of_an_unoptimised_program_is_found_by_its_frame(unoptimised):
    with open_target(str(unoptimised.pid)) as target:
        assert all_differences(target, unoptimised.truth["maps"]) == {}


@pytest.mark.slow
def test_every_map_of_a_position_independent_program_is_found_by_its_frame():
    exe = build("handlers", extra_flags=["-buildmode=pie"])
    with start(exe) as running, open_target(str(running.pid)) as target:
        assert all_differences(target, running.truth["maps"]) == {}


EVERY_OTHER = [
    *(pytest.param(each, flags, marks=pytest.mark.slow) for each in CLASSIC[1:-1] for flags in ((), UNOPTIMISED)),
    *(pytest.param(each, (), marks=pytest.mark.slow) for each in SWISS_RELEASES[:-1]),
    *(pytest.param(each, UNOPTIMISED, marks=pytest.mark.matrix) for each in SWISS_RELEASES),
]


@pytest.mark.parametrize(
    ("toolchain", "flags"), EVERY_OTHER, ids=lambda each: each.name if hasattr(each, "name") else "-N -l" * bool(each)
)
def test_frames_of_every_release_lead_to_their_maps(toolchain, flags):
    with start(build("handlers", toolchain, extra_flags=flags)) as running, open_target(str(running.pid)) as target:
        assert all_differences(target, running.truth["maps"]) == {}


@pytest.fixture
def spinning() -> Iterator:
    """The program with a goroutine that runs all the time, which a busy machine should not bear for long."""
    with start(build("handlers", NEWEST)) as running:
        running.ask("spin")
        running.truth = running.ask("truth")
        yield running
        running.ask("rest")
        assert_running(running)


@pytest.mark.slow
@pytest.mark.parametrize("tries", [12])
def test_a_running_goroutine_is_found_wherever_it_is_just_then(spinning, tries):
    for _ in range(tries):
        with open_target(str(spinning.pid)) as target:
            assert all_differences(target, [spinning.map("spinning")]) == {}


@pytest.mark.slow
def test_a_goroutine_that_ran_is_found_in_a_core_of_gdb(spinning, tmp_path):
    core = gcore_core(spinning, tmp_path)
    with open_target(str(core.path)) as target:
        assert all_differences(target, core.truth["maps"]) == {}


@pytest.mark.slow
def test_every_map_of_a_program_with_swiss_maps_is_found_in_a_core_of_gdb(tmp_path):
    with start(build("handlers", SWISS_RELEASES[-1])) as running:
        running.ask("spin")
        running.truth = running.ask("truth")
        core = gcore_core(running, tmp_path)
        running.ask("rest")
    with open_target(str(core.path)) as target:
        # One of them is in a goroutine that ran.
        assert len(core.truth["maps"]) == max(MAPS) + 1
        assert all_differences(target, core.truth["maps"]) == {}


# What a person may write


def test_the_package_may_be_left_out(newest):
    with open_target(str(newest.pid)) as target:
        assert entries_of(target, "argument:sessions") == newest.map("argument")["len"]
        assert entries_of(target, "(*server).handle:s.cache") == newest.map("field")["len"]
        for generic in ("(*shelf[...]).hold", "(*shelf).hold", "main.(*shelf).hold"):
            assert entries_of(target, f"{generic}:s.items") == newest.map("generic")["len"]


def test_a_package_is_enough_for_its_path_where_there_is_one_of_that_name(opened, newest):
    for name in ("left/cache.Entries", "fixtures/handlers/left/cache.Entries"):
        assert entries_of(opened, name) == newest.map("left")["len"] == 3


def test_of_functions_that_share_a_name_the_one_with_the_variable_is_meant(newest):
    with open_target(str(newest.pid)) as target:
        assert entries_of(target, "handle:sessions") == newest.map("function")["len"]
        assert entries_of(target, "handle:s.cache") == newest.map("field")["len"]


@pytest.mark.slow
def test_a_key_is_looked_up_in_a_map_of_a_frame(newest):
    answer = cli_here(newest.pid, "main.local:counts", "--key", "local-7")
    assert answer.code == 0
    assert re.search(r"found in cell \d: 7\n", answer.out)


@pytest.mark.slow
def test_a_nil_map_in_a_frame_is_a_nil_map(unoptimised):
    answer = cli_here(unoptimised.pid, "main.none:empty")
    assert answer.code == 0
    assert "A nil map reads as empty" in answer.out


def choices(answer) -> list[str]:
    """The names that a refusal offers."""
    return re.findall(r"(\S+@\d+#\d+:\S+) \(", answer.err)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("main.worker:jobs", [1, 2], id="goroutines", marks=pytest.mark.slow),
        pytest.param("main.recursive:seen", [3, 2, 1], id="recursion", marks=pytest.mark.slow),
        pytest.param("main.scoped:names", [3, 2], id="scopes"),
    ],
)
@pytest.mark.parametrize("program", ["newest", pytest.param("unoptimised", marks=pytest.mark.slow)])
def test_several_variables_are_told_apart_and_each_can_be_chosen(name, sizes, program, request):
    running = request.getfixturevalue(program)
    answer = cli_here(running.pid, name)
    assert_refused(answer, f"{name} is in {len(sizes)} places", "main.go:", "map[string]int of", "waiting")
    offered = choices(answer)
    assert len(offered) == len(sizes)
    with open_target(str(running.pid)) as target:
        assert sorted(entries_of(target, each) for each in offered) == sorted(sizes)
        goroutine = re.search(r"@(\d+)#", offered[0])[1]
        if name == "main.worker:jobs":
            assert entries_of(target, f"main.worker@{goroutine}:jobs") == entries_of(target, offered[0])


def test_a_type_does_not_make_a_map_of_what_is_declared_as_something_else(newest):
    for name in ("main.(*server).handle:s", "main.reading:descriptor"):
        assert_refused(cli_here(newest.pid, name, "--type", "map[string]int"), "not a map (name a map variable")


def test_where_gdb_fails_the_advice_does_not_lead_back_to_gdb(newest, tmp_path):
    # It starts as gdb does, and ends at the first question about frames.
    failing = tmp_path / "gdb"
    failing.write_text('#!/bin/sh\nexec gdb "$@" -ex "python import os; os._exit(3)"\n')
    failing.chmod(0o755)
    name, address = "main.argument:sessions", newest.map("argument")["address"]
    answer = cli_here(newest.pid, name, "--gdb", str(failing))
    assert_refused(answer, "gdb", "name a package variable, or the map's address with --type: neither needs gdb")
    assert "--memory direct" not in answer.err.partition("(")[2] or "leave" in answer.err
    followed = cli_here(newest.pid, address, "--type", "map[string]int", "--memory", "direct", "--gdb", str(failing))
    assert followed.code == 0


@pytest.mark.slow
def test_of_thousands_of_goroutines_a_few_are_offered_and_each_can_be_chosen():
    with start(build("parked", SWISS_RELEASES[-1])) as running:
        offered = choices(cli_here(running.pid, "main.park:m"))
        assert len(offered) == 6
        with open_target(str(running.pid)) as target:
            assert [entries_of(target, name) for name in offered] == [5] * 6
        hurried = cli_here(running.pid, offered[0], "--max-stop", "1ms")
        assert_refused(hurried, "within the 1 ms that a stop may take (allow longer stops with --max-stop)")
        assert_running(running)


# What cannot be answered


def test_what_the_compiler_has_left_nowhere_is_said_to_be_optimized_out(newest):
    answer = cli_here(newest.pid, "main.forgetful:forgotten")
    assert_refused(answer, "main.forgetful:forgotten is optimized out", "main.go:", "-N -l")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "cache.Entries",
            ["2 packages have a variable cache.Entries", "handlers/left/cache.Entries", "handlers/right/cache.Entries"],
        ),
        ("truth.maps", ["truth.maps is of type", "not a map"]),
        ("main.argumen:sessions", ["no function main.argumen", "main.argument"]),
        ("main.argument:sesions", ["main.argument has no variable sesions", "it has sessions"]),
        ("main.argument@99999:sessions", ["goroutine 99999 is not in main.argument now"]),
        ("main.argument#77:sessions", ["no goroutine is in main.argument at frame 77 now"]),
        ("main.argument:sessions@1", ["no variable sessions declared in line 1"]),
        ("main.numbered:m", ["no goroutine is in main.numbered now"]),
        ("main.reading:descriptor", ["of type int, not a map"]),
        ("main.(*server).handle:s", ["main.server *", "not a map"]),
        ("main.(*server).handle:s.next.next.cache", ["cannot be read", "nil"]),
        ("main.(*server).handle:s.shards[2]", ["index 2 is out of range"]),
        ("main.(*server).handle:s.nothing", ["main.server has no field nothing", "name, cache, shards, next"]),
        ("main.(*server).handle:s.cache.B", ["map[string]int has no fields"]),
        ("main.(*server).handle:s.cache[0]", ["map[string]int is neither an array nor a slice"]),
        ("main.argument:", ["neither an address nor a Go variable", "main.handler:sessions"]),
        ("main.argument:a:b", ["neither an address nor a Go variable"]),
        ("main.argument'):x", ["neither an address nor a Go variable"]),
        ("main.argument:sessions=1", ["neither an address nor a Go variable"]),
    ],
)
def test_what_names_no_map_is_refused_in_one_line(opened, name, words):
    with pytest.raises(InspectError) as refused:
        inspect(opened, name)
    for word in words:
        assert word in str(refused.value), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param("-s -w", ["stripped", "--exe"], id="stripped"),
        pytest.param("-w", ["no DWARF"], id="without DWARF", marks=pytest.mark.slow),
    ],
)
def test_a_program_without_names_has_no_variables_in_frames(flags, words):
    with start(build("handlers", ldflags=flags)) as running:
        assert_refused(cli_here(running.pid, "main.argument:sessions"), *words)
        # To use gdb would not help, so it is not asked for.
        without = cli_here(running.pid, "main.argument:sessions", "--memory", "direct")
        assert_refused(without, *words)
        assert "leave --memory direct out" not in without.err
        assert_running(running)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--memory", "direct"], ["found by gdb", "leave --memory direct out", "with --type: neither needs gdb"]),
        pytest.param(["--no-stop"], ["--no-stop"], marks=pytest.mark.slow),
        pytest.param(["--gdb", "/nowhere/gdb"], ["gdb is not installed"], marks=pytest.mark.slow),
    ],
    ids=lambda each: each[-1],
)
def test_frames_need_gdb_and_a_stop(newest, option, words):
    assert_refused(cli_here(newest.pid, "main.argument:sessions", *option), *words)
