"""Random one-byte changes of real maps in every state: how many are seen, by which rule, and why the rest is not.

Run it with `python -m benchmarks.faults [N] [--family F] [--toolchain NAME] [--seed S]`. Each change is made in a copy
of the memory of a running program, and the map is followed from its address on as for a user. With `--family swiss`
the changes are shared out among all releases with Swiss maps. The exit code is 1 when a change was not seen that the
runtime could not have made, or, of 1,000 changes or more, when less than 95 % are seen of those whose byte says
anything of the map.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import inf

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.faults.changes import Dice, Outcome, Reason, try_out
from benchmarks.faults.reasons import why_unseen
from benchmarks.faults.subjects import subjects_of
from fixtures import CLASSIC, NEWEST, SWISS_EXPERIMENTS, SWISS_RELEASES, Toolchain, build, start
from inspector.target.opening import open_target

CLASSIC_FAMILY, SWISS_FAMILY = "classic", "swiss"
PROGRAMS = {CLASSIC_FAMILY: "states", SWISS_FAMILY: "swissstates"}
TOOLCHAINS = {
    CLASSIC_FAMILY: {toolchain.name: toolchain for toolchain in CLASSIC},
    SWISS_FAMILY: {toolchain.name: toolchain for toolchain in SWISS_RELEASES + SWISS_EXPERIMENTS},
}
USUAL_TOOLCHAINS = {CLASSIC_FAMILY: (NEWEST,), SWISS_FAMILY: SWISS_RELEASES}

LEAST_SEEN = 0.95
"""The share that has to be seen of the changes of bytes that say anything of the map."""

ENOUGH = 1000
"""Fewer changes do not make a share."""

MOST_RULES = 5
"""Rules named in a line of the table."""

WIDTH = 130


@dataclass
class Tally:
    """What became of the changes of one field, or of one state."""

    changes: int = 0
    seen: int = 0
    in_progress: int = 0
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.changes += 1
        self.seen += outcome.seen
        self.in_progress += outcome.trial.judgement.verdict == "write-in-progress"
        self.refused += outcome.trial.refused
        self.rules.update(outcome.new_rules)

    def row(self, name: str) -> list[str]:
        """The cells of a line of the table."""
        rules = ", ".join(f"{rule} {count}" for rule, count in self.rules.most_common(MOST_RULES))
        more = ", ..." if len(self.rules) > MOST_RULES else ""
        share = f"{self.seen / self.changes:.1%}"
        numbers = [str(number) for number in (self.changes, self.seen, share, self.in_progress, self.refused)]
        return [name, *numbers, rules + more]


@dataclass
class Tallies:
    """What became of all changes, sorted by field and by state; `unseen` under the reason, None for none."""

    maps: int = 0
    by_field: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_state: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    unseen: dict[Reason | None, list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.by_field[outcome.change.field].count(outcome)
        self.by_state[outcome.change.subject.state].count(outcome)
        if not outcome.seen:
            self.unseen[why_unseen(outcome)].append(outcome)

    @property
    def changes(self) -> int:
        """All changes that were made."""
        return sum(tally.changes for tally in self.by_field.values())

    @property
    def share(self) -> float:
        """How much was seen of the changes whose byte says anything of the map."""
        seen = sum(tally.seen for tally in self.by_field.values())
        void = sum(len(some) for reason, some in self.unseen.items() if reason is not None and not reason.informs)
        return seen / max(self.changes - void, 1)


@click.command()
@click.argument("changes", default=10_000, metavar="[N]")
@click.option("--family", type=click.Choice(list(PROGRAMS)), default=CLASSIC_FAMILY)
@click.option("--toolchain", "name", metavar="NAME", help="For example go1.27.3; the usual ones if it is left out.")
@click.option("--seed", default=1)
@click.option("--seconds", default=inf, help="Begin no change after so many seconds; toolchains get equal parts.")
def main(changes: int, family: str, name: str | None, seed: int, seconds: float) -> None:
    """Make N random changes of one byte and print what is seen of them."""
    toolchains = USUAL_TOOLCHAINS[family]
    if name is not None:
        if name not in TOOLCHAINS[family]:
            raise click.BadParameter(f"{name} is not one of {', '.join(TOOLCHAINS[family])}", param_hint="--toolchain")
        toolchains = (TOOLCHAINS[family][name],)
    sys.exit(run(PROGRAMS[family], toolchains, changes, seed, seconds))


def run(program: str, toolchains: tuple[Toolchain, ...], changes: int, seed: int, most: float = inf) -> int:
    """Make the changes and print the tables; returns the exit code."""
    tallies = Tallies()
    started = time.perf_counter()
    for number, toolchain in enumerate(toolchains):
        share = changes // len(toolchains) + (number < changes % len(toolchains))
        _try_all(tallies, program, toolchain, share, seed, started + most * (number + 1) / len(toolchains))
    seconds = time.perf_counter() - started
    console = Console(width=WIDTH)
    names = ", ".join(toolchain.name for toolchain in toolchains)
    console.print(f"{tallies.changes:,} changes of {tallies.maps} maps, {names}, seed {seed}, {seconds:.0f} s")
    console.print(_table("field", tallies.by_field), _table("state", tallies.by_state))
    console.print(
        "in progress: the verdict is write-in-progress; refused: as a bare address it is not taken for a map\n"
    )
    _print_unseen(console, tallies.unseen)
    console.print(f"\nseen of what says anything of the map: {tallies.share:.1%}", highlight=False)
    too_few = tallies.changes >= ENOUGH and tallies.share < LEAST_SEEN
    return 1 if tallies.unseen[None] or too_few else 0


def _try_all(tallies: Tallies, program: str, toolchain: Toolchain, changes: int, seed: int, end: float) -> None:
    with start(build(program, toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        subjects = subjects_of(target, running.truth)
        tallies.maps += len(subjects)
        for change in Dice(subjects, seed).changes(changes):
            if time.perf_counter() > end:
                break
            tallies.count(try_out(change))


def _table(kind: str, tallies: dict[str, Tally]) -> Table:
    table = Table(kind, "changes", "seen", "share", "in progress", "refused", "broken rules", box=SIMPLE_HEAD)
    for column in table.columns[1:6]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    total = Tally()
    for name, tally in sorted(tallies.items()):
        table.add_row(*tally.row(name))
        for part in ("changes", "seen", "in_progress", "refused"):
            setattr(total, part, getattr(total, part) + getattr(tally, part))
        total.rules.update(tally.rules)
    table.add_section()
    table.add_row(*total.row("total"))
    return table


def _print_unseen(console: Console, unseen: dict[Reason | None, list[Outcome]]) -> None:
    console.print("not seen:")
    for reason, outcomes in sorted(unseen.items(), key=lambda item: -len(item[1])):
        if reason is not None:
            void = "" if reason.informs else " [no information]"
            fields = Counter(outcome.change.field for outcome in outcomes)
            console.print(
                f"{len(outcomes):6}  {reason.text}{void} ({', '.join(fields)})",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )
    if unseen[None]:
        console.print(f"{len(unseen[None]):6}  [bold]WITHOUT A REASON[/bold]:")
    for outcome in unseen[None]:
        console.print(f"        {outcome.change}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
