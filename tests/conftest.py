"""Real processes and real cores, started once a session for each toolchain."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from fixtures import SWISS_RELEASES, USUAL, Core, Running, Toolchain, build, cached_core, start
from inspector.cli.demo import open_demo
from tests.support.demo import Demo
from tests.support.pure import no_programs
from tests.support.swiss import SwissProgram, build_states, states_core, swiss_states

# Nobody is served by the fixtures, so a census of them need not wait between its stops.
os.environ["GO_MAP_INSPECT_MAX_SHARE"] = "100%"

PATIENCE = 60.0
"""Seconds that one stop may take in tests that say nothing of it: a busy machine takes longer than the usual 0.2 s."""

# Where a shell started the tests in the background they ignore Ctrl-C, and so would all programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a busy machine.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m pure`, leave files without such a test unread: to import them takes longer than to run the tests."""
    if config.option.markexpr == "pure" and collection_path.name.startswith("test_"):
        return "mark.pure" not in collection_path.read_text() or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the full cross product out of every run that does not ask for it."""
    if "matrix" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("matrix")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Hold tests marked as pure, and the fixtures they ask for, to it."""
    if item.get_closest_marker("pure") is None:
        return (yield)
    with no_programs():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no text in what a test printed and logged: workers of xdist hand reports on as UTF-8."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def _unhurried() -> Iterator[None]:
    """Give stops the time that they need: else what is copied too late is missing, and says nothing of the program."""
    with pytest.MonkeyPatch.context() as patch:
        for usual in ("USUAL_STOP", "USUAL_STOP_BY_GDB"):
            patch.setattr(f"inspector.target.run.{usual}", PATIENCE)
        yield


MOST_RUNNING = 80
"""Programs that run at a time for `run`: each has three files of ours, and select() knows none above 1,023."""


@pytest.fixture(scope="session")
def run() -> Iterator[Callable[..., Running]]:
    """Start a fixture program, the same one only once while it is used now and then."""
    known: dict[tuple[str, Toolchain], tuple[Running, ExitStack]] = {}

    def starter(program: str = "states", toolchain: Toolchain = USUAL) -> Running:
        found = known.pop((program, toolchain), None)
        if found is None:
            with ExitStack() as stack:
                found = stack.enter_context(start(build(program, toolchain))), stack.pop_all()
        known[program, toolchain] = found
        if len(known) > MOST_RUNNING:
            known.pop(next(iter(known)))[1].close()
        return found[0]

    try:
        yield starter
    finally:
        for _, stack in known.values():
            stack.close()


@pytest.fixture(scope="session")
def crash() -> Callable[..., Core]:
    """The kernel's core of a fixture program that crashed. It is shared: a test that changes it takes a copy."""

    def crashed(program: str = "states", toolchain: Toolchain = USUAL) -> Core:
        return cached_core(build(program, toolchain))

    return crashed


@pytest.fixture(scope="session")
def swiss() -> Iterator[Callable[..., SwissProgram]]:
    """Start the program with every state of a Swiss map, for each toolchain, plain or stripped, only once."""
    with ExitStack() as stack:
        known: dict[tuple[Toolchain, bool], SwissProgram] = {}

        def starter(toolchain: Toolchain = SWISS_RELEASES[-1], stripped: bool = False) -> SwissProgram:
            key = toolchain, stripped
            if key not in known:
                running = stack.enter_context(start(build_states(toolchain, stripped)))
                known[key] = SwissProgram(running, swiss_states(running.truth))
            return known[key]

        yield starter


@pytest.fixture(scope="session")
def swiss_core() -> Callable[..., Core]:
    """The kernel's core of the program with every state of a Swiss map; `swiss_states(core.truth)` reads its truth."""
    return states_core


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """The core that comes with the program: a map[string]int in the middle of a growth."""
    with open_demo() as opened:
        yield Demo(opened.target, opened.variable, opened.type)
