"""What is foretold of Swiss maps, held against what the process then does: growths, inserts, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from fixtures import SWISS_RELEASES, Running, build, start
from inspector.inspection.one_key import KeyAnswer, look_up
from inspector.inspection.one_map import inspect
from inspector.maps.family import Account
from inspector.target.opening import open_target
from tests.support.toolchains import EVERY_SWISS, NEWEST_SWISS

PROGRAM = "foretold"
KINDS = ("int64", "string", "struct", "wide")
HINTS = (0, 8, 9, 14, 15, 100, 448, 449, 896, 897, 1793, 1795, 3000, 20_000)

NEWEST = SWISS_RELEASES[-1]


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Running]:
    with start(build(PROGRAM, getattr(request, "param", NEWEST))) as running:
        yield running


def account_of(program: Running, told: dict[str, str]) -> Account:
    with open_target(str(program.pid), memory="direct") as target:
        inspection = inspect(target, told["address"], told["type"], entries=0)
    assert inspection.judgement.verdict == "consistent"
    return inspection.account


def foretell_growth(program: Running, kind: str, size: int) -> tuple[str, bool, float]:
    """Put a map into a random state, foretell its next growth, bring it about.

    Returns its kind, whether that was foretold, and the inserts that it took as a share of those expected.
    """
    told = program.ask(f"play {kind} {size}")
    coming = account_of(program, told).growth_form["next"]
    came = program.ask(f"grow {kind}")
    assert came["inserts"] >= coming["inserts"]["min"], (told, coming, came)
    assert came["directory_doubles"] <= (came["kind"] == "split")
    if coming["inserts"]["min"] == coming["inserts"]["expected"]:
        # One table without tombstones, or a small map: nothing is left to chance.
        assert came["inserts"] == coming["inserts"]["min"], (told, coming, came)
        assert came["kind"] == coming["kind"], (told, coming, came)
    return came["kind"], came["kind"] == coming["kind"], came["inserts"] / coming["inserts"]["expected"]


def foretold_growths(program: Running, rounds: int, right_share: float) -> Counter[str]:
    """Growths of so many states of each kind and several sizes; how many inserts they take is right on average."""
    kinds: Counter[str] = Counter()
    shares, right = [], []
    for kind in KINDS:
        for size in (8, 60, 900, 3000) * rounds:
            came, foretold, share = foretell_growth(program, kind, size)
            kinds[came] += 1
            shares.append(share)
            right.append(foretold)
    mean = sum(shares) / len(shares)
    assert 0.8 < mean < 1.25, (mean, sorted(shares))
    # Which of several tables grows first is chance, and whether tombstones that are there now are there then.
    assert sum(right) > right_share * len(right), (sum(right), len(right))
    return kinds


def test_growths_come_as_foretold_in_random_states(program: Running) -> None:
    kinds = foretold_growths(program, rounds=2, right_share=0.65)
    assert {"to-table", "double"} <= set(kinds), kinds


@pytest.mark.parametrize("program", NEWEST_SWISS, indirect=True)
def test_growths_come_as_foretold_in_hundreds_of_random_states(program: Running) -> None:
    kinds = foretold_growths(program, rounds=25, right_share=0.85)
    assert {"to-small", "to-table", "double", "split"} <= set(kinds), kinds


@pytest.mark.parametrize("program", EVERY_SWISS, indirect=True)
def test_a_map_without_tombstones_that_one_table_holds_is_foretold_to_the_insert(program: Running) -> None:
    # Without entries nothing was deleted.
    told = program.ask("play int64 0")
    for _ in range(9):
        coming = account_of(program, told).growth_form["next"]
        came = program.ask("grow int64")
        assert coming["inserts"] == {"min": came["inserts"], "expected": came["inserts"]}
        assert (coming["kind"], coming["directory_doubles"]) == (came["kind"], came["directory_doubles"])
    assert came["kind"] == "split"


# Bytes


@pytest.mark.parametrize("program", EVERY_SWISS, indirect=True)
def test_a_map_holds_the_bytes_that_make_has_allocated(program: Running) -> None:
    for hint in HINTS:
        made = program.ask(f"make {hint}")
        held = account_of(program, made | {"type": "map[string]int"}).bytes
        assert held.total == made["bytes"], hint


@pytest.mark.parametrize("program", EVERY_SWISS, indirect=True)
def test_a_map_that_is_rebuilt_holds_the_bytes_that_were_foretold(program: Running) -> None:
    for kind, size in [
        ("int64", 8),
        ("string", 60),
        ("int64", 900),
        ("struct", 3000),
        ("wide", 9000),
        ("int64", 30_000),
    ]:
        told = program.ask(f"play {kind} {size}")
        foretold = account_of(program, told).bytes.if_rebuilt
        copied = program.ask(f"rebuild {kind} 200")["bytes"]
        # The runtime's own allocations are in the difference, and which tables grow is chance.
        assert abs(copied - foretold) <= 0.02 * foretold + 64, (told, foretold, copied)


# One key


def ask_key(program: Running, told: dict[str, str], key: str) -> KeyAnswer:
    with open_target(str(program.pid), memory="direct") as target:
        return look_up(target, told["address"], key, told["type"])


def expected_words(said: dict[str, object], answer: KeyAnswer) -> str:
    """What should have been said of an insertion, by what the program saw of it."""
    before = answer.lookup.inserting
    grown = {"to-small": "makes the first group", "to-table": "makes a table of 16 slots", "double": "doubles table",
             "split": "splits table", "prune": "prunes tombstones or"}  # fmt: skip
    if said["kind"]:
        return grown[str(said["kind"])]
    if not answer.lookup.steps:
        return before
    table = f"table {said['table']}, " if "table" in said else ""
    return f"Inserting it takes slot {said['slot']} of {table}group {said['group']}"


def insert_as_foretold(program: Running, kind: str, size: int, keys: int) -> Counter[str]:
    """Ask for absent keys, then let the program insert them."""
    met: Counter[str] = Counter()
    told = program.ask(f"play {kind} {size}")
    for _ in range(keys):
        literal = program.ask(f"next {kind}")["key"]
        answer = ask_key(program, told, literal)
        assert answer.lookup.found is None
        said = program.ask(f"insert {kind}")
        assert expected_words(said, answer) in answer.lookup.inserting, (told, literal, said, answer.lookup)
        met[said["kind"] or ("tombstone" if "tombstone" in answer.lookup.inserting else "slot")] += 1
        assert ask_key(program, told, literal).lookup.found == said["slot"]
    return met


@pytest.mark.slow
def test_an_absent_key_goes_where_it_was_foretold(program: Running) -> None:
    once = partial(insert_as_foretold, program)
    met = once("int64", 0, 16) + once("string", 60, 12) + once("struct", 900, 6) + once("wide", 3000, 6)
    assert {"slot", "to-table"} <= set(met), met


@pytest.mark.parametrize("program", NEWEST_SWISS, indirect=True)
def test_hundreds_of_absent_keys_go_where_they_were_foretold(program: Running) -> None:
    met: Counter[str] = Counter()
    for _ in range(2):
        for kind in KINDS:
            for size in (8, 20, 60, 1000):
                met += insert_as_foretold(program, kind, size, 12)
    assert {"slot", "tombstone", "to-table", "double"} <= set(met), met
