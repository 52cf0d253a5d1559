"""What is said of maps that a process writes at full speed while it is not stopped.

Run it with `python -m benchmarks.nostop [N] [--seed S] [--seconds T]`. Go programs of both families insert, delete,
overwrite, grow, replace and iterate all the time. N times for each family one of their maps is inspected with
`--no-stop`, by its name, its name and type, or its address; one time in CENSUS all maps are. Nothing is wrong with any
of them, so the verdict "inconsistent" is false. Printed are the seed, how often each verdict was given, and every
false one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from fixtures import CLASSIC, SWISS_RELEASES, Running, Toolchain, Truth, build, start
from inspector.census import take_census
from inspector.errors import InspectError
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.target import Target

CENSUS = 25
"""Of so many inspections one is a census."""

PROGRAMS = {"classic": ("churn", "blinking"), "swiss": ("churn", "blinking", "swissrandom")}
TOOLCHAINS = {"classic": CLASSIC, "swiss": SWISS_RELEASES}
KEPT = {
    "churn": ("doubling", "churning", "pairs", "anything", "ranged"),
    "blinking": ("small", "medium", "large", "nested", "counting", "resting"),
    "swissrandom": (),
}
"""Maps of each program that stay where they are."""

LONGEST_WAIT = 0.003


@dataclass
class Seen:
    """What was said: `verdicts` by name, of a census those of its maps; `false` in a line each."""

    inspections: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    census: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)

    def add(self, verdict: str, counted: Counter[str], what: str) -> None:
        """Count a verdict."""
        counted[verdict] += 1
        if verdict == "inconsistent":
            self.false.append(what)


@dataclass(frozen=True)
class Subject:
    """A program that writes, and how it is read."""

    program: str
    running: Running
    target: Target

    def ways(self, told: Truth) -> list[tuple[str, str | None]]:
        """How one of its maps can be named: a text, and a type if one is given."""
        name = told.get("variable", f"main.{told['name']}")
        ways = [(name, None), (name, told["type"])]
        if told["name"] in KEPT[self.program]:
            # Others are replaced all the time: soon something else is at their address.
            ways += [(told["address"], None), (told["address"], told["type"])]
        return ways


@contextmanager
def writing(program: str, toolchain: Toolchain, dice: random.Random, stop: bool) -> Iterator[Subject]:
    """Start a program for the length of the block and let it write; `stop` says how it will be read."""
    command = f"write {dice.randrange(1 << 30)}" if program == "swissrandom" else "write"
    with start(build(program, toolchain)) as running, open_target(str(running.pid), stop=stop) as target:
        assert running.ask(command) == {"writing": True}
        yield Subject(program, running, target)


def look(subject: Subject, dice: random.Random, seen: Seen) -> None:
    """One inspection."""
    seen.inspections += 1
    if dice.randrange(CENSUS) == 0:
        for one in take_census(subject.target).maps:
            seen.add(one.verdict, seen.census, f"census: {one.name or hex(one.address)} {one.type}: {one.findings}")
        return
    text, go_type = dice.choice(subject.ways(dice.choice(subject.running.truth["maps"])))
    try:
        judgement = inspect(subject.target, text, go_type, entries=dice.choice([0, 20])).judgement
    except InspectError as error:
        # The program has replaced the map at that address, or it cannot be told what an empty one is.
        seen.errors[type(error).__name__] += 1
        return
    seen.add(judgement.verdict, seen.verdicts, f"{text} {go_type}: {judgement.findings}")


def measure(
    family: str, toolchain: Toolchain, times: int, dice: random.Random, until: float, stop: bool = False
) -> Seen:
    """Inspect the programs of one toolchain so many times, or until that moment of time.monotonic()."""
    seen = Seen()
    with ExitStack() as stack:
        subjects = [stack.enter_context(writing(program, toolchain, dice, stop)) for program in PROGRAMS[family]]
        while seen.inspections < times and time.monotonic() < until:
            time.sleep(dice.random() * LONGEST_WAIT)
            look(dice.choice(subjects), dice, seen)
    return seen


def main() -> int:
    """Measure both families, an equal share with each toolchain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=2000, help="inspections for each family")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all of it")
    parser.add_argument("--family", choices=[*TOOLCHAINS], action="append")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    dice, until, false = random.Random(given.seed), time.monotonic() + given.seconds, 0
    for family in given.family or TOOLCHAINS:
        total = Seen()
        toolchains = TOOLCHAINS[family]
        for number, toolchain in enumerate(toolchains):
            times = (given.times + number) // len(toolchains)
            seen = measure(family, toolchain, times, dice, until)
            total.inspections += seen.inspections
            for counted, more in (
                (total.verdicts, seen.verdicts),
                (total.census, seen.census),
                (total.errors, seen.errors),
            ):
                counted.update(more)
            for line in seen.false:
                print(f"FALSE, {toolchain.name}: {line}")
            false += len(seen.false)
        print(f"{family}: {total.inspections} inspections: {dict(total.verdicts)}; refused: {dict(total.errors)}")
        print(f"  maps in a census: {dict(total.census)}")
    print(f"{false} false")
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
