"""The census for people: a table of maps, the largest first, a summary by type, and the totals."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.census import Census, CensusMap, by_type, total
from inspector.census.diff import Change, Diff, Row
from inspector.census.select import Selection
from inspector.gotypes.render import plain
from inspector.report.text.one_map import VERDICT_STYLES, VERDICT_WORDS

TYPES_SHOWN = 10
ALTERNATIVES = 2
CHANGES_SHOWN = 30

Cell = str | Text


def print_census(census: Census, selection: Selection, diff: Diff | None, console: Console) -> None:
    """Print the whole census. Nothing from the target reaches the terminal unescaped."""
    target = census.target
    what = f"process {target.pid}" if target.kind == "process" else "core"
    stripped = ", stripped" if target.stripped else ""
    console.print(Text(f"{what} of {plain(target.exe)}, {target.go_version}{stripped}, read by {target.memory}"))
    maps = selection.matching(census.maps)
    if maps:
        _maps(maps, selection, console)
        _types(maps, console)
    _findings(maps, console)
    if diff is not None:
        _diff(diff, console)
    _totals(census, maps, console)


def _maps(maps: list[CensusMap], selection: Selection, console: Console) -> None:
    shown = maps[: selection.top]
    title = f"maps by {selection.sort}"
    title += f" ({len(shown):,} of {len(maps):,})" if len(shown) < len(maps) else f" ({len(maps):,})"
    table = _table(title, "address", "type", "name", ">count", ">load", ">bytes", ">if rebuilt", "growing", "verdict")
    for one in shown:
        table.add_row(
            Text(f"{one.address:#x}"),
            Text(_type(one)),
            Text(plain(one.name or (f"in {one.holder}" if one.holder else ""))),
            f"{one.count:,}",
            f"{one.load:.2f}",
            f"{one.bytes.total:,}",
            f"{one.bytes.if_rebuilt:,}",
            _growing(one),
            Text(one.verdict, style=VERDICT_STYLES[one.verdict]),
        )
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    """A table whose columns with a > before their name are numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="cyan")
    for name in columns:
        number = name.startswith(">")
        table.add_column(name.lstrip(">"), justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table


def _type(one: CensusMap) -> str:
    more = len(one.alternatives) - ALTERNATIVES
    others = ", ".join(plain(name) for name in one.alternatives[:ALTERNATIVES])
    alternatives = f" (or {others}{f' and {more} more' if more > 0 else ''})" if others else ""
    return plain(one.type) + alternatives


def _growing(one: CensusMap) -> str:
    return f"{one.growing}, {one.evacuated:,} of {one.old_buckets:,}" if one.growing else ""


def _types(maps: list[CensusMap], console: Console) -> None:
    sums = by_type(maps)
    title = "types" if len(sums) <= TYPES_SHOWN else f"types (the largest {TYPES_SHOWN} of {len(sums)})"
    table = _table(title, "type", ">maps", ">entries", ">bytes", ">wasted", ">growing")
    for name, each in list(sums.items())[:TYPES_SHOWN]:
        numbers = (each.maps, each.entries, each.bytes, each.wasted, each.growing)
        table.add_row(Text(plain(name)), *(f"{number:,}" for number in numbers))
    console.print()
    console.print(table)


def _findings(maps: list[CensusMap], console: Console) -> None:
    for one in maps:
        # Who was at work on a sound map is worth a line, too; a warning about it is not.
        if one.verdict == "consistent" and not any(finding.rule == "W2" for finding in one.findings):
            continue
        console.print()
        console.print(Text(f"{plain(one.type)} at {one.address:#x}: {one.verdict} ({VERDICT_WORDS[one.verdict]})"))
        for finding in one.findings:
            console.print(Text(f"  {finding.rule} {finding.severity}: {plain(finding.message)}"))


def _diff(diff: Diff, console: Console) -> None:
    how = "by address" if diff.by_address else "by name and type: it is not known to be the same process"
    more = f", the first {CHANGES_SHOWN} of {len(diff.changes):,}" if len(diff.changes) > CHANGES_SHOWN else ""
    columns = ("type", "name", ">count before", ">after", ">bytes before", ">after", ">grown by")
    table = _table(f"changes, matched {how}{more}", *columns)
    for change in diff.changes[:CHANGES_SHOWN]:
        table.add_row(*_change(change))
    console.print()
    console.print(table if diff.changes else Text("nothing changed"))


def _change(change: Change) -> list[Cell]:
    one = change.after or change.before
    assert one is not None
    several = f" ({one.maps:,} maps)" if one.maps > 1 else ""
    place = one.name or (f"{one.address:#x}" if one.address else "")

    def number(row: Row | None, part: str) -> str:
        return f"{getattr(row, part):,}" if row else "none"

    return [
        Text(plain(one.type) + several),
        Text(plain(place)),
        number(change.before, "count"),
        number(change.after, "count"),
        number(change.before, "bytes"),
        number(change.after, "bytes"),
        f"{change.bytes:+,}",
    ]


def _totals(census: Census, maps: list[CensusMap], console: Console) -> None:
    every, timing = total(maps), census.timing
    console.print()
    console.print(
        Text(
            f"{every.maps:,} maps with {every.entries:,} entries hold {every.bytes:,} bytes, {every.wasted:,} of them "
            f"given back if they were rebuilt; {every.growing:,} growing, {every.inconsistent:,} inconsistent"
        )
    )
    held = f", held {timing.stopped:.0f} ms in all, {timing.longest_stop:.1f} ms in a row"
    console.print(
        Text(
            f"{census.scanned_bytes:,} bytes scanned, {timing.total / 1000:.1f} s"
            f"{held if census.target.kind == 'process' else ''}",
            style="dim",
        )
    )
