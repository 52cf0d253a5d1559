"""The report for people: what the map is, where its growth stands, whether to believe it."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.inspection.one_map import Inspection
from inspector.maps.family import Account, Passage, Strip
from inspector.maps.findings import Finding

PICTURE_WIDTH = 64
ALTERNATIVES = 8
DONE, PARTLY, WAITING = "█", "▒", "░"
"""What stands for the words of a strip's legend."""

VERDICT_STYLES = {
    "consistent": "bold green",
    "write-in-progress": "bold yellow",
    "inconsistent": "bold red",
    "unreadable": "bold yellow",
    "not-read": "bold yellow",
}
VERDICT_WORDS = {
    "consistent": "this is a state that the runtime produces",
    "write-in-progress": "one goroutine was inside a write; everything odd is what it leaves in between",
    "inconsistent": "the runtime cannot have produced this state",
    "unreadable": "parts of the map could not be read or not be checked; the rest is sound",
    "not-read": "a stop was too short to read the whole map; what was read is sound",
}
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def print_report(inspection: Inspection, console: Console) -> None:
    """Print the whole report. Nothing from the target reaches the terminal unescaped."""
    _title(inspection, console)
    if inspection.snapshot is None:
        console.print(Text("a nil map: it reads as empty, and a write to it panics"))
        _verdict(inspection, console)
        return
    console.print(_header(inspection.account))
    console.print()
    for passage in inspection.account.passages:
        _passage(passage, console)
    _entries(inspection, console)
    _findings(inspection, console)
    _verdict(inspection, console)
    _timing(inspection, console)


def _title(inspection: Inspection, console: Console) -> None:
    ref, target = inspection.ref, inspection.target
    title = Text(plain(ref.type.name), style="bold")
    title.append(f" at {ref.address:#x}", style="not bold")
    if ref.name:
        title.append(f"  ({plain(ref.name)})", style="not bold")
    console.print(title)
    what = {"process": f"process {target.pid}", "core": "core", "gdb": f"process {target.pid} in gdb"}[target.kind]
    experiments = "".join(f" {plain(name)}" for name in target.experiments)
    _source(inspection, console)
    console.print(Text(f"{what} of {plain(target.exe)}, {target.go_version}{experiments}, read by {target.memory}"))


def _source(inspection: Inspection, console: Console) -> None:
    ref, proof = inspection.ref, inspection.judgement.proof
    if ref.type_source == "hash-proof":
        console.print(Text(f"type found by the address alone: {proof.matched:,} keys hash to their places"))
    if ref.alternatives:
        names = ", ".join(plain(go_type.name) for go_type in ref.alternatives[:ALTERNATIVES])
        more = len(ref.alternatives) - ALTERNATIVES
        console.print(Text(f"or, as far as memory tells: {names}{f' and {more} more' if more > 0 else ''}"))


def _proof(inspection: Inspection) -> str:
    proof = inspection.judgement.proof
    if proof.algorithm is None:
        return f"keys not hashed: {proof.reason}"
    skipped = f", {proof.skipped:,} have no repeatable hash" if proof.skipped else ""
    return f"{proof.matched:,} of {proof.checked:,} keys proven by {proof.algorithm}{skipped}"


def _header(account: Account) -> Table:
    table = Table(title=account.header_name, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in account.header:
        table.add_row(Text(name, style="cyan"), Text(value))
    return table


def _passage(passage: Passage, console: Console) -> None:
    """A title and its first line, a picture, the other lines below."""
    first, *others = passage.lines
    line = Text(f"{passage.title}: ", style="cyan")
    line.append(first, style="default")
    console.print(line)
    pictured = [picture(passage.strip), _mark_line(passage.strip)] if passage.strip else []
    for other in (*pictured, *others):
        console.print(Text(f"  {other}"))


def picture(strip: Strip) -> str:
    """A strip as one line: each character stands for an equal share of what it pictures."""
    parts = np.array_split(strip.shares, _width(strip))
    shares = [part.mean() for part in parts]
    return "".join(DONE if share == 1 else WAITING if share == 0 else PARTLY for share in shares)


def _width(strip: Strip) -> int:
    return min(PICTURE_WIDTH, len(strip.shares))


def _mark_line(strip: Strip) -> str:
    """The mark below its place on the strip, and what the characters stand for."""
    legend = "  ".join(" ".join(pair) for pair in zip((DONE, PARTLY, WAITING), strip.legend, strict=True))
    if strip.mark is None:
        return legend
    place, words = strip.mark
    at = min(place, len(strip.shares)) * _width(strip) // len(strip.shares)
    return " " * at + f"^ {words}   {legend}"


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
    if inspection.snapshot is not None:
        console.print(Text(_proof(inspection)))


def _timing(inspection: Inspection, console: Console) -> None:
    timing, snapshot = inspection.timing, inspection.snapshot
    assert snapshot is not None
    held = f"target held {timing.stopped:.1f} ms, " if inspection.target.kind == "process" else ""
    console.print(Text(f"{held}{snapshot.bytes_read:,} bytes read, checked in {timing.check:.1f} ms", style="dim"))
