"""What the program takes of memory is limited, whatever lies in the target's; what did not fit is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL, Running, build, start
from inspector.copying.limit import LEAST
from tests.support.commandline import assert_free, cli_here
from tests.support.measuring import measured

KEYS = 200
MIB = 1 << 20
OWN = 100
"""MiB that the interpreter and its libraries have before anything is asked."""

NEWEST = SWISS_RELEASES[-1]


@pytest.fixture(scope="module", params=[USUAL, pytest.param(NEWEST, marks=pytest.mark.slow)])
def long(request) -> Iterator[Running]:
    """A program with 200 MiB of keys."""
    with start(build("longkeys", request.param), str(KEYS)) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("limit", [250, 600])
def test_a_census_takes_no_more_memory_than_it_may_and_lists_all_maps(long, limit):
    run = measured(long.pid, "--json", "--max-memory", f"{limit}m")
    assert run.memory < limit + OWN
    document = json.loads(run.out)
    row = next(one for one in document["census"]["maps"] if one["name"] == "main.long")
    # With less than it takes, a map may be listed as not checked.
    assert (row["verdict"], run.code) in (("consistent", 0), ("unreadable", 3), ("not-read", 3))
    assert_free(long.pid)


def test_a_map_of_which_not_all_keys_fit_into_memory_is_judged_by_those_that_do(long):
    run = measured(long.pid, "main.long", "--json", "--max-memory", "300m", "--max-stop", "10s")
    assert run.memory < 300 + OWN
    proof = json.loads(run.out)["hash_proof"]
    assert 0 < proof["matched"] == proof["checked"] < KEYS
    assert run.code == 0
    assert_free(long.pid)


def test_a_limit_too_low_for_any_answer_is_refused(long):
    run = cli_here(long.pid, "--max-memory", "1m")
    assert run.code == 2
    assert LEAST == 128 * MIB
    assert "allow 128m or more: --max-memory" in run.err
    assert "is not a size" in cli_here(long.pid, "--max-memory", "much").err
