"""What differs between two copies of one map, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.gotypes.words import number_of
from inspector.inspection.comparison import EntryDiff
from inspector.report.text.columns import Column, print_line, print_table
from inspector.report.text.words import described

ADDED, REMOVED, CHANGED = "+", "-", "~"


def print_entry_diff(diff: EntryDiff, top: int | None, console: Console) -> None:
    """Print how many entries differ, and `top` of them, all where it is None: changed, added, removed ones."""
    ref = diff.after.ref
    name = plain(ref.name) if ref.name else f"{ref.address:#x}"
    console.print(Text(described(diff.after.target)))
    counts = f"{diff.before.entries_total:,} before, {diff.after.entries_total:,} after"
    print_line(Text(f"{name}  {plain(ref.type.name)}  entries: {counts}"), console)
    numbers = (len(diff.added), len(diff.removed), len(diff.changed), diff.unchanged)
    words = ("added", "removed", "changed", "unchanged")
    console.print(Text(", ".join(f"{number:,} {word}" for number, word in zip(numbers, words, strict=True))))
    rows = [(CHANGED, go_form(new.key), go_form(new.value), go_form(old.value)) for old, new in diff.changed[:top]]
    rows += [(ADDED, go_form(entry.key), go_form(entry.value), "") for entry in diff.added[:top]]
    rows += [(REMOVED, go_form(entry.key), "", go_form(entry.value)) for entry in diff.removed[:top]]
    shown = rows[:top]
    if not shown:
        return
    every = sum(numbers[:3])
    title = f"{number_of(every, 'entry')} differ" if every > 1 else "1 entry differs"
    title += f" ({len(shown):,} shown)" if len(shown) < every else ""
    columns = [
        Column("", [row[0] for row in shown]),
        Column("key", [row[1] for row in shown], least=16),
        Column("element", [row[2] for row in shown], least=16),
        Column("before", [row[3] for row in shown], least=16),
    ]
    console.print()
    print_table(title, columns, console)
