"""The memory that the copy of a large map takes is there before the process is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, kernel_core, start
from inspector.copying.room import in_memory
from inspector.errors import InspectError
from inspector.inspection import ready
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target

ENTRIES = 200_000


@pytest.fixture
def asked(monkeypatch):
    """The bytes that are made ready, each with the process's state at that moment; `asked.pid` is to be set."""

    class Asked(list):
        pid = 0

        def __call__(self, size):
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0] if self.pid else ""
            self.append((size, state))
            return in_memory(size)

    recorder = Asked()
    monkeypatch.setattr(ready, "in_memory", recorder)
    return recorder


@pytest.mark.parametrize("kind", ["ints", "strs"])
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]])
def test_before_a_process_is_held_there_is_memory_for_a_large_map(toolchain, kind, asked):
    with start(build("sized", toolchain), kind, str(ENTRIES), str(ENTRIES)) as running:
        asked.pid = running.pid
        with open_target(str(running.pid), memory="direct") as target:
            inspection = inspect(target, f"main.{kind}", entries=None, max_stop=None)
    ((size, state),) = asked
    assert state in "RS"
    # Strings lie in whole pages, of which nobody knows before how many are read.
    assert size > inspection.snapshot.bytes_read * (0.9 if kind == "ints" else 0.6)
    assert inspection.judgement.proof.matched == ENTRIES


def test_a_small_map_takes_no_memory_that_would_have_to_be_made_ready(asked):
    exe = build("sized", USUAL)
    with start(exe, "ints", "1000", "1000") as running, open_target(str(running.pid), memory="direct") as target:
        assert inspect(target, "main.ints").judgement.proof.matched == 1000
    assert not asked


def test_nothing_is_made_ready_for_a_core_which_nobody_waits_for(asked, tmp_path):
    core = kernel_core(build("sized", USUAL), "ints", str(ENTRIES), str(ENTRIES), directory=tmp_path)
    with open_target(str(core.path), memory="direct") as target:
        assert inspect(target, "main.ints").judgement.proof.matched == ENTRIES
    assert not asked


def test_memory_is_made_ready_for_a_bare_address_too_and_none_for_one_that_is_no_map(asked):
    with start(build("sized", USUAL), "ints", str(ENTRIES), str(ENTRIES)) as running:
        asked.pid = running.pid
        with open_target(str(running.pid), memory="direct") as target:
            found = inspect(target, "main.ints")
            assert inspect(target, str(found.ref.address)).judgement.proof.matched == ENTRIES
            assert len(asked) == 2
            assert asked[0][0] == asked[1][0]
            with pytest.raises(InspectError):
                inspect(target, str(found.ref.address + 8))
            assert len(asked) == 2
