"""What a map keeps alive alone is what the program's collector gives back when the map is dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.census.retaining import header_size, references_of
from inspector.census.territory import survey
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.whole import copied_whole
from tests.support.commandline import assert_refused, assert_running, cli_here

DROPPED = {"drop parts": "main.assembly.Parts", "drop other": "main.assembly.Other", "drop lent": "main.assembly.Lent",
           "drop chains": "main.chains"}  # fmt: skip
BOTH = [USUAL, SWISS_RELEASES[-1]]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", BOTH, ids=lambda toolchain: toolchain.name)
def test_the_collector_gives_back_what_was_said_to_be_kept(toolchain):
    with start(build("questions", toolchain)) as running:
        said = {}
        for command, name in DROPPED.items():
            found = cli_here(running.pid, name, "--retained", "--json").document["retained"]
            said[command] = found["bytes"]
            assert found["complete"]
            assert found["objects"] > 1
        groups = cli_here(running.pid, "--retained", "--json").document["retained"]["of"]
        # All three maps hang at one place, and are dropped together.
        said["drop fleet"] = {one["group"]: one["bytes"] for one in groups}["main.fleet[*].Parts"]
        without_stacks = kept_but_for_stacks(running.pid)
        assert_running(running)
        for command, kept in without_stacks.items():
            freed = running.ask(command)["freed"]
            assert kept == freed, command
            # A stale word on a stack makes it less.
            assert 0 < said[command] <= freed, command


def kept_but_for_stacks(pid: int) -> dict[str, int]:
    """What is kept alone where no word of a stack counts. None of the program's own leads to any of it."""
    kept = {}
    with open_target(str(pid), memory="direct") as target:
        dropped = {command: [name] for command, name in DROPPED.items()}
        dropped["drop fleet"] = [f"main.fleet[{at}].Parts" for at in range(3)]
        maps = {command: [inspect(target, name, None, entries=0).ref for name in names]
                for command, names in dropped.items()}  # fmt: skip
        with copied_whole(Run(target)) as whole:
            assert whole is not None
            run = Run(whole.target)
            references = references_of(run, replace(survey(run), stacks=[]))
            for command, refs in maps.items():
                places = [(ref.address, header_size(run, ref.type)) for ref in refs]
                kept[command] = references.retained(places).bytes
    return kept


def test_what_is_shared_is_reached_and_not_kept():
    with start(build("questions", SWISS_RELEASES[-1])) as running:
        lent = cli_here(running.pid, "main.assembly.Lent", "--retained", "--json").document["retained"]
        text = cli_here(running.pid, "main.assembly.Lent", "--retained").out
    # Half of the 40 arrays of 512 bytes are in a slice, too.
    assert 20 * 512 <= lent["reached_bytes"] - lent["bytes"] < 40 * 512
    assert "Alone it keeps " in text
    assert "this is a lower bound" in text


def test_what_does_not_go_with_retained_is_refused_in_one_line():
    assert_refused(cli_here("demo", "--retained", "--grep", "x"), "leave --grep out")
    assert_refused(cli_here("demo", "--retained", "--key", "1"), "leave --key out")
    assert_refused(cli_here("demo", "--retained", "--duplicates"), "leave --duplicates out")
