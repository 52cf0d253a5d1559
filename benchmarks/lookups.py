"""What is said of keys of maps that grow at full speed.

Run it with `python -m benchmarks.lookups [N] [--seed S] [--seconds T] [--family F]`. A Go program fills maps from
nothing to some thousand entries, again and again. One key is in each of them all the time, another never is. For each
family one of these keys is looked up N times without a stop, and N / 10 times with one. It is wrong to call a key
absent that stays, or one present that never comes. Printed are the seed, how often each answer was given, and every
wrong one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.nostop import TOOLCHAINS
from fixtures import Toolchain, build, start
from inspector.errors import InspectError
from inspector.inspection.one_key import look_up
from inspector.target.opening import open_target
from inspector.target.target import Target

KEYS = {"main.words": ("stays", "never"), "main.pages": ("7", "8"), "main.boxed": ('"stays"', '"never"'),
        "main.steady": ("stays", "never")}  # fmt: skip
"""By variable: a key that is always there, and one that never is."""

WITH_A_STOP = 10
"""Of so many lookups without a stop, one more is made with one."""

LONGEST_WAIT = 0.003
WORDS = {True: "present", False: "absent", None: "undecided"}


@dataclass
class Said:
    """What was said, by whether the process was stopped, whether the key is there, and the answer."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, more: Said) -> None:
        """Count what was said of another program, too."""
        self.answers.update(more.answers)
        self.wrong += more.wrong


def ask(target: Target, how: str, dice: random.Random, said: Said) -> None:
    """One lookup."""
    time.sleep(dice.random() * LONGEST_WAIT)
    name = dice.choice([*KEYS])
    there = dice.random() < 0.5
    key = KEYS[name][0 if there else 1]
    try:
        answer = look_up(target, name, key).present
    except InspectError as error:
        said.answers[f"{how}, {WORDS[there]}: {type(error).__name__}"] += 1
        return
    said.answers[f"{how}, {WORDS[there]}: {WORDS[answer]}"] += 1
    if answer is not None and answer != there:
        said.wrong.append(f"{how}, {name}: {key} is said to be {WORDS[answer]}")


def measure(toolchain: Toolchain, times: int, dice: random.Random, until: float = float("inf")) -> Said:
    """Look up so many keys in the program of one toolchain, or until that moment of time.monotonic()."""
    said = Said()
    with start(build("regrowing", toolchain)) as running:
        assert running.ask("write") == {"writing": True}
        with open_target(str(running.pid), stop=False) as moving, open_target(str(running.pid)) as held:
            for number in range(times):
                if time.monotonic() > until:
                    break
                ask(moving, "no stop", dice, said)
                if number % WITH_A_STOP == 0:
                    ask(held, "stopped", dice, said)
    return said


def main() -> int:
    """Measure both families, an equal share with each toolchain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=1000, help="lookups without a stop for each family")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all of it")
    parser.add_argument("--family", choices=[*TOOLCHAINS], action="append")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    dice, until, wrong = random.Random(given.seed), time.monotonic() + given.seconds, 0
    for family in given.family or TOOLCHAINS:
        total = Said()
        for number, toolchain in enumerate(TOOLCHAINS[family]):
            said = measure(toolchain, (given.times + number) // len(TOOLCHAINS[family]), dice, until)
            for line in said.wrong:
                print(f"WRONG, {toolchain.name}: {line}")
            total.add(said)
        print(f"{family}:")
        for words, count in sorted(total.answers.items()):
            print(f"  {words}: {count:,}")
        wrong += len(total.wrong)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
