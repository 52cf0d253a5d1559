"""What is said of maps that a process writes at full speed, when it is stopped at any moment.

Run it with `python -m benchmarks.stops [N] [--seed S] [--seconds T]`. It does what benchmarks.nostop does, N times with
each toolchain, but stops the process for each copy. Then nothing may be inconsistent, and nothing moving: what is found
is consistent, or a write in progress. Printed are the seed, how often each verdict was given with each toolchain, and
every other one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from benchmarks.nostop import TOOLCHAINS, measure

RIGHT = {"consistent", "write-in-progress", "not-read"}
"""Verdicts that may be. Where the machine is busy a stop may be too short for a large map, which is said."""


def main() -> int:
    """Stop programs of every toolchain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=2000, help="stops for each toolchain")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all of it")
    parser.add_argument("--family", choices=[*TOOLCHAINS], action="append")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    dice, until, wrong = random.Random(given.seed), time.monotonic() + given.seconds, 0
    for family in given.family or TOOLCHAINS:
        for toolchain in TOOLCHAINS[family]:
            seen = measure(family, toolchain, given.times, dice, until, stop=True)
            others = {verdict for verdict in (*seen.verdicts, *seen.census) if verdict not in RIGHT}
            wrong += len(seen.false) + len(others)
            print(
                f"{family}, {toolchain.name}: {seen.inspections} inspections: {dict(seen.verdicts)}; "
                f"refused: {dict(seen.errors)}; maps in a census: {dict(seen.census)}",
                flush=True,
            )
            for line in seen.false:
                print(f"  WRONG: {line}", flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
