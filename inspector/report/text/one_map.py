"""The report in text: what the map is, where its growth stands, whether to believe it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.gotypes.words import number_of, size
from inspector.inspection.one_map import Inspection
from inspector.maps.family import Account, Passage, Strip
from inspector.maps.findings import Finding
from inspector.report.text.words import described

PICTURE_WIDTH = 64
ALTERNATIVES = 8
WORTH_REPLACING = 1 << 16
"""Bytes that a fresh map would spare, from which on replacing the map is advised."""

VERDICT_STYLES = {
    "consistent": "bold green",
    "write-in-progress": "bold yellow",
    "inconsistent": "bold red",
    "unreadable": "bold yellow",
    "not-read": "bold yellow",
}
VERDICT_SHORT = {
    "consistent": "OK",
    "write-in-progress": "WRITE IN PROGRESS",
    "inconsistent": "INCONSISTENT",
    "unreadable": "PARTLY UNREADABLE",
    "not-read": "PARTLY READ",
}
VERDICT_WORDS = {
    "consistent": "the runtime produces this state",
    "write-in-progress": "a write was in progress; the irregularities are what an unfinished write leaves",
    "inconsistent": "the runtime cannot have produced this state",
    "unreadable": "parts of the map could not be read or not be checked; the rest is sound",
    "not-read": "a stop was too short to read the whole map; what was read is sound",
}
PARTIAL = ("unreadable", "not-read")
"""Verdicts of maps of which only a part was read: what was counted is not all."""

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def print_report(inspection: Inspection, console: Console) -> None:
    """Print the whole report, the answer in its first line. Nothing from the target reaches the terminal unescaped."""
    _answer(inspection, console)
    _origin(inspection, console)
    if inspection.snapshot is None:
        for passage in inspection.account.passages:
            _passage(passage, console)
        if not inspection.account.passages:
            console.print(Text("A nil map reads as empty; a write to it panics."))
        _verdict(inspection, console)
        return
    console.print()
    for passage in inspection.account.passages:
        _passage(passage, console)
    _advice(inspection, console)
    console.print()
    console.print(_header(inspection.account))
    _entries(inspection, console)
    _findings(inspection, console)
    _verdict(inspection, console)
    _timing(inspection, console)


def _answer(inspection: Inspection, console: Console) -> None:
    """Which map, what it holds and whether to believe it, in a line that can be searched for."""
    ref, account, verdict = inspection.ref, inspection.account, inspection.judgement.verdict
    line = Text(plain(ref.name) if ref.name else f"{ref.address:#x}", style="bold")
    parts = [plain(ref.type.name)]
    if inspection.snapshot is None:
        parts += ["nil"]
    else:
        read = " read" if verdict in PARTIAL else ""
        parts += [number_of(account.live, "entry") + read, size(account.bytes.total) + read]
    parts += [f"growing ({account.state})"] if account.growing else []
    line.append("".join(f"  {part}" for part in parts), style="not bold")
    line.append(f"  {VERDICT_SHORT[verdict]}", style=VERDICT_STYLES[verdict])
    console.print(line, soft_wrap=True)


def _origin(inspection: Inspection, console: Console) -> None:
    """Where the map is, and how its type was found."""
    ref, proof = inspection.ref, inspection.judgement.proof
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
        names = ", ".join(plain(go_type.name) for go_type in ref.alternatives[:ALTERNATIVES])
        more = len(ref.alternatives) - ALTERNATIVES
        console.print(Text(f"other types fit as well: {names}{f' and {more} more' if more > 0 else ''}"))


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
    """What to do about a map that holds far more than it needs."""
    account = inspection.account
    held = account.bytes
    if (
        account.growing
        or inspection.judgement.verdict in PARTIAL
        or held.wasted < max(WORTH_REPLACING, held.if_rebuilt)
    ):
        return
    if account.live:
        how = f"This map holds {size(held.total)} for {number_of(account.live, 'entry')}"
        what = "maps.Clone, or a new map that is filled from it"
    else:
        how, what = f"This map is empty but holds {size(held.total)}", "make, or maps.Clone"
    if not account.clone_shrinks:
        what = "a new map that is filled from it; maps.Clone keeps the size" if account.live else "make"
    console.print(Text(f"{how}: Go maps never shrink. Replace it ({what}) to give {size(held.wasted)} back."))


def _entries(inspection: Inspection, console: Console) -> None:
    if not inspection.entries_shown:
        return
    console.print()
    shown, total = inspection.entries_shown, inspection.entries_total
    title = f"entries ({shown:,} of {total:,})" if shown < total else f"entries ({total:,})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="cyan")
    for at, entry in enumerate(inspection.entries()):
        place = entry.place.columns()
        if not at:
            for name, value in place.items():
                table.add_column(name, justify="right" if value[:1].isdigit() else "left", overflow="fold")
            for name in ("key", "element"):
                table.add_column(name, overflow="fold")
        cells = (*place.values(), go_form(entry.key), go_form(entry.value))
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _findings(inspection: Inspection, console: Console) -> None:
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
    console.print()
    line = Text("verdict: ")
    line.append(verdict, style=VERDICT_STYLES[verdict])
    line.append(f" ({VERDICT_WORDS[verdict]})")
    console.print(line)
    if inspection.snapshot is not None and (proof := _proof(inspection)):
        console.print(Text(proof))


def _timing(inspection: Inspection, console: Console) -> None:
    timing, snapshot = inspection.timing, inspection.snapshot
    assert snapshot is not None
    paused = f"process paused {timing.stopped:.1f} ms, " if inspection.target.kind == "process" else ""
    console.print(Text(f"{paused}{size(snapshot.bytes_read)} read, checked in {timing.check:.1f} ms", style="dim"))
