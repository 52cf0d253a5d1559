"""An inspection reads: what a process says of its maps, and a core, are the same afterwards, byte for byte."""

from __future__ import annotations

import shutil

import pytest

from fixtures import SWISS_RELEASES, USUAL, Running, Truth, build, start
from tests.support.commandline import cli_here

WAYS = {
    "map": ("main.words",),
    "key": ("main.words", "--key", "two"),
    "census": (),
    "no-stop": ("main.words", "--no-stop"),
    "gdb": ("main.words", "--memory", "gdb-mi"),
}


def told(running: Running) -> Truth:
    """What the program says of its map; Go ranges over entries in a random order."""
    truth = running.ask("truth")
    for one in truth["maps"]:
        one["entries"].sort(key=str)
    return truth


@pytest.mark.parametrize(
    "toolchain", [pytest.param(USUAL, marks=pytest.mark.slow), SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name
)
def test_nothing_is_written_into_a_process_or_a_core(toolchain, tmp_path):
    ways = dict(WAYS) if shutil.which("gdb") else {name: words for name, words in WAYS.items() if name != "gdb"}
    with start(build("plain", toolchain)) as running:
        # The first time the program itself changes a map: it sets a flag of the maps that it ranges over.
        _, before = told(running), told(running)
        answers = [cli_here(running.pid, *words) for words in ways.values()]
        core = tmp_path / "core"
        answers.append(cli_here("snapshot", running.pid, "-o", core))
        assert told(running) == before
    was, held = core.stat(), core.read_bytes()
    answers += [cli_here(core, *words) for name, words in ways.items() if name != "no-stop"]
    assert (core.read_bytes(), core.stat().st_mtime_ns) == (held, was.st_mtime_ns)
    assert [answer for answer in answers if answer.code] == []
