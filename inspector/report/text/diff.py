"""What changed between two censuses, in text: by group first, then the single maps that stand out."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.census.diff import Change, Diff, Row
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.inspection.one_map import TargetInfo
from inspector.report.text.columns import Column, print_line, print_table
from inspector.report.text.view import View, more
from inspector.report.text.words import described

MAPS_SHOWN = 10
"""Single maps that are listed: with the groups they fill a screen."""

ABSENT = "-"
"""Stands in the place of a number when there is no such map."""


def print_diff(diff: Diff, top: int | None, view: View, console: Console) -> None:
    """Print what changed, the largest growth first: `top` groups, all where it is None."""
    if not diff.changes:
        print_line(Text("No map changed."), console)
        return
    if diff.groups:
        _groups(diff, top, view, console)
    else:
        print_line(Text("No group holds more or less than before."), console)
    standing_out = diff.outstanding()
    if standing_out:
        console.print()
        _maps(standing_out, diff.by_address, view, console)
    if not diff.by_address:
        note = "Maps are matched by name and type: it is not known to be the same process."
        console.print(Text(note, style="dim"))


def print_diff_of(target: TargetInfo, diff: Diff, top: int | None, view: View, console: Console) -> None:
    """Print what changed in a target whose census was saved."""
    console.print(Text(described(target)))
    print_diff(diff, top, view, console)


def _groups(diff: Diff, top: int | None, view: View, console: Console) -> None:
    shown = diff.groups[:top]
    count = f"{len(shown):,} of {len(diff.groups):,}" if len(shown) < len(diff.groups) else f"{len(shown):,}"
    unchanged = f"; {number_of(diff.unchanged, 'group')} unchanged" if diff.unchanged else ""
    columns = [
        Column("where", [plain(group.place.name) for group in shown], least=28),
        Column("grown by", [view.growth(group.bytes) for group in shown], number=True),
        Column("bytes", [view.size(group.after.bytes) for group in shown], number=True),
        Column("maps", [f"{group.after.maps:,}" for group in shown], number=True, drops=3),
        Column("more", [more(group.maps) for group in shown], number=True, drops=1),
        Column("entries", [f"{group.after.entries:,}" for group in shown], number=True, drops=4),
        Column("more", [more(group.entries) for group in shown], number=True, drops=2),
        Column("of", [plain(group.type) for group in shown], least=18, drops=5),
    ]
    print_table(f"changes by group ({count}{unchanged})", columns, console)


def _maps(changes: list[Change], by_address: bool, view: View, console: Console) -> None:
    shown = changes[:MAPS_SHOWN]
    count = f"{len(shown):,} of {len(changes):,}" if len(shown) < len(changes) else f"{len(shown):,}"
    rows = [_one(change) for change in shown]
    columns = [
        Column("name", [_name(row) for row in rows], least=24),
        Column("grown by", [view.growth(change.bytes) for change in shown], number=True),
        Column("bytes", [view.size(change.after.bytes) if change.after else ABSENT for change in shown], number=True),
        Column("entries", [f"{change.after.count:,}" if change.after else ABSENT for change in shown], number=True,
               drops=1),
        Column("more", [more(change.count) for change in shown], number=True, drops=2),
        Column("of", [plain(row.type) for row in rows], least=18, drops=3),
    ]  # fmt: skip
    if by_address:
        columns.insert(0, Column("address", [f"{row.address:#x}" if row.address else ABSENT for row in rows]))
    print_table(f"single maps that stand out ({count})", columns, console)


def _one(change: Change) -> Row:
    row = change.after or change.before
    assert row is not None
    return row


def _name(row: Row) -> str:
    """The name of a map, or what holds it; several that have the same are counted."""
    several = f" ({row.maps:,} maps)" if row.maps > 1 else ""
    return plain(row.name or (f"in {row.holder}" if row.holder else row.type)) + several
