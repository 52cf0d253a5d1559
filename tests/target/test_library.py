"""Go's runtime in a library of a process whose executable is not Go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, USUAL, Running, kernel_core, start
from inspector.goroutines.running import running
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.commandline import assert_refused, assert_running, cli_here
from tests.support.libraries import NEEDS_GCC, build_host, build_library

pytestmark = NEEDS_GCC
WORDS = "main.words"
NOTE = "is not Go: the runtime that is inspected is in its library"


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Path:
    return build_host(tmp_path_factory.mktemp("host"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((SWISS_RELEASES[-1], ""), id="swiss"),
        pytest.param((USUAL, ""), id="classic", marks=pytest.mark.slow),
        pytest.param((SWISS_RELEASES[-1], "-s -w"), id="stripped", marks=pytest.mark.slow),
    ],
)
def library(request) -> Path:
    return build_library(*request.param)


@pytest.fixture(scope="module")
def loaded(host, library) -> Iterator[Running]:
    with start(host, str(library)) as running:
        yield running
        assert_running(running)


def test_maps_of_a_library_are_what_it_says_of_them(loaded, library):
    words = loaded.map("words")
    answer = cli_here(loaded.pid, words["address"], "--json")
    assert [note for note in answer.notes if NOTE in note]
    shown = answer.document["map"]
    assert (answer.code, shown["type"], shown["count"]) == (0, "map[string]int", 3)
    assert {each["key"]: each["value"] for each in answer.document["entries"]} == {"one": 1, "two": 2, "three": 3}
    census = cli_here(loaded.pid, "--json")
    assert (census.code, [str(library) in note for note in census.notes]) == (0, [True])
    sizes = {each["address"]: (each["count"], each["verdict"]) for each in census.document["census"]["maps"]}
    assert sizes[words["address"]] == (3, "consistent")
    assert (100, "consistent") in sizes.values()


def test_variables_of_a_library_are_found_and_named(host):
    with start(host, str(build_library())) as loaded:
        for mode in ("auto", "gdb-mi"):
            answer = cli_here(loaded.pid, "main.app.sessions", "--json", "--memory", mode)
            assert (answer.code, answer.document["map"]["count"]) == (0, 100)
        names = {each["name"] for each in cli_here(loaded.pid, "--json").document["census"]["maps"]}
        assert {WORDS, "main.app.sessions"} <= names
        assert_running(loaded)


def test_the_goroutine_that_c_code_has_called_is_known_by_its_register(host):
    with start(host, str(build_library())) as loaded, open_target(str(loaded.pid)) as target:
        run = Run(target)
        with run.held():
            names = {frame.function.name for goroutine in running(run) for frame in goroutine.frames}
        assert "main.Serve" in names
        assert_running(loaded)


def test_a_core_of_a_process_with_a_go_library_is_inspected(host, tmp_path):
    library = build_library()
    with start(host, str(library)) as loaded:
        written = cli_here("snapshot", loaded.pid, "-o", tmp_path / "core")
        assert written.code == 0
    for more in ([], ["--exe", library], ["--exe", host]):
        answer = cli_here(tmp_path / "core", WORDS, "--json", *more)
        assert (answer.code, answer.document["map"]["count"]) == (0, 3)
        assert [note for note in answer.notes if NOTE in note and str(library) in note]
    other = build_library(USUAL)
    assert_refused(cli_here(tmp_path / "core", WORDS, "--exe", other), "not the executable of", "--exe")


@pytest.mark.slow
def test_the_kernels_core_of_a_process_with_a_go_library_is_inspected(host, tmp_path):
    core = kernel_core(host, str(build_library()), directory=tmp_path)
    answer = cli_here(core.path, WORDS, "--json")
    assert (answer.code, answer.document["map"]["count"]) == (0, 3)


def test_a_library_that_was_deleted_or_named_is_inspected_and_one_of_another_build_is_not(host, tmp_path):
    library, stripped = tmp_path / "library.so", build_library(ldflags="-s -w")
    shutil.copy(build_library(), library)
    with start(host, str(library)) as loaded:
        assert cli_here(loaded.pid, WORDS, "--exe", build_library()).code == 0
        assert_refused(cli_here(loaded.pid, WORDS, "--exe", stripped), "not the executable of", "--exe")
        library.unlink()
        answer = cli_here(loaded.pid, WORDS, "--json")
        assert (answer.code, answer.document["map"]["count"]) == (0, 3)
        assert_running(loaded)
