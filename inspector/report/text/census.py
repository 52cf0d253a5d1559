"""The census in text: a table of maps, the largest first, a summary by type, and the totals."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.census import Census, CensusMap, by_type, total
from inspector.census.diff import Change, Diff, Row
from inspector.census.select import Selection
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of, size
from inspector.report.text.one_map import VERDICT_STYLES, VERDICT_WORDS
from inspector.report.text.words import described

TYPES_SHOWN = 10
CHANGES_SHOWN = 30
ABSENT = "-"
"""Stands in the place of a number when there was no such map."""

Cell = str | Text


def print_census(census: Census, selection: Selection, diff: Diff | None, console: Console) -> None:
    """Print the whole census. Nothing from the target reaches the terminal unescaped."""
    console.print(Text(described(census.target)))
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
    state = "growing" if all(one.growing or not _state(one) for one in shown) else "state"
    table = _table(title, "address", "type", "name", ">count", ">load", ">bytes", ">fresh map", state, "verdict")
    for one in shown:
        table.add_row(
            Text(f"{one.address:#x}"),
            Text(_type(one)),
            Text(plain(_place(one))),
            f"{one.count:,}",
            f"{one.load:.2f}",
            size(one.bytes.total),
            size(one.bytes.if_rebuilt),
            Text(_state(one)),
            Text(one.verdict, style=VERDICT_STYLES[one.verdict]),
        )
    console.print(table)
    if any(one.alternatives for one in shown):
        console.print(Text("? another type fits as well: inspect the map by its address to see which", style="dim"))


def _table(title: str, *columns: str) -> Table:
    """A table whose columns with a > before their name are numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="cyan")
    for name in columns:
        number = name.startswith(">")
        table.add_column(name.lstrip(">"), justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table


def _state(one: CensusMap) -> str:
    """A growth that is under way, or what else is worth a word."""
    return ", ".join([*([plain(one.state)] if one.state else []), *(["cloned"] if one.clones else [])])


def _place(one: CensusMap | Row) -> str:
    """The name of a map, or what holds it: words that no name begins with."""
    return one.name or (f"in {one.holder}" if one.holder else "")


def _type(one: CensusMap) -> str:
    return plain(one.type) + (" ?" if one.alternatives else "")


def _types(maps: list[CensusMap], console: Console) -> None:
    sums = by_type(maps)
    title = "types" if len(sums) <= TYPES_SHOWN else f"types (the largest {TYPES_SHOWN} of {len(sums)})"
    table = _table(title, "type", ">maps", ">entries", ">bytes", ">reclaimable", ">growing")
    for name, each in list(sums.items())[:TYPES_SHOWN]:
        numbers = (f"{each.maps:,}", f"{each.entries:,}", size(each.bytes), size(each.wasted), f"{each.growing:,}")
        table.add_row(Text(plain(name)), *numbers)
    console.print()
    console.print(table)


def _findings(maps: list[CensusMap], console: Console) -> None:
    for one in maps:
        # Goroutines that were writing a sound map are worth a line, too; a warning about it is not.
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
    console.print(table if diff.changes else Text("No map changed."))


def _change(change: Change) -> list[Cell]:
    one = change.after or change.before
    assert one is not None
    several = f" ({one.maps:,} maps)" if one.maps > 1 else ""
    place = _place(one) or (f"{one.address:#x}" if one.address else "")

    return [
        Text(plain(one.type) + several),
        Text(plain(place)),
        _count(change.before),
        _count(change.after),
        _size(change.before),
        _size(change.after),
        f"{'-' if change.bytes < 0 else '+'}{size(abs(change.bytes))}",
    ]


def _count(row: Row | None) -> str:
    return f"{row.count:,}" if row else ABSENT


def _size(row: Row | None) -> str:
    return size(row.bytes) if row else ABSENT


def _totals(census: Census, maps: list[CensusMap], console: Console) -> None:
    every, timing = total(maps), census.timing
    console.print()
    console.print(
        Text(
            f"{number_of(every.maps, 'map')} with {number_of(every.entries, 'entry')}: {size(every.bytes)}, "
            f"{size(every.wasted)} reclaimable; {every.growing:,} growing, {every.inconsistent:,} inconsistent"
        )
    )
    paused = f"; paused {timing.stopped:.0f} ms in total, {timing.longest_stop:.1f} ms at most"
    console.print(
        Text(
            f"{size(census.scanned_bytes)} scanned in {timing.total / 1000:.1f} s"
            f"{paused if census.target.kind == 'process' else ''}",
            style="dim",
        )
    )
