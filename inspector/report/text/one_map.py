"""The report for people: what the map is, where its growth stands, whether to believe it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.inspection.one_map import Inspection
from inspector.maps.classic.checks.finding import Finding, Where
from inspector.maps.classic.summary import Growth, Occupancy

PICTURE_WIDTH = 64
ALTERNATIVES = 8
EVACUATED, PARTLY, WAITING = "█", "▒", "░"

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
    console.print(_header(inspection))
    assert inspection.growth is not None
    assert inspection.occupancy is not None
    _growth(inspection, inspection.growth, console)
    _occupancy(inspection.occupancy, console)
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


def _header(inspection: Inspection) -> Table:
    assert inspection.snapshot is not None
    header, extra = inspection.snapshot.header, inspection.snapshot.extra
    table = Table(title="hmap", title_justify="left", show_header=False, box=None, pad_edge=False)
    flags = ", ".join(header.flag_names) or "none"
    rows = [
        ("count", str(header.count)),
        ("flags", f"{header.flags} ({flags})"),
        ("B", f"{header.B} ({1 << min(header.B, 62)} buckets)"),
        ("noverflow", str(header.noverflow)),
        ("hash0", f"{header.hash0:#010x}"),
        ("buckets", _pointer(header.buckets)),
        ("oldbuckets", _pointer(header.oldbuckets)),
        ("nevacuate", str(header.nevacuate)),
        *([] if header.clear_seq is None else [("clearSeq", str(header.clear_seq))]),
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
    return f"{pointer:#x} ({len(buckets)} buckets)"


def _growth(inspection: Inspection, growth: Growth, console: Console) -> None:
    console.print()
    line = Text("growth: ", style="cyan")
    if growth.kind is None:
        line.append("none under way", style="default")
        if growth.next:
            inserts = growth.next.inserts
            line.append(f"; the next is {growth.next.kind}, at new key number {inserts:,} from now", style="default")
        line.append(f"; load {growth.load:.2f} of {growth.load_factor_limit}", style="default")
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
        console.print(Text("  " + frontier_picture(view.evacuated)))
        console.print(Text("  " + _mark_line(view.header.nevacuate, len(view.evacuated))))
    if growth.writes_to_finish:
        left = growth.writes_to_finish
        console.print(
            Text(f"  {left.min} to {left.max} more writes finish it; reads do not: a map only read stays like this")
        )


def frontier_picture(evacuated: NDArray[np.bool_]) -> str:
    """The old array as one line: each character stands for an equal share of its buckets."""
    width = min(PICTURE_WIDTH, len(evacuated))
    shares = [part.mean() for part in np.array_split(evacuated, width)]
    return "".join(EVACUATED if share == 1 else WAITING if share == 0 else PARTLY for share in shares)


def _mark_line(nevacuate: int, buckets: int) -> str:
    width = min(PICTURE_WIDTH, buckets)
    at = min(nevacuate, buckets) * width // buckets
    return " " * at + f"^ nevacuate {nevacuate}   {EVACUATED} evacuated  {PARTLY} partly  {WAITING} waiting"


def _occupancy(occupancy: Occupancy, console: Console) -> None:
    held = occupancy.bytes
    used = f"{occupancy.live / occupancy.cells:.0%}" if occupancy.cells else "none"
    chains = ", ".join(f"{count:,} of {length}" for length, count in occupancy.chain_lengths.items())
    lines = [
        f"{occupancy.live:,} entries; {occupancy.cells:,} cells ({used} used) in {occupancy.buckets:,} buckets "
        f"and {occupancy.overflow_buckets:,} overflow buckets",
        f"  chains: {chains or 'none'}; old overflow buckets: {occupancy.old_overflow_buckets:,}",
        f"  bytes: {held.total:,} (buckets {held.buckets:,}, overflow {held.overflow:,}, old {held.old:,}, "
        f"header {held.header:,}); rebuilt now: {held.if_rebuilt:,}",
    ]
    text = Text("occupancy: ", style="cyan")
    text.append("\n".join(lines), style="default")
    console.print(text)


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
    if inspection.snapshot is not None:
        console.print(Text(_proof(inspection)))


def _timing(inspection: Inspection, console: Console) -> None:
    timing, snapshot = inspection.timing, inspection.snapshot
    assert snapshot is not None
    held = f"target held {timing.stopped:.1f} ms, " if inspection.target.kind == "process" else ""
    console.print(Text(f"{held}{snapshot.bytes_read:,} bytes read, checked in {timing.check:.1f} ms", style="dim"))
