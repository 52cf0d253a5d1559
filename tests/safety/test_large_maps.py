"""Judging a large map takes little memory beside the map's own bytes: it is looked at window by window."""

from __future__ import annotations

import json

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
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
