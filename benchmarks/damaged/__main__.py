"""Single bytes of maps changed in images of whole processes: does the census see what the single view sees?

Run it with `python -m benchmarks.damaged [N] [--seed S]`. N bytes are changed, one at a time, in cores of a program
with classic and of one with Swiss maps, each with its symbols and stripped; the byte is laid over an opened core, and
nothing is written. The single view is that of the map's address with its right type. Where it sees the change, a
census of the whole image is taken. Printed is, for each image, for each part of a map and for maps of each size, how
often the census says so too: the map is listed as inconsistent (exit code 1), it is a candidate with evidence (exit
code 3), it is a candidate that is only counted, or nothing is said. The exit code is 1 if less than 95 % are told.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from benchmarks.damaged.images import FAMILIES, FLAGS, opened
from benchmarks.damaged.trying import Dice, Outcome, try_out

LEAST = 0.95
FEW = 3
SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Change, look and print; returns 1 if the census tells too little."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.damaged", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", type=int, nargs="?", default=400)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so many seconds")
    given = parser.parse_args(arguments)
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcomes = outcomes_of(given.number, random.Random(seed), given.seconds)
    seen = [one for one in outcomes if one.seen]
    print(f"{len(outcomes):,} changes, of which the single view sees {len(seen):,}; of these the census says")
    print(f"{'':32}{'changes':>8}{'listed':>8}{'evidence':>10}{'counted':>9}{'nothing':>9}{'told':>8}")
    kinds: list[Callable[[Outcome], str]] = [
        lambda one: one.change.image.name,
        lambda one: f"{one.change.part} ({one.change.image.name.partition(',')[0]})",
        lambda one: f"maps with fewer than {FEW} entries" if one.change.map.count < FEW else "maps with more",
        lambda _: "all",
    ]
    for kind in kinds:
        print()
        _print_by(seen, kind)
    lost = [one for one in seen if not one.told]
    for one in lost[:SHOWN]:
        print(f"  {one.said}: {one.change}")
    return int(sum(one.told for one in seen) < LEAST * len(seen))


def outcomes_of(number: int, dice: random.Random, seconds: float = float("inf")) -> list[Outcome]:
    """Change so many bytes in all, in each image about as many."""
    until, found = time.monotonic() + seconds, list[Outcome]()
    pairs = [(family, symbols) for family in FAMILIES for symbols in FLAGS]
    for at, (family, symbols) in enumerate(pairs):
        share = number * (at + 1) // len(pairs) - number * at // len(pairs)
        left = until - time.monotonic()
        ends = time.monotonic() + left / (len(pairs) - at)
        with opened(family, symbols) as image:
            for change in Dice(image, dice).changes(share):
                if time.monotonic() > ends:
                    break
                found.append(try_out(change))
    return found


def _print_by(seen: list[Outcome], kind: Callable[[Outcome], str]) -> None:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for one in seen:
        groups[kind(one)][one.said] += 1
    for name, said in sorted(groups.items()):
        count, told = said.total(), said["listed"] + said["evidence"]
        print(
            f"{name:32}{count:8,}{said['listed']:8,}{said['evidence']:10,}{said['counted']:9,}{said['nothing']:9,}"
            f"{told / count:8.1%}"
        )


if __name__ == "__main__":
    sys.exit(main())
