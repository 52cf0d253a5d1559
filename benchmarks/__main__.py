"""How fast maps are judged and printed, beside a bare copy, Delve and gdb, in turn in the same run.

    python -m benchmarks                                    all of it: an hour or two
    python -m benchmarks --quick                            a few seconds: that it works, not how fast it is
    python -m benchmarks --entries 1000000 --kinds ints     some of it
    python -m benchmarks --dlv ~/go/bin/dlv --json figures.json

Programs are built and filled for this (benchmarks/cases.py). Each round does all ways in turn, so that a change of the
machine's speed meets them alike; printed are medians, and ratios of one round's times. What is not there, or gives no
whole answer, is told in its place.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import FAMILIES, KINDS, PLACES, STATES, Case, Subject, prepared
from benchmarks.peers import Delve, Gdb, Peer, Took, command
from inspector.hashing.kernel import kernel_name
from inspector.inspection.one_map import inspect
from inspector.memory.protocol import Memory
from inspector.settings import DEFAULT_ENTRIES

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK = 2_000
ROUNDS = 5
PATIENCE = 120.0
"""Seconds that one answer of a peer, or all entries of ours as JSON lines, may take."""

SLOW = 5.0
"""Seconds from which on a command is not repeated."""

OURS = "JSON lines"
PATIENT = ("--max-stop", "10s")
"""With all entries the process may be held as long as that takes. Others hold it until they have printed them."""

VERDICT = "verdict"
OWN: dict[str, tuple[str, ...]] = {
    VERDICT: ("--json", "--entries", "0"),
    OURS: ("--ndjson", "--entries", "all", *PATIENT),
    "text": ("--entries", "all", *PATIENT),
    "Parquet": ("--export", "{folder}/entries.parquet", "--force", *PATIENT),
}
"""What the command line is asked for, which starts Python first, as a user would: no entries, or all of them."""

PEERS: dict[str, Callable[[argparse.Namespace], Peer]] = {
    "delve": lambda asked: Delve(asked.dlv, fetched=not asked.quick),
    "gdb": lambda asked: Gdb(),
}

SCHEMA = "go-map-inspect-benchmarks/1"


@dataclass
class Row:
    """What one case took. Times are in milliseconds, one for each round; of commands one for each time they were run.

    `bytes` are read to judge the map, `all_bytes` for all entries: strings of elements, too.
    `bare` is a copy of as many bytes as the map has, `held` how long the target was, `judged` from the question to the
    verdict with the proof of every key, and its first entries. `commands` are those that print all entries.
    """

    case: Case
    entries: int
    bytes: int = 0
    all_bytes: int = 0
    bare: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    commands: dict[str, list[Took]] = field(default_factory=dict)

    def against_bare(self, times: list[float]) -> float:
        """The median of the ratios to the bare copy of the same round."""
        return statistics.median(mine / bare for mine, bare in zip(times, self.bare, strict=True))

    def seconds(self, name: str) -> float | None:
        """The median of a command's seconds; None where it gave no whole answer."""
        took = self.commands.get(name, [])
        return statistics.median(one.seconds for one in took) if took and not any(one.why for one in took) else None

    def megabytes(self, name: str) -> float:
        """The most memory of a command, in million bytes; 0 where it gave no whole answer."""
        return max((took.megabytes for took in self.commands.get(name, []) if not took.why), default=0.0)

    def faster(self, name: str, than: float) -> float | None:
        """How many times as long as `than` seconds a command takes."""
        seconds = self.seconds(name)
        return None if seconds is None else seconds / than

    def form(self) -> dict[str, Any]:
        """For --json."""
        judged = statistics.median(self.judged)
        return {
            **asdict(self.case),
            "go": self.case.toolchain.name,
            "type": KINDS[self.case.kind],
            "entries": self.entries,
            "bytes": self.bytes,
            "all_bytes": self.all_bytes,
            "bare_ms": self.bare,
            "held_ms": self.held,
            "judged_ms": self.judged,
            "commands": {name: [asdict(one) for one in took] for name, took in self.commands.items()},
            "ratios": {
                "held_to_bare": self.against_bare(self.held),
                "judged_to_bare": self.against_bare(self.judged),
                "to_judged": {name: self.faster(name, judged / 1000) for name in self.commands},
                "to_all_entries": {
                    name: self.faster(name, ours)
                    for name in self.commands
                    if name not in OWN and (ours := self.seconds(OURS)) is not None
                },
            },
        }


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    asked = _arguments().parse_args(words)
    sizes = asked.entries or ([QUICK] if asked.quick else SIZES)
    rounds = asked.rounds or (1 if asked.quick else ROUNDS)
    names = [] if asked.judge_only else PEERS if asked.peers is None else asked.peers
    peers: list[Peer] = [PEERS[name](asked) for name in names]
    kinds = asked.kinds or (["ints"] if asked.quick else list(KINDS))
    states = asked.states or (["rest"] if asked.quick else list(STATES))
    cases = [
        Case(family, kind, size, state, where)
        for family in asked.families or FAMILIES
        for where in asked.places or PLACES
        for kind in kinds
        for state in states
        for size in sizes
    ]
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, case in enumerate(cases, 1):
                print(f"{number} of {len(cases)}: {' '.join(map(str, asdict(case).values()))}", file=sys.stderr)
                with prepared(case, Path(folder)) as subject:
                    rows.append(measured(case, subject, peers, rounds, 0 if asked.judge_only else asked.patience))
    except KeyboardInterrupt:
        print("interrupted: the table has what was measured until then", file=sys.stderr)
    print("\n".join(table(rows, peers)))
    if not asked.judge_only:
        print("", *memory_table(rows, peers), sep="\n")
    if asked.json:
        document = {"schema": SCHEMA, "machine": _machine(), "kernel": kernel_name(), "rounds": rounds}
        document["peers"] = {peer.name: {"version": peer.version, "missing": peer.missing} for peer in peers}
        document["rows"] = [row.form() for row in rows]
        asked.json.write_text(json.dumps(document, indent=1) + "\n")


