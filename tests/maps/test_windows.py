"""Keys that are hashed and followed a few at a time are judged as all at once."""

from __future__ import annotations

import pickle

import pytest

from inspector.maps import windows
from inspector.maps.families import family_of
from inspector.target.opening import open_target
from inspector.target.run import Run
from tests.support.truth import NOT_IN_EXECUTABLE


def judged_in_windows_and_at_once(monkeypatch, target, address, go_type):
    """The judgement of a map and what it holds, worked out a few keys at a time and all at once."""
    run = Run(target, None)
    with run.held():
        snapshot = family_of(target.program.release).take_snapshot(run.source(), address, go_type, 0)
    copies = [pickle.loads(pickle.dumps(snapshot)) for _ in range(2)]
    with monkeypatch.context() as few_at_a_time:
        few_at_a_time.setattr(windows, "WINDOW", 3)
        in_windows = copies[0].judge(), copies[0].account().occupancy_form
    return in_windows, (copies[1].judge(), copies[1].account().occupancy_form)


@pytest.mark.slow
def test_classic_maps_are_judged_alike_in_windows_and_at_once(run, monkeypatch):
    running, proven = run("states"), 0
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            if state["name"] in NOT_IN_EXECUTABLE or not state["header"]:
                continue
            go_type = target.program.types.find_map_type(state["type"])
            one, other = judged_in_windows_and_at_once(monkeypatch, target, int(state["address"], 16), go_type)
            assert one == other, state["name"]
            proven += one[0].proof.matched
    assert proven > 0


@pytest.mark.slow
def test_swiss_maps_are_judged_alike_in_windows_and_at_once(swiss, monkeypatch):
    program, proven = swiss(), 0
    with open_target(str(program.pid), memory="direct") as target:
        for state in program.states.values():
            if state.header is None or state.descriptor is None:
                continue
            go_type = target.program.types.get(state.descriptor.address)
            one, other = judged_in_windows_and_at_once(monkeypatch, target, state.address, go_type)
            assert one == other, state.name
            proven += one[0].proof.matched
    assert proven > 0
