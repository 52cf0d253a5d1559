"""What is foretold of Swiss maps, held against what the process then does: growths, inserts, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest

from fixtures import SWISS_RELEASES, Running, build, start
from inspector.goruntime.releases import Release
from inspector.inspection.one_key import KeyAnswer, look_up
from inspector.inspection.one_map import inspect
from inspector.maps.family import Account
from inspector.maps.swiss.snapshot import take_snapshot
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import unforeseen
from tests.support.toolchains import EVERY_SWISS, NEWEST_SWISS

PROGRAM = "foretold"
KINDS = ("int64", "string", "struct", "wide")
HINTS = (0, 8, 9, 14, 15, 100, 448, 449, 896, 897, 1793, 1795, 3000, 20_000)

NEWEST = SWISS_RELEASES[-1]

MOST_TIMES = 8
"""Where a mean is not near enough, or a kind is missing, so many times as many states are met: all of them count."""

JUDGED_EVERY = 5
"""Of the states that are foretold one in so many is judged, too."""


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Running]:
    with start(build(PROGRAM, getattr(request, "param", NEWEST))) as running:
        yield running


def account_of(program: Running, told: dict[str, str]) -> Account:
    with open_target(str(program.pid), memory="direct") as target:
        inspection = inspect(target, told["address"], told["type"], entries=0, max_stop=None)
    assert inspection.judgement.verdict == "consistent"
    return inspection.account


def foretell_growth(program: Running, kind: str, size: int) -> tuple[str, bool, float]:
    """Put a map into a random state, foretell its next growth, bring it about.

    Returns its kind, whether that was foretold, and the inserts that it took as a share of those expected.
    """
    told = program.ask(f"play {kind} {size}")
    account = account_of(program, told)
    coming = account.growth_form["next"]
    came = program.ask(f"grow {kind}")
    assert came["inserts"] >= coming["inserts"]["min"], (told, coming, came)
    assert came["directory_doubles"] <= (came["kind"] == "split")
    # Which tombstones new keys will take is chance, even where as many are expected as there have to be.
    if coming["inserts"]["min"] == coming["inserts"]["expected"] and not account.occupancy_form["tombstones"]:
        # One table without tombstones, or a small map: nothing is left to chance.
        assert came["inserts"] == coming["inserts"]["min"], (told, coming, came)
        assert came["kind"] == coming["kind"], (told, coming, came)
    return came["kind"], came["kind"] == coming["kind"], came["inserts"] / coming["inserts"]["expected"]


def check_foretold_growths(program: Running, rounds: int, right_share: float, wanted: set[str]) -> None:
    """Growths of so many states of each kind and several sizes, and of more where these few leave it open.

    How many inserts they take is right on average. Which of several tables grows first is chance, and whether
    tombstones that are there now are there then: most kinds of growth are right.
    """
    kinds: Counter[str] = Counter()
    shares, right = [], []
    for _ in range(MOST_TIMES):
        for kind in KINDS:
            for size in (8, 60, 900, 3000) * rounds:
                came, foretold, share = foretell_growth(program, kind, size)
                kinds[came] += 1
                shares.append(share)
                right.append(foretold)
        mean = sum(shares) / len(shares)
        if 0.8 < mean < 1.25 and sum(right) > right_share * len(right) and wanted <= set(kinds):
            return
    raise AssertionError((mean, sorted(shares), sum(right), len(right), kinds))


def test_growths_come_as_foretold_in_random_states(program: Running) -> None:
    check_foretold_growths(program, 2, 0.65, {"to-table", "double"})


@pytest.mark.parametrize("program", NEWEST_SWISS, indirect=True)
def test_growths_come_as_foretold_in_hundreds_of_random_states(program: Running) -> None:
    check_foretold_growths(program, 25, 0.85, {"to-small", "to-table", "double", "split"})


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


# Every state of every kind


@dataclass
class Witness:
    """A program that does what was foretold, the target that it is, and what was met.

    `shares` are the inserts that growths took, as shares of what was expected of random keys. `kinds` are tuples of
    kinds of growth: the one that came, and the one that was foretold in a random state before.
    """

    program: Running
    target: Target
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubled: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    certain: Counter[str] = field(default_factory=Counter)
    shares: list[float] = field(default_factory=list)
    looks: int = 0
    rebuilt: Counter[str] = field(default_factory=Counter)

    def right(self, share: float) -> bool:
        """Whether so many kinds were right, and inserts and bytes were, on average."""
        right = sum(count for (came, foretold), count in self.kinds.items() if came == foretold)
        mean = sum(self.shares) / len(self.shares)
        bytes_are = abs(self.rebuilt["bytes"] - self.rebuilt["bytes foretold"]) < 0.05 * self.rebuilt["bytes foretold"]
        return right >= share * self.kinds.total() and 0.8 < mean < 1.25 and bytes_are

    def account(self, told: dict[str, str]) -> Account:
        """What is foretold of a map now. It is not held: the program waits for a command."""
        go_type = self.target.program.types.find_map_type(told["type"])
        snapshot = take_snapshot(Run(self.target, None).source(), int(told["address"], 16), go_type, 0)
        self.looks += 1
        if self.looks % JUDGED_EVERY == 0:
            assert snapshot.judge().verdict == "consistent"
        return snapshot.account()

    def number(self, kind: str) -> int:
        """How many growths of a kind have come."""
        return sum(count for (came, _), count in self.kinds.items() if came == kind)

    def grow(self, told: dict[str, str], kind: str) -> None:
        """Foretell the next growth of a state, then at its brink the insert that starts it; bring it about."""
        earlier = self.account(told)
        brink = self.program.ask(f"brink {kind}")
        account = self.account(told) if brink["inserts"] else earlier
        answer = look_up(self.target, told["address"], brink["key"], told["type"])
        came = self.program.ask(f"insert {kind}")
        what = told, earlier.growth_form, brink, account.growth_form, came, answer.lookup.inserting
        # The key that starts it: whatever the tables are, its kind is known.
        expected = expected_words(came, answer)
        if came["kind"] == "split":
            assert answer.lookup.inserting.endswith(" and doubles the directory.") == came["directory_doubles"], what
            expected = expected if "prunes" not in answer.lookup.inserting else "prunes tombstones or splits table"
        elif came["kind"] == "double" and "prunes" in answer.lookup.inserting:
            expected = "prunes tombstones or doubles table"
        assert expected in answer.lookup.inserting, what
        # The map at the brink: a table has no room.
        coming, most = account.growth_form["next"], account.growth_form["most_for_one_insert"]
        assert coming["inserts"]["min"] == 1, what
        if account.occupancy_form["tables"] <= 1:
            assert (coming["kind"], coming["directory_doubles"]) == (came["kind"], came["directory_doubles"]), what
            self.certain[came["kind"]] += 1
        assert came["bytes"] <= most["bytes"], what
        if came["kind"] != "to-small":
            assert came["moved"] <= most["entries_moved"], what
            assert came["made"] <= most["tables"], what
        if account.occupancy_form["tables"] <= 1 and came["kind"] != "prune":
            assert came["bytes"] == most["bytes"], what
        # The state that it came from.
        sooner = earlier.growth_form["next"]
        assert sooner["inserts"]["min"] <= brink["inserts"] + 1, what
        if sooner["inserts"]["min"] == sooner["inserts"]["expected"] and not earlier.occupancy_form["tombstones"]:
            assert (sooner["kind"], sooner["inserts"]["min"]) == (came["kind"], brink["inserts"] + 1), what
        self.kinds[came["kind"], sooner["kind"]] += 1
        if came["kind"] == "split":
            self.doubled[came["directory_doubles"], sooner["directory_doubles"]] += 1
        self.shares.append((brink["inserts"] + 1) / sooner["inserts"]["expected"])

    def remake(self, told: dict[str, str], kind: str) -> None:
        """Foretell the bytes of a map made anew, then make it: they are right where no table had to grow meanwhile."""
        foretold = self.account(told).bytes.if_rebuilt
        made = self.program.ask(f"remake {kind}")
        account = self.account(told | made)
        if made["at_once"] or not account.occupancy_form["tables"]:
            assert made["bytes"] == account.bytes.total, (told, made, account.bytes)
        if account.occupancy_form["tables"] <= 1:
            assert account.bytes.total == foretold, (told, made, account.bytes)
        self.rebuilt["exactly" if account.bytes.total == foretold else "else"] += 1
        self.rebuilt["bytes foretold"] += foretold
        self.rebuilt["bytes"] += account.bytes.total


@pytest.mark.parametrize("program", EVERY_SWISS, indirect=True)
def test_a_write_to_a_present_key_makes_a_table_of_a_full_group_where_that_is_foretold(program: Running) -> None:
    converts = Release.parse(program.truth["go"]).update_converts_full_group
    for kind in KINDS:
        for size in (7, 8):
            told = program.ask(f"play {kind} 0")
            for _ in range(size):
                program.ask(f"next {kind}")
                program.ask(f"insert {kind}")
            lines = [line for passage in account_of(program, told).passages for line in passage.lines]
            foretold = "A write to a key that is present starts it, too (until Go 1.26)." in lines
            assert foretold == (size == 8 and converts)
            assert program.ask(f"touch {kind}")["kind"] == ("to-table" if foretold else "")


STATES: dict[str, tuple[str, tuple[int, ...]]] = {
    "to-small": ("play", (0,)),
    "to-table": ("play", (4, 8)),
    "double": ("play", (12, 60, 300, 800)),
    "split": ("play", (900, 2000, 3000)),
    "prune": ("churn", (20, 20, 40, 100, 440, 1500)),
}
"""Which states lead to growths of a kind, most often: a command of the program, and numbers of entries."""


def growths_of_each_kind(witness: Witness, states: int, chance: Random, pruning: bool) -> None:
    """Bring about so many growths of each kind, each from another state, and make a quarter of all states anew."""
    for wanted, (command, sizes) in STATES.items():
        while witness.number(wanted) < states and (wanted != "prune" or pruning):
            # Of the structs' map no tombstone is ever pruned.
            kind = chance.choice([kind for kind in KINDS if wanted != "prune" or kind != "struct"])
            told = witness.program.ask(f"{command} {kind} {chance.choice(sizes)}")
            if chance.random() < 0.25:
                witness.remake(told, kind)
            else:
                witness.grow(told, kind)


def check_growths_of_each_kind(program: Running, states: int, right_share: float) -> None:
    with open_target(str(program.pid), memory="direct") as target:
        witness, chance = Witness(program, target), unforeseen()
        pruning = target.program.release.prunes_tombstones
        for times in range(1, 1 + MOST_TIMES):
            growths_of_each_kind(witness, times * states, chance, pruning)
            if witness.right(right_share):
                break
    print({f"{came}, foretold {foretold}": count for (came, foretold), count in sorted(witness.kinds.items())})
    print(f"splits by (doubled, foretold): {dict(witness.doubled)}; certain: {dict(witness.certain)}")
    print(f"made anew: {dict(witness.rebuilt)}; inserts: {sum(witness.shares) / len(witness.shares):.3f} of expected")
    assert witness.right(right_share)


@pytest.mark.slow
def test_growths_of_each_kind_come_as_foretold_by_map_and_by_key(program: Running) -> None:
    check_growths_of_each_kind(program, 3, 0.7)


@pytest.mark.matrix
@pytest.mark.parametrize("program", SWISS_RELEASES, ids=lambda toolchain: toolchain.name, indirect=True)
def test_1000_growths_of_each_kind_come_as_foretold_by_map_and_by_key(program: Running) -> None:
    check_growths_of_each_kind(program, 1000, 0.8)


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
        copies: list[float] = []
        # The runtime's own allocations are in the difference, and which tables grow is chance: the mean comes near.
        while abs(sum(copies) / max(len(copies), 1) - foretold) > 0.02 * foretold + 64:
            assert len(copies) < MOST_TIMES, (told, foretold, copies)
            copies.append(program.ask(f"rebuild {kind} 200")["bytes"])


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
    for number in range(MOST_TIMES):
        for kind in KINDS:
            for size in (8, 20, 60, 1000):
                met += insert_as_foretold(program, kind, size, 12)
        if number and {"slot", "tombstone", "to-table", "double"} <= set(met):
            return
    raise AssertionError(met)