def _arguments() -> argparse.ArgumentParser:
    about, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument("--entries", type=int, nargs="+", help="sizes of maps (default: 10^4 to 10^7)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), help="what is in them (default: all)")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), help="default: both")
    parser.add_argument("--states", nargs="+", choices=STATES, help="default: both")
    parser.add_argument("--places", nargs="+", choices=PLACES, help="a live process, a core dump (default: both)")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), help="whom we are compared with (default: all)")
    parser.add_argument("--judge-only", action="store_true", help="print no entries, neither we nor others")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds a command may take (default: 120)")
    parser.add_argument("--dlv", type=Path, help="Delve's program (default: that of the PATH; else it is fetched)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file, too")
    parser.add_argument("--quick", action="store_true", help="one small map each, one round, nothing fetched")
    return parser


def measured(case: Case, subject: Subject, peers: Sequence[Peer], rounds: int, patience: float) -> Row:
    """Do all ways in turn, so many times; slow commands once, and those that fail.

    `patience` is how many seconds a command may take, 0 for no commands.
    """
    row = Row(case, subject.entries)
    ours = (sys.executable, "-m", "inspector", subject.word, case.variable)
    where = ("--exe", str(subject.exe)) if subject.core else ()
    _judge(case, subject, row)  # opens what is read once for each target
    if patience:
        whole = inspect(subject.target, case.variable, max_stop=None).snapshot
        row.all_bytes = whole.bytes_read if whole else 0
        del whole
    for times in (row.bare, row.held, row.judged):
        times.clear()
    for _ in range(rounds):
        row.bare.append(_timed_copy(subject.target.memory, row.bytes))
        _judge(case, subject, row)
        for name, asked in OWN.items():
            if patience and _again(row, name):
                with tempfile.TemporaryDirectory() as folder:
                    words = (word.format(folder=folder) for word in asked)
                    done = command((*ours, *where, *words), patience)
                row.commands.setdefault(name, []).append(_all_of(name, done, subject.entries))
        for peer in peers:
            if not peer.missing and _again(row, peer.name):
                row.commands.setdefault(peer.name, []).append(peer.print_all(case, subject, patience))
    return row


def _judge(case: Case, subject: Subject, row: Row) -> None:
    began = time.perf_counter()
    inspection = inspect(subject.target, case.variable, entries=DEFAULT_ENTRIES, max_stop=None)
    row.judged.append((time.perf_counter() - began) * 1000)
    assert inspection.judgement.verdict == "consistent", inspection.judgement
    assert inspection.entries_total == inspection.judgement.proof.matched == subject.entries
    assert inspection.snapshot is not None
    row.held.append(inspection.timing.stopped)
    row.bytes = inspection.snapshot.bytes_read


