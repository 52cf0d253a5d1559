"""Maps that say that they are far larger than the machine has memory: told soon, and with little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.copying.room import SHARE, free_memory
from tests.support.commandline import assert_free
from tests.support.measuring import measured

LIMIT, OWN = 500, 100
"""MiB that a command may take, and that the interpreter and its libraries have before."""

PROCESSOR = 10.0
"""Seconds of processor time: how long that takes on a busy machine is not asked."""


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]])
@pytest.mark.parametrize("arguments", [["main.sparse"], ["main.sparse", "--no-stop"], ["--json"]])
def test_a_map_that_is_larger_than_memory_is_told_of_soon(toolchain, arguments):
    with start(build("sparse", toolchain)) as running:
        run = measured(running.pid, *arguments, "--max-memory", f"{LIMIT}m")
        assert run.memory < LIMIT + OWN
        assert run.seconds < PROCESSOR
        if arguments == ["--json"]:
            assert run.code == 3
            assert '"main.sparse"' in run.out
        else:
            assert run.code in (2, 3)
            assert "raise the limit: --max-memory" in run.err or "PARTLY READ" in run.out
        assert_free(running.pid)


BY_API = """
import json, resource, sys
from inspector import InspectError, inspect, look_up, open_target, take_census
said = {}
with open_target(sys.argv[1]) as target:
    try:
        inspect(target, "main.sparse")
    except InspectError as error:
        said["map"] = [type(error).__name__, isinstance(error, MemoryError), str(error)]
    census = take_census(target)
said["census"] = {one.name: one.verdict for one in census.maps if one.name}
said["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(json.dumps(said))
"""


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]])
def test_users_of_the_api_who_set_no_limit_keep_their_memory(toolchain):
    with start(build("sparse", toolchain)) as running:
        most = free_memory() // SHARE >> 20
        words = [sys.executable, "-c", BY_API, str(running.pid)]
        said = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
        assert_free(running.pid)
    kind, is_memory_error, message = said["map"]
    assert (kind, is_memory_error) == ("TooLarge", True)
    assert "more memory than may be taken" in message
    assert said["census"]["main.sparse"] in ("unreadable", "not-read")
    assert said["memory"] < most + OWN
