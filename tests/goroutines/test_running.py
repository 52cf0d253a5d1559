"""Calls of running goroutines, through the runtime and the packages that it is made of, up to the program's own."""

from __future__ import annotations

import pytest

from fixtures import build, start
from inspector.goroutines.running import running
from inspector.target.run import Run
from tests.support.targets import EACH_RECENT, OLDER, opened_for_heap

ROUNDS = 300
ENOUGH = 5


@pytest.mark.slow
@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["symbols", "stripped"])
@pytest.mark.parametrize("toolchain", EACH_RECENT)
def test_calls_lead_from_map_functions_to_their_caller(toolchain, ldflags):
    """Since 1.24 most of what works on maps is in internal/runtime/maps."""
    inside = "runtime." if toolchain == OLDER else "internal/runtime/maps.(*"
    found: list[list[str]] = []
    with start(build("writing", toolchain, ldflags=ldflags)) as process, opened_for_heap(process.pid) as target:
        run = Run(target, None, None)
        for _ in range(ROUNDS):
            with run.held():
                stacks = [[frame.function.name for frame in each.frames] for each in running(run)]
            found += [names for names in stacks if "main.write" in names and names[0].startswith(inside)]
            if len(found) >= ENOUGH:
                break
    assert len(found) >= ENOUGH
    for names in found:
        caller = names.index("main.write")
        assert names[caller - 1] in ("runtime.mapassign", "runtime.mapdelete")
        assert names[caller + 1] == "main.main.func1"
