"""Frames of goroutines in the states of Go 1.26: leaked ones are searched, those held ready for C threads are not."""

from __future__ import annotations

from collections import Counter

import pytest

from fixtures import Toolchain, build, start
from inspector.goruntime.goroutine import g
from inspector.goruntime.scalars import slice_header
from inspector.naming.frames import find_variable, parse_frame_name, prepare
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.targets import opened_for_frames

LEAKED, DEAD, DEAD_EXTRA = 10, 6, 11
SCANNED = 0x1000

RELEASES = [
    (Toolchain("1.25.5"), False),
    (Toolchain("1.26.6"), False),
    (Toolchain("1.26.6", "goroutineleakprofile"), True),
    (Toolchain("1.27.3"), True),
]
EACH = pytest.mark.parametrize(("toolchain", "leaked"), [pytest.param(*each, id=each[0].name) for each in RELEASES])


def states(target: Target) -> dict[int, int]:
    """The state of each goroutine in runtime.allgs, by its number."""
    read, declared = target.memory.read, g(target.program.release)
    symbol = target.program.image.symbol("runtime.allgs")
    everyone = slice_header.parse(read(symbol.address, slice_header.sizeof()))
    pointers = [int.from_bytes(read(everyone.data + 8 * at, 8), "little") for at in range(everyone.len)]
    rows = [declared.parse(read(pointer, declared.sizeof())) for pointer in pointers]
    return {row.goid or -at: row.atomicstatus & ~SCANNED for at, row in enumerate(rows)}


@EACH
def test_a_variable_of_a_leaked_goroutine_is_found(toolchain, leaked):
    with start(build("leaking", toolchain)) as running, opened_for_frames(running.pid) as target:
        told = running.truth
        assert (told["profiled"], "(leaked)" in told["stacks"]) == (leaked, leaked)
        assert (states(target)[told["goroutine"]] == LEAKED) == leaked
        run = Run(target, None)
        name = prepare(run, parse_frame_name("main.leak:mark"))
        with run.held():
            found = find_variable(run, name)
    assert (found.goroutine, found.state) == (told["goroutine"], "leaked" if leaked else "waiting")
    assert (found.type, found.value) == ("main.note *", int(told["mark"], 16))


@pytest.mark.parametrize(("version", "state"), [("1.25.5", DEAD), ("1.26.6", DEAD_EXTRA), ("1.27.3", DEAD_EXTRA)])
def test_a_goroutine_held_ready_for_threads_of_c_is_passed_over(version, state):
    program = build("leaking", Toolchain(version), env={"CGO_ENABLED": "1"})
    with start(program) as running, opened_for_frames(running.pid) as target:
        counted = Counter(states(target).values())
        assert counted[state] >= 1
        assert (counted[DEAD_EXTRA] > 0) == (state == DEAD_EXTRA)
        run = Run(target, None)
        name = prepare(run, parse_frame_name("main.leak:mark"))
        with run.held():
            found = find_variable(run, name)
    assert found.value == int(running.truth["mark"], 16)
