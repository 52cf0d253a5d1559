"""What was read of a core is let go of while there is more to read."""

from __future__ import annotations

import pytest

from inspector.inspection.one_map import inspect
from inspector.maps import windows
from inspector.memory.relief import AT_ONCE, portion_done, relieving


@pytest.mark.pure
def test_memory_is_let_go_of_every_so_many_portions_and_at_the_end():
    times = []
    with relieving(lambda: times.append(1)):
        for _ in range(2 * AT_ONCE + 1):
            portion_done()
        assert len(times) == 2
    assert len(times) == 3
    portion_done()
    assert len(times) == 3


@pytest.mark.pure
def test_a_core_that_is_let_go_of_all_the_time_gives_the_same_answer(demo, monkeypatch):
    before = inspect(demo.target, demo.variable, demo.type_name)
    relieved = []
    let_go = demo.target.program.memory.relieve
    monkeypatch.setattr("inspector.memory.relief.AT_ONCE", 1)
    monkeypatch.setattr(windows, "WINDOW", 4)
    monkeypatch.setattr(demo.target.program.memory, "relieve", lambda: relieved.append(let_go()))
    after = inspect(demo.target, demo.variable, demo.type_name)
    assert len(relieved) > 10
    assert (after.judgement, list(after.entries())) == (before.judgement, list(before.entries()))
