"""Random one-byte changes of real maps in every state: how many are seen, by which rule, and why the rest is not.

Run it with `python -m benchmarks.faults [N] [--toolchain NAME] [--seed SEED]`. Each change is made in a copy
of the memory of a running program, and the map is followed from its address on as for a user. The exit code
is 1 when a change was not seen that the runtime could not have made.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.faults.changes import Dice, Outcome, try_out
from benchmarks.faults.reasons import why_unseen
from benchmarks.faults.subjects import subjects_of
from fixtures import CLASSIC, NEWEST, Toolchain, build, start
from inspector.target.opening import open_target

TOOLCHAINS = {toolchain.name: toolchain for toolchain in CLASSIC}
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


@click.command()
@click.argument("changes", default=10_000, metavar="[N]")
@click.option("--toolchain", type=click.Choice(list(TOOLCHAINS)), default=NEWEST.name)
@click.option("--seed", default=1)
def main(changes: int, toolchain: str, seed: int) -> None:
    """Make N random changes of one byte and print what is seen of them."""
    sys.exit(run(TOOLCHAINS[toolchain], changes, seed))


def run(toolchain: Toolchain, changes: int, seed: int) -> int:
    """Make the changes and print the tables; returns the exit code."""
    by_field: dict[str, Tally] = defaultdict(Tally)
    by_state: dict[str, Tally] = defaultdict(Tally)
    unseen: dict[str | None, list[Outcome]] = defaultdict(list)
    started = time.perf_counter()
    with start(build("states", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        subjects = subjects_of(target, running.truth)
        for change in Dice(subjects, seed).changes(changes):
            outcome = try_out(change)
            by_field[change.field].count(outcome)
            by_state[change.subject.state].count(outcome)
            if not outcome.seen:
                unseen[why_unseen(outcome)].append(outcome)
    seconds = time.perf_counter() - started
    console = Console(width=WIDTH)
    console.print(f"{changes:,} changes of {len(subjects)} maps, {toolchain.name}, seed {seed}, {seconds:.0f} s")
    console.print(_table("field", by_field), _table("state", by_state))
    console.print(
        "in progress: the verdict is write-in-progress; refused: as a bare address it is not taken for a map\n"
    )
    _print_unseen(console, unseen)
    return 1 if unseen[None] else 0


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


def _print_unseen(console: Console, unseen: dict[str | None, list[Outcome]]) -> None:
    console.print("not seen:")
    for reason, outcomes in sorted(unseen.items(), key=lambda item: -len(item[1])):
        if reason is not None:
            fields = Counter(outcome.change.field for outcome in outcomes)
            console.print(f"{len(outcomes):6}  {reason} ({', '.join(fields)})", soft_wrap=True, highlight=False)
    if unseen[None]:
        console.print(f"{len(unseen[None]):6}  [bold]WITHOUT A REASON[/bold]:")
    for outcome in unseen[None]:
        console.print(f"        {outcome.change}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
