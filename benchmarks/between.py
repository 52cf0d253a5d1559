"""What is said of a Swiss map between any two stores of a write to it.

Run it with `python -m benchmarks.between [N] [--seed S] [--go VERSION] [--kind KIND]`. gdb stops a process before and
after random stores of the runtime's functions for maps, N times for each kind of write, each kind of key and each
toolchain. Then it must be consistent, or a write in progress; the step that is named must be under way, must be named
where the last store left something half done, and must not where it left nothing. Printed are the seed, and for each
kind of write how many stops there were, after how many different stores, what was named, and every fault.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from fixtures import SWISS_RELEASES, Toolchain
from tests.support.swissstops import SCENES, Stop, staged, wrong_with

KINDS = ("int64", "string", "wide", "pair")
"""Kinds of the program `replay`: fast functions with and without pointers, keys stored apart, and the general ones."""


@dataclass
class Seen:
    """What the stops of one kind of write showed: its stores, by function and line, and how many steps were named."""

    stops: int = 0
    stores: set[tuple[str, str]] = field(default_factory=set)
    named: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)

    def add(self, stop: Stop) -> None:
        """Count a stop."""
        self.stops += 1
        self.verdicts[stop.verdict] += 1
        if stop.store is not None:
            self.stores.add(stop.label)
        if stop.writing:
            self.named[len(stop.steps)] += 1


def measure(toolchain: Toolchain, kinds: list[str], times: int, seed: int) -> tuple[dict[str, Seen], list[str]]:
    """Stop the program of one toolchain so many times for each kind of write and of key."""
    seen: dict[str, Seen] = defaultdict(Seen)
    wrong = []
    for kind in kinds:
        with staged(toolchain, kind, random.Random(f"{seed} {toolchain.name} {kind}")) as stage:
            for scene in SCENES:
                for stop in stage.play(scene, times):
                    seen[scene.name].add(stop)
                    if fault := wrong_with(stop):
                        wrong.append(f"{fault}: {stop}")
    return seen, wrong


def main() -> int:
    """Measure every toolchain, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=30, help="stops for each write, kind and toolchain")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--go", choices=[toolchain.version for toolchain in SWISS_RELEASES], action="append")
    parser.add_argument("--kind", action="append")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    faults = 0
    for toolchain in SWISS_RELEASES:
        if given.go and toolchain.version not in given.go:
            continue
        seen, wrong = measure(toolchain, given.kind or list(KINDS), given.times, given.seed)
        for name, one in seen.items():
            named = ", ".join(f"{count} with {steps} steps named" for steps, count in sorted(one.named.items()))
            stops = f"{one.stops} stops at {len(one.stores)} stores"
            print(f"{toolchain.name}, {name}: {stops}: {dict(one.verdicts)}; {named}")
        for line in wrong:
            print(f"  WRONG: {line}")
        faults += len(wrong)
        sys.stdout.flush()
    print(f"{faults} wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