def _all_of(name: str, done: tuple[Took, bytes], entries: int) -> Took:
    """What a command of ours took; each entry is a line of its own, but in a file."""
    took, output = done
    if took.why or name in (VERDICT, "Parquet"):
        return took
    lines = output.count(b"\n")
    return took if lines > entries else Took(took.seconds, took.megabytes, f"prints {lines:,} lines")


def _again(row: Row, name: str) -> bool:
    """Whether a command is worth another run."""
    before = row.commands.get(name, [])
    return not before or (not before[-1].why and before[-1].seconds < SLOW)


def _timed_copy(memory: Memory, size: int) -> float:
    """Milliseconds that as many bytes take, of the largest ranges of the target, into memory of our own."""
    pieces = list(_pieces(memory, size))
    began = time.perf_counter()
    for start, length in pieces:
        # A row of read_many is a copy in every memory; read() of a core gives a view of the file.
        memory.read_many(np.array([start], np.uint64), length)
    return (time.perf_counter() - began) * 1000


def _pieces(memory: Memory, size: int) -> Iterator[tuple[int, int]]:
    for region in sorted(memory.regions(), key=lambda region: region.start - region.end):
        length = min(size, region.end - region.start)
        if length:
            yield region.start, length
        size -= length


def table(rows: Sequence[Row], peers: Sequence[Peer]) -> Iterator[str]:
    """The rows as text, and above them what was compared."""
    yield f"judged with the kernel {kernel_name()}; " + "; ".join(
        f"{peer.name}: {peer.missing}" if peer.missing else f"{peer.name} {peer.version}" for peer in peers
    )
    yield "x bare: times a bare copy of as many bytes. (n x): times what we take for the same, or to judge the map"
    head = ["map", "entries", "MB", "bare", "held", "x bare", "judged", "x bare", *OWN]
    cells = [[*head, *(f"{peer.name} prints" for peer in peers)]]
    cells += [[*_ours(row), *(_theirs(row, peer) for peer in peers)] for row in rows]
    yield from aligned(cells)


def aligned(cells: list[list[str]]) -> Iterator[str]:
    """Lines of cells below each other, the first of each to the left and the others to the right."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for first, *others in cells:
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join((first.ljust(widths[0]), *padded)).rstrip()


def _ours(row: Row) -> list[str]:
    case = row.case
    judged, held = statistics.median(row.judged), statistics.median(row.held)
    return [
        f"{case.family} {case.kind}, {'growing' if case.state == 'growth' else 'at rest'}, {case.where}",
        f"{row.entries:,}",
        f"{row.bytes / 1e6:,.1f}",
        f"{statistics.median(row.bare):,.1f} ms",
        f"{held:,.1f} ms" if case.where == "live" else "-",
        f"{row.against_bare(row.held):.1f} x" if case.where == "live" else "-",
        f"{judged:,.1f} ms",
        f"{row.against_bare(row.judged):.1f} x",
        *(_seconds(row, name) for name in OWN),
    ]


def _seconds(row: Row, name: str) -> str:
    """How long a command took, or why there is no answer."""
    seconds, took = row.seconds(name), row.commands.get(name)
    return "-" if not took else took[-1].why if seconds is None else f"{seconds:.1f} s"


def memory_table(rows: Sequence[Row], peers: Sequence[Peer]) -> Iterator[str]:
    """How many megabytes commands took at the most, beside what the map has, in which strings are counted."""
    names = [*OWN, *(peer.name for peer in peers)]
    yield "megabytes that a command had at the most. (+n): more than was read of the map, with all entries or without"
    cells = [["map", "entries", "MB", *names]]
    for row in rows:
        cells.append([*_ours(row)[:3], *(_most(row, name) for name in names)])
    yield from aligned(cells)


def _most(row: Row, name: str) -> str:
    """The most memory of a command, and how much more that is than what was read of the map."""
    most, read = row.megabytes(name), row.bytes if name == VERDICT else row.all_bytes
    return f"{most:,.0f} (+{most - read / 1e6:,.0f})" if most else "-"


def _theirs(row: Row, peer: Peer) -> str:
    """Seconds, and how many times as long as ours, to judge the map and to print all entries."""
    if peer.missing:
        return "missing"
    seconds, judged = row.seconds(peer.name), statistics.median(row.judged) / 1000
    if seconds is None:
        return row.commands[peer.name][-1].why
    ours = row.seconds(OURS)
    return f"{seconds:.1f} s ({seconds / judged:,.0f} x judged" + (f", {seconds / ours:.1f} x)" if ours else ")")


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else "",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    main()
