"""Judging a large map takes little memory beside the map's own bytes: it is looked at window by window."""

from __future__ import annotations

import json

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, kernel_core, start
from tests.support.commandline import assert_free
from tests.support.measuring import measured

ENTRIES = 2_000_000
MIB = 1 << 20
BESIDE_THE_MAP = 120
"""MiB, half of which are the interpreter and its libraries. Hashes, places and masks of all keys took more."""


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]])
def test_a_large_map_is_judged_in_little_more_memory_than_it_takes_itself(toolchain):
    with start(build("sized", toolchain), "ints", str(ENTRIES), str(ENTRIES)) as running:
        run = measured(running.pid, "main.ints", "--json", "--entries", 0, "--max-stop", "10s", "--memory", "direct")
        assert run.code == 0
        document = json.loads(run.out)
        assert document["verdict"] == "consistent"
        assert document["hash_proof"]["matched"] == ENTRIES
        assert run.memory < document["occupancy"]["bytes"]["total"] / MIB + BESIDE_THE_MAP
        assert_free(running.pid)


ENTRIES_OF_A_CORE = 4_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toolchain", "room", "beside"),
    [
        pytest.param(USUAL, ENTRIES_OF_A_CORE, 0, id="one-array"),
        # The groups of many tables are copied.
        pytest.param(SWISS_RELEASES[-1], 0, 180, id="many-tables"),
    ],
)
def test_what_was_looked_at_of_a_core_no_longer_counts_as_memory(toolchain, room, beside, tmp_path):
    core = kernel_core(build("sized", toolchain), "ints", str(ENTRIES_OF_A_CORE), str(room), directory=tmp_path)
    run = measured(core.path, "main.ints", "--json", "--entries", 0, "--memory", "direct")
    assert run.code == 0
    document = json.loads(run.out)
    assert document["hash_proof"]["matched"] == ENTRIES_OF_A_CORE
    assert run.memory < document["occupancy"]["bytes"]["total"] / MIB + beside
    core.path.unlink()
