"""The report in text: what the map is, where its growth stands, whether to believe it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of, size
from inspector.inspection.one_map import PARTIAL, Inspection
from inspector.maps.family import Account, Passage, Strip
from inspector.maps.findings import Finding
from inspector.report.text.columns import ASCII_ELLIPSIS, ELLIPSIS, SHORTEST, cut, print_line
from inspector.report.text.entries import print_entries
from inspector.report.text.words import described

PICTURE_WIDTH = 64
ALTERNATIVES = 8

VERDICT_STYLES = {
    "consistent": "bold green",
    "write-in-progress": "bold yellow",
    "inconsistent": "bold red",
    "unreadable": "bold yellow",
    "not-read": "bold yellow",
    "moving": "bold yellow",
}
VERDICT_SHORT = {
    "consistent": "OK",
    "write-in-progress": "WRITE IN PROGRESS",
    "inconsistent": "INCONSISTENT",
    "unreadable": "PARTLY UNREADABLE",
    "not-read": "PARTLY READ",
    "moving": "MOVING",
}
VERDICT_WORDS = {
    "consistent": "the runtime produces this state",
    "write-in-progress": "a write was in progress; the irregularities are what an unfinished write leaves",
    "inconsistent": "the runtime cannot have produced this state",
    "unreadable": "parts of the map could not be read or not be checked; the rest is sound",
    "not-read": "a stop was too short to read the whole map; what was read is sound",
    "moving": "the map changes while it is copied: stop the process to judge it",
}
RACED = "goroutines wrote it at the same time; the irregularities are what their race leaves"
"""What is said of a write in progress where several were."""

WRONG_TYPE = "wrong type?"
"""Stands for the verdict inconsistent where the type that the user gave may be what is wrong, and not the map."""

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def print_report(inspection: Inspection, console: Console) -> None:
    """Print the whole report, the answer and the verdict in its first lines.

    Nothing from the target reaches the terminal unescaped.
    """
    print_head(inspection, console)
    if inspection.snapshot is None:
        for passage in inspection.account.passages:
            _passage(passage, console)
        if not inspection.account.passages:
            console.print(Text("A nil map reads as empty; a write to it panics."))
        return
    console.print()
    for passage in inspection.account.passages:
        _passage(passage, console)
    _advice(inspection, console)
    console.print()
    console.print(_header(inspection.account))
    print_entries(inspection, console)
    _findings(inspection, console)
    _timing(inspection, console)


def print_head(inspection: Inspection, console: Console) -> None:
    """Print the first lines: which map it is, whether to believe it, where it is."""
    _answer(inspection, console)
    _verdict(inspection, console)
    _origin(inspection, console)


def _answer(inspection: Inspection, console: Console) -> None:
    """Which map, what it holds and whether to believe it, in a line that can be searched for."""
    ref, account, verdict = inspection.ref, inspection.account, inspection.judgement.verdict
    parts = []
    if inspection.snapshot is None:
        parts += ["nil"]
    else:
        read = " read" if verdict in PARTIAL else ""
        parts += [number_of(account.live, "entry") + read, size(account.bytes.total) + read]
    parts += [f"growing ({account.state})"] if account.growing else []
    short = VERDICT_SHORT[verdict] if inspection.wrong_type is None else WRONG_TYPE.upper()
    name, go_type = _called(inspection), plain(ref.type.name)
    others = f" or {number_of(len(ref.alternatives), 'other')}" if ref.alternatives else ""
    # The answer is never cut: where a line is too short, the names are.
    room = console.width - cell_len("  ".join([*parts, short])) - 4 - cell_len(others)
    if account.growing and room < cell_len(name) + cell_len(go_type):
        # How far a growth is comes a few lines below.
        room += cell_len(parts[-1]) - len("growing")
        parts[-1] = "growing"
    answer = "".join(f"  {part}" for part in parts)
    name, go_type = _cut_names(name, go_type, room, console)
    line = Text(name, style="bold")
    line.append(f"  {go_type}{others}{answer}", style="not bold")
    line.append(f"  {short}", style=VERDICT_STYLES[verdict])
    print_line(line, console)


def _called(inspection: Inspection) -> str:
    return plain(inspection.ref.name) if inspection.ref.name else f"{inspection.ref.address:#x}"


def _cut_names(name: str, go_type: str, room: int, console: Console) -> tuple[str, str]:
    """A map's name and its type in so many columns of the terminal; an address is never cut."""
    dots = ASCII_ELLIPSIS if console.options.ascii_only else ELLIPSIS
    if not name.startswith("0x"):
        name = cut(name, max(SHORTEST, room - min(cell_len(go_type), room // 3)), dots)
    return name, cut(go_type, max(SHORTEST, room - cell_len(name)), dots)


def _origin(inspection: Inspection, console: Console) -> None:
    """Where the map is, and how its type was found."""
    ref, proof = inspection.ref, inspection.judgement.proof
    if inspection.snapshot is not None:
        # The first line may have cut them.
        for what, words in (("name", _called(inspection)), ("type", plain(ref.type.name))):
            if cell_len(words) > console.width // 3:
                print_line(Text(f"{what}: {words}"), console)
    where = f"{inspection.account.header_name} at {ref.address:#x}, " if ref.address else ""
    console.print(Text(f"{where}{described(inspection.target)}"))
    if ref.type_source == "hash-proof":
        keys = (
            "its 1 key hashes to its place"
            if proof.matched == 1
            else f"all {proof.matched:,} keys hash to their places"
        )
        console.print(Text(f"type inferred: {keys}"))
    if ref.alternatives:
        names = ", ".join(plain(name) for name in inspection.others[:ALTERNATIVES])
        more = len(ref.alternatives) - ALTERNATIVES
        console.print(Text(f"other types fit as well: {names}{f' and {more} more' if more > 0 else ''}"))
        if len({each.elem_address for each in (ref.type, *ref.alternatives)}) > 1:
            words = f"elements are shown as those of {plain(ref.type.name)}; give another type to see them as its own"
            console.print(Text(words))
        console.print(Text("what holds the map may tell its type: the list of all maps knows that"))


def _proof(inspection: Inspection) -> str:
    """What the hashes of the keys say; empty for a map without keys."""
    proof = inspection.judgement.proof
    if proof.algorithm is None:
        return f"keys not hashed: {proof.reason}" if proof.reason else ""
    skipped = f"; {number_of(proof.skipped, 'key')} without a repeatable hash" if proof.skipped else ""
    if not proof.checked:
        return skipped.removeprefix("; ")
    if proof.matched < proof.checked:
        those = f"{proof.matched:,} of {number_of(proof.checked, 'key')} are"
    else:
        those = "the only key is" if proof.checked == 1 else f"all {proof.checked:,} keys are"
    whose = "its" if proof.checked == 1 else "their"
    return f"{those} in the place that {whose} hash selects ({proof.algorithm}){skipped}"


def _header(account: Account) -> Table:
    table = Table(title=account.header_name, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in account.header:
        table.add_row(Text(name, style="cyan"), Text(value))
    return table


class Marks(NamedTuple):
    """How the parts of a strip are drawn: what is done, what is done in part, and what waits."""

    done: str
    partly: str
    waiting: str


MARKS = Marks("█", "▒", "░")
ASCII_MARKS = Marks("#", "+", ".")


def _passage(passage: Passage, console: Console) -> None:
    """A title and its first line, a picture, the other lines below."""
    first, *others = passage.lines
    line = Text(f"{passage.title}: ", style="cyan")
    line.append(first, style="default")
    console.print(line)
    marks = ASCII_MARKS if console.options.ascii_only else MARKS
    pictured = [picture(passage.strip, marks), _mark_line(passage.strip, marks)] if passage.strip else []
    for other in (*pictured, *others):
        console.print(Text(f"  {other}"))


def picture(strip: Strip, marks: Marks = MARKS) -> str:
    """A strip as one line: each character stands for an equal share of what it pictures."""
    shares = [part.mean() for part in np.array_split(strip.shares, _width(strip))]
    return "".join(marks.done if share == 1 else marks.waiting if share == 0 else marks.partly for share in shares)


def _width(strip: Strip) -> int:
    return min(PICTURE_WIDTH, len(strip.shares))


def _mark_line(strip: Strip, marks: Marks) -> str:
    """The mark below its place on the strip, and what the characters stand for."""
    legend = "  ".join(" ".join(pair) for pair in zip(marks, strip.legend, strict=True))
    if strip.mark is None:
        return legend
    place, words = strip.mark
    at = min(place, len(strip.shares)) * _width(strip) // len(strip.shares)
    return " " * at + f"^ {words}   {legend}"


def _advice(inspection: Inspection, console: Console) -> None:
    """Why a map holds far more than it needs, and what to do about it."""
    if inspection.shrinking is not None:
        console.print(Text(inspection.shrinking.words))


def _findings(inspection: Inspection, console: Console) -> None:
    if inspection.judgement.verdict == "moving":
        return  # They are what a torn copy shows, and would be read as faults; the JSON document has them.
    for finding in inspection.judgement.findings:
        console.print()
        _finding(finding, console)
    for rule in inspection.judgement.cut:
        console.print(Text(f"rule {rule} has more findings than are listed"))


def _finding(finding: Finding, console: Console) -> None:
    line = Text(f"{finding.rule} {finding.severity}: ", style=SEVERITY_STYLES[finding.severity])
    line.append(plain(finding.message), style="default")
    console.print(line)
    console.print(Text(f"   where: {finding.where.words()}"))
    console.print(Text(f"observed: {plain(finding.observed)}"))
    console.print(Text(f"expected: {plain(finding.expected)}"))
    console.print(Text(f"  source: {finding.source}"))


def _verdict(inspection: Inspection, console: Console) -> None:
    verdict = inspection.judgement.verdict
    line = Text("verdict: ")
    if inspection.wrong_type is not None:
        line.append(WRONG_TYPE, style=VERDICT_STYLES[verdict])
        line.append(f" ({inspection.wrong_type})")
        console.print(line)
        return
    line.append(verdict, style=VERDICT_STYLES[verdict])
    line.append(f" ({RACED if inspection.judgement.raced else VERDICT_WORDS[verdict]})")
    console.print(line)
    if inspection.snapshot is not None and (proof := _proof(inspection)):
        console.print(Text(proof))


def _timing(inspection: Inspection, console: Console) -> None:
    timing, snapshot = inspection.timing, inspection.snapshot
    assert snapshot is not None
    console.print()
    paused = f"process paused {timing.stopped:.1f} ms, " if inspection.target.kind == "process" else ""
    console.print(Text(f"{paused}{size(snapshot.bytes_read)} read, checked in {timing.check:.1f} ms", style="dim"))
