"""Maps of a process are copied to where they stay; what comes of it is what every other memory gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixtures import USUAL
from inspector.maps.families import family_of
from inspector.memory.counting import CountingMemory
from inspector.memory.protocol import Filling
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.truth import NOT_IN_EXECUTABLE


def both_copies(target, address, go_type):
    """A map copied to where it stays, and copied from memory that gives its bytes elsewhere."""
    run = Run(target, None)
    with run.held():
        source = run.source()
        assert isinstance(source.memory, Filling)
        elsewhere = replace(source, memory=CountingMemory(source.memory))
        assert not isinstance(elsewhere.memory, Filling)
        family = family_of(target.program.release)
        return [family.take_snapshot(each, address, go_type, 20) for each in (source, elsewhere)]


def usable(running):
    return [state for state in running.truth["maps"] if state["name"] not in NOT_IN_EXECUTABLE and state["header"]]


def test_classic_maps_of_every_state_are_the_same_whether_copied_once_or_twice(run):
    running, apart = run("states", USUAL), 0
    with open_target(str(running.pid), memory="direct") as target:
        for state in usable(running):
            go_type = target.program.types.find_map_type(state["type"])
            once, twice = both_copies(target, int(state["address"], 16), go_type)
            assert once.bytes_read == twice.bytes_read, state["name"]
            assert once.shows_the_same(twice), state["name"]
            for one, other in ((once.buckets, twice.buckets), (once.old, twice.old)):
                if one is None:
                    continue
                assert one.cells.tobytes() == other.cells.tobytes()
                for part in ("home", "depth", "next", "addresses"):
                    assert np.array_equal(getattr(one, part), getattr(other, part)), (state["name"], part)
                apart += len(one.cells) - one.size - one.tail
            assert once.judge().verdict == twice.judge().verdict == "consistent"
    assert apart > 0


def test_swiss_maps_of_every_state_are_the_same_whether_copied_once_or_twice(swiss):
    program, tables = swiss(), 0
    with open_target(str(program.pid), memory="direct") as target:
        for state in program.states.values():
            if state.header is None or state.descriptor is None:
                continue
            once, twice = both_copies(target, state.address, target.program.types.get(state.descriptor.address))
            assert once.bytes_read == twice.bytes_read, state.name
            assert once.shows_the_same(twice), state.name
            assert np.array_equal(once.groups.raw, twice.groups.raw), state.name
            tables += len(once.tables)
    assert tables > 0
