"""Damages real cores and executables at random, and looks at what becomes of who inspects them.

Run it with `python -m benchmarks.fuzz [N] [--seed S] [--family F] [--only KIND ...]`. N times some bytes of one kind (a
map's header, a type descriptor, a note, ...) are overwritten, and the image is inspected in a process of its own. An
answer or an error of ours is as it should be. Anything else is a failure: another exception, more than 10 seconds of
the processor, more than 300 MiB above the image, or "consistent" where the damaged byte has only one sound value.
Printed are the seed, how often each kind ended in which way, and how to repeat what failed: with the same seed and
`--case K`, which prints the damage and the whole traceback.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz.campaign import KINDS, Campaign, Case
from benchmarks.fuzz.images import FAMILIES, workshop

MOST_NAMED = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Damage, inspect and print; returns 1 if something failed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--family", choices=(*FAMILIES, "both"), default="both")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--first", type=int, default=0, help="begin with this case")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so many seconds")
    parser.add_argument("--case", type=int, default=None, help="repeat one case in this process")
    parser.add_argument("--keep", type=Path, default=None, help="with --case: copy the damaged files to this folder")
    given = parser.parse_args(arguments)
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    families = FAMILIES if given.family == "both" else (given.family,)
    print(f"seed {seed}", flush=True)
    with workshop() as folder:
        campaign = Campaign(seed, families, given.only, folder)
        if given.case is not None:
            return int(campaign.repeat(given.case, given.keep))
        began = time.monotonic()
        cases = []
        for number in range(given.first, given.first + given.number):
            if time.monotonic() - began > given.seconds:
                break
            case = campaign.run(number)
            cases.append(case)
            if case.outcome.failed:
                print(f"  FAILED: {case}", flush=True)
        print(table(cases))
        took = time.monotonic() - began
        print(f"{len(cases):,} images in {took:.0f} s, {took / max(1, len(cases)) * 1000:.0f} ms each; seed {seed}")
        _print_failures(cases, given, seed)
    return int(any(case.outcome.failed for case in cases))


def table(cases: list[Case]) -> str:
    """How often each kind ended in which way, and the longest and largest of each."""
    lines = [f"{'':16}{'images':>8}{'verdict':>9}{'error':>7}{'failed':>8}{'longest':>10}{'memory':>10}"]
    for kind in (*sorted({case.kind for case in cases}), "all"):
        some = [case.outcome for case in cases if kind in (case.kind, "all")]
        sorts = Counter(outcome.sort for outcome in some)
        failed = sum(outcome.failed for outcome in some)
        longest = max((outcome.seconds for outcome in some), default=0.0)
        memory = max((outcome.memory for outcome in some), default=0) >> 20
        lines.append(
            f"{kind:16}{len(some):8,}{sorts['verdict']:9,}{sorts['error']:7,}{failed:8,}{longest:8.1f} s{memory:6} MiB"
        )
    return "\n".join(lines)


def _print_failures(cases: list[Case], given: argparse.Namespace, seed: int) -> None:
    outcomes = Counter(f"{c.outcome.sort} {c.outcome.what}" for c in cases)
    print("\nendings:")
    for what, count in outcomes.most_common(MOST_NAMED):
        print(f"{count:8,}  {what}")
    unchecked = Counter(each for case in cases for each in case.outcome.unchecked)
    if unchecked:
        print("\nrules that could not be judged:")
        for what, count in unchecked.most_common(MOST_NAMED):
            print(f"{count:8,}  {what}")
    failed = [case for case in cases if case.outcome.failed]
    if failed:
        only = "" if given.only == list(KINDS) else f" --only {' '.join(given.only)}"
        print(f"\n{len(failed)} failed. Repeat one with")
        print(f"  python -m benchmarks.fuzz --seed {seed} --family {given.family}{only} --case {failed[0].number}")


if __name__ == "__main__":
    sys.exit(main())
