"""The report for people: what the map is, where its growth stands, whether to believe it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.inspection.one_map import Inspection
from inspector.maps.classic.checks.finding import Finding, Where
from inspector.maps.classic.summary import Growth, Occupancy
from inspector.report.text.words import described, number_of, size

PICTURE_WIDTH = 64
ALTERNATIVES = 8
WORTH_REPLACING = 1 << 16
"""Bytes that a fresh map would spare, from which on replacing the map is advised."""

VERDICT_STYLES = {
    "consistent": "bold green",
    "write-in-progress": "bold yellow",
    "inconsistent": "bold red",
    "unreadable": "bold yellow",
}
VERDICT_SHORT = {
    "consistent": "OK",
    "write-in-progress": "WRITE IN PROGRESS",
    "inconsistent": "INCONSISTENT",
    "unreadable": "PARTLY UNREADABLE",
}
VERDICT_WORDS = {
    "consistent": "the runtime produces this state",
    "write-in-progress": "a write was in progress; the irregularities are what an unfinished write leaves",
    "inconsistent": "the runtime cannot have produced this state",
    "unreadable": "parts of the map could not be read; what was read is sound",
}
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def print_report(inspection: Inspection, console: Console) -> None:
    """Print the whole report, the answer in its first line. Nothing from the target reaches the terminal unescaped."""
    _answer(inspection, console)
    _origin(inspection, console)
    if inspection.snapshot is None:
        console.print(Text("A nil map reads as empty; a write to it panics."))
        _verdict(inspection, console)
        return
    assert inspection.growth is not None
    assert inspection.occupancy is not None
    _growth(inspection, inspection.growth, console)
    _occupancy(inspection.occupancy, console)
    _advice(inspection.growth, inspection.occupancy, console)
    console.print()
    console.print(_header(inspection))
    _entries(inspection, console)
    _findings(inspection, console)
    _verdict(inspection, console)
    _timing(inspection, console)


def _answer(inspection: Inspection, console: Console) -> None:
    """Which map, what it holds and whether to believe it, in a line that can be searched for."""
    ref, growth, occupancy = inspection.ref, inspection.growth, inspection.occupancy
    line = Text(plain(ref.name) if ref.name else f"{ref.address:#x}", style="bold")
    parts = [plain(ref.type.name)]
    if inspection.snapshot is None:
        parts.append("nil")
    if occupancy is not None:
        parts += [number_of(occupancy.live, "entry"), size(occupancy.bytes.total)]
    if growth is not None and growth.kind:
        parts.append(f"growing ({growth.evacuated}/{growth.old_buckets})")
    line.append("".join(f"  {part}" for part in parts), style="not bold")
    verdict = inspection.judgement.verdict
    line.append(f"  {VERDICT_SHORT[verdict]}", style=VERDICT_STYLES[verdict])
    console.print(line, soft_wrap=True)


def _origin(inspection: Inspection, console: Console) -> None:
    """Where the map is, and how its type was found."""
    ref, proof = inspection.ref, inspection.judgement.proof
    where = f"hmap at {ref.address:#x}, " if ref.address else ""
    console.print(Text(f"{where}{described(inspection.target)}"))
    if ref.type_source == "hash-proof":
        keys = (
            "its 1 key hashes to its bucket"
            if proof.matched == 1
            else f"all {proof.matched:,} keys hash to their buckets"
        )
        console.print(Text(f"type inferred: {keys}"))
    if ref.alternatives:
        names = ", ".join(plain(go_type.name) for go_type in ref.alternatives[:ALTERNATIVES])
        more = len(ref.alternatives) - ALTERNATIVES
        console.print(Text(f"other types fit as well: {names}{f' and {more} more' if more > 0 else ''}"))


def _proof(inspection: Inspection) -> str:
    """What the hashes of the keys say; empty where there is no key."""
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
    return f"{those} in the bucket that {whose} hash selects ({proof.algorithm}){skipped}"


def _header(inspection: Inspection) -> Table:
    assert inspection.snapshot is not None
    header, extra = inspection.snapshot.header, inspection.snapshot.extra
    table = Table(title="hmap", title_justify="left", show_header=False, box=None, pad_edge=False)
    flags = ", ".join(header.flag_names) or "none"
    rows = [
        ("count", str(header.count)),
        ("flags", f"{header.flags} ({flags})"),
        ("B", f"{header.B} ({number_of(1 << min(header.B, 62), 'bucket')})"),
        ("noverflow", str(header.noverflow)),
        ("hash0", f"{header.hash0:#010x}"),
        ("buckets", _pointer(header.buckets)),
        ("oldbuckets", _pointer(header.oldbuckets)),
        ("nevacuate", str(header.nevacuate)),
        *([("clearSeq", str(header.clear_seq))] if header.clear_seq is not None else []),
        ("extra", _pointer(header.extra)),
    ]
    if extra is not None:
        rows.append(("  overflow", _listed(extra.overflow_pointer, extra.overflow)))
        rows.append(("  oldoverflow", _listed(extra.oldoverflow_pointer, extra.oldoverflow)))
        rows.append(("  nextOverflow", _pointer(extra.next_overflow)))
    for name, value in rows:
        table.add_row(Text(name, style="cyan"), Text(value))
    return table


def _pointer(address: int) -> str:
    return f"{address:#x}" if address else "nil"


def _listed(pointer: int, buckets: tuple[int, ...] | None) -> str:
    if buckets is None:
        return _pointer(pointer) + (" (not readable)" if pointer else "")
    return f"{pointer:#x} ({number_of(len(buckets), 'bucket')})"


def _growth(inspection: Inspection, growth: Growth, console: Console) -> None:
    console.print()
    line = Text("growth: ", style="cyan")
    if growth.kind is None:
        line.append(
            f"none; {growth.load:.2f} entries a bucket of at most {growth.load_factor_limit:g}", style="default"
        )
        if growth.next:
            starts = "starts" if growth.next.inserts == 1 else "start"
            keys = number_of(growth.next.inserts, "more new key")
            line.append(f"; {keys} {starts} the next ({growth.next.kind})", style="default")
        console.print(line)
        return
    ahead = growth.evacuated - growth.frontier
    line.append(
        f"{growth.kind}, {growth.evacuated} of {growth.old_buckets} old buckets evacuated "
        f"({growth.frontier} below nevacuate, {ahead} out of order)",
        style="default",
    )
    console.print(line)
    view = inspection.view
    if view is not None and len(view.evacuated):
        marks = ASCII_MARKS if console.options.ascii_only else MARKS
        console.print(Text("  " + frontier_picture(view.evacuated, marks)))
        console.print(Text("  " + _mark_line(view.header.nevacuate, len(view.evacuated), marks)))
    if growth.writes_to_finish:
        left = growth.writes_to_finish
        writes = number_of(left.max, "more write")
        writes = writes if left.min == left.max else f"{left.min:,} to {writes}"
        console.print(Text(f"  Growth finishes after {writes}; reading never advances it."))


class Marks(NamedTuple):
    """How the state of an old bucket, or of several that share a character, is drawn."""

    evacuated: str
    partly: str
    waiting: str


MARKS = Marks("█", "▒", "░")
ASCII_MARKS = Marks("#", "+", ".")


def frontier_picture(evacuated: NDArray[np.bool_], marks: Marks = MARKS) -> str:
    """The old array as one line: each character stands for an equal share of its buckets."""
    width = min(PICTURE_WIDTH, len(evacuated))
    shares = [part.mean() for part in np.array_split(evacuated, width)]
    return "".join(marks.evacuated if share == 1 else marks.waiting if share == 0 else marks.partly for share in shares)


def _mark_line(nevacuate: int, buckets: int, marks: Marks) -> str:
    width = min(PICTURE_WIDTH, buckets)
    at = min(nevacuate, buckets) * width // buckets
    legend = "  ".join(f"{mark} {meaning}" for mark, meaning in zip(marks, Marks._fields, strict=True))
    return " " * at + f"^ nevacuate {nevacuate}   {legend}"


def _occupancy(occupancy: Occupancy, console: Console) -> None:
    held = occupancy.bytes
    used = f"{occupancy.live / occupancy.cells:.0%} used" if occupancy.cells else "the first write makes some"
    old = number_of(occupancy.old_overflow_buckets, "old overflow bucket")
    lines = [
        f"{number_of(occupancy.live, 'entry')} in {number_of(occupancy.cells, 'cell')} ({used})",
        f"  {number_of(occupancy.buckets, 'bucket')}, {_chains(occupancy)}{f'; {old}' if held.old else ''}",
        f"  {size(held.total)}: buckets {size(held.buckets)}, overflow {size(held.overflow)}, old {size(held.old)}, "
        f"header {size(held.header)}; a fresh map would need {size(held.if_rebuilt)}",
    ]
    text = Text("occupancy: ", style="cyan")
    text.append("\n".join(lines), style="default")
    console.print(text)


def _chains(occupancy: Occupancy) -> str:
    """How many buckets have overflow buckets, and how long their chains are."""
    longer = {length: count for length, count in occupancy.chain_lengths.items() if length > 1}
    if not longer:
        return "none with overflow"
    chains = ", ".join(f"{number_of(count, 'chain')} of {length}" for length, count in longer.items())
    return f"{sum(longer.values()):,} with overflow ({chains})"


def _advice(growth: Growth, occupancy: Occupancy, console: Console) -> None:
    """What to do about a map that holds far more than it needs."""
    held = occupancy.bytes
    spared = held.total - held.if_rebuilt
    if growth.kind is not None or spared < max(WORTH_REPLACING, held.if_rebuilt):
        return
    if occupancy.live:
        how = f"This map holds {size(held.total)} for {number_of(occupancy.live, 'entry')}"
        what = "maps.Clone, or a new map that is filled from it"
    else:
        how, what = f"This map is empty but holds {size(held.total)}", "make, or maps.Clone"
    console.print(Text(f"{how}: Go maps never shrink. Replace it ({what}) to give {size(spared)} back."))


def _entries(inspection: Inspection, console: Console) -> None:
    if not inspection.entries_shown:
        return
    console.print()
    shown, total = inspection.entries_shown, inspection.entries_total
    title = f"entries ({shown:,} of {total:,})" if shown < total else f"entries ({total:,})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="cyan")
    for name in ("array", "bucket", "cell", "key", "element"):
        table.add_column(name, justify="right" if name in ("bucket", "cell") else "left", overflow="fold")
    for entry in inspection.entries():
        bucket = f"{entry.bucket}+{entry.overflow}" if entry.overflow else str(entry.bucket)
        table.add_row(
            Text(entry.array),
            Text(bucket),
            Text(str(entry.cell)),
            Text(go_form(entry.key)),
            Text(go_form(entry.value)),
        )
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
    console.print(Text(f"   where: {_place(finding.where)}"))
    console.print(Text(f"observed: {plain(finding.observed)}"))
    console.print(Text(f"expected: {plain(finding.expected)}"))
    console.print(Text(f"  source: {finding.source}"))


def _place(where: Where) -> str:
    parts = [f"{where.array} array"] if where.array else []
    parts += [f"bucket {where.bucket}"] if where.bucket is not None else []
    parts += [f"overflow {where.overflow}"] if where.overflow else []
    parts += [f"cell {where.cell}"] if where.cell is not None else []
    parts += [f"at {where.address:#x}"] if where.address is not None else []
    return ", ".join(parts) or "header"


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
