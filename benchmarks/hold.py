"""How long a process is held, by our own clock and by its own.

Run it with `python -m benchmarks.hold [ROUNDS]`. A Go program with 1, 20 and 200 threads looks at the clock all the
time and reports the longest pause that it felt. Each round inspects one of its maps in every way in turn; printed are
medians of what we report, of what the program felt, of the difference, and of the pause that it feels in as much time
when nobody holds it: the noise of the machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fixtures import USUAL, Running, build, start
from inspector.inspection.one_map import inspect
from inspector.settings import MemoryChoice
from inspector.target.opening import open_target

THREADS = (1, 20, 200)
WAYS: tuple[MemoryChoice, ...] = ("auto", "direct", "gdb-mi")
VARIABLE = "main.sessions"


@dataclass(frozen=True)
class Held:
    """One inspection, in milliseconds: what we report, and the longest pause that the program felt.

    `noise` is the longest pause that it felt in as much time in which nobody held it.
    """

    reported: float
    felt: float
    noise: float

    @property
    def difference(self) -> float:
        """How far the two are apart."""
        return abs(self.reported - self.felt)


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    for threads in THREADS:
        with start(build("beating", USUAL), str(threads)) as running:
            print(f"{threads} threads, {rounds} rounds")
            ways: dict[MemoryChoice, list[Held]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    ways[way] += hold(running, way)
            for way, held in ways.items():
                print(f"  {way:7}{_median(held)}")


def _median(held: list[Held]) -> str:
    columns = {name: [getattr(one, name) for one in held] for name in ("reported", "felt", "difference", "noise")}
    return "".join(f" {name} {statistics.median(values):7.2f} ms" for name, values in columns.items())


def hold(running: Running, way: MemoryChoice) -> Iterator[Held]:
    """Inspect a map once, and ask the program what it felt."""
    with open_target(str(running.pid), memory=way) as target:
        # What never changes is read before: it needs a stop of its own where gdb reads.
        warm = inspect(target, VARIABLE, entries=0, max_stop=None)
        assert warm.judgement.verdict == "consistent"
        running.ask("reset")
        inspection = inspect(target, VARIABLE, entries=0, max_stop=None)
        pause = _longest_pause(running)
        running.ask("reset")
        time.sleep(inspection.timing.stopped / 1000)
        yield Held(inspection.timing.stopped, pause, _longest_pause(running))


def _longest_pause(running: Running) -> float:
    """The longest pause that the program felt since it was told to forget the last one, in milliseconds."""
    return float(running.ask("gap")["gap"]) / 1e6


if __name__ == "__main__":
    main()
