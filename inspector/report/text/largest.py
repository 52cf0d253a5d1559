"""The largest entries of one map, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.gotypes.render import go_form
from inspector.gotypes.weighing import COUNTED
from inspector.gotypes.words import number_of, size
from inspector.inspection.largest import Largest
from inspector.report.text.columns import Column, print_table
from inspector.report.text.one_map import print_head


def print_largest(largest: Largest, console: Console) -> None:
    """Print which map it is, then its largest entries, and what was counted."""
    print_head(largest.inspection, console)
    shown, total = largest.entries, largest.inspection.entries_total
    console.print()
    title = f"entries by {largest.by} ({len(shown):,} of {total:,})"
    columns = [
        Column("bytes", [size(one.bytes) for one in shown], number=True),
        Column("of key", [size(one.key_bytes) for one in shown], number=True, drops=1),
        Column("of element", [size(one.value_bytes) for one in shown], number=True, drops=2),
        Column("key", [go_form(one.entry.key) for one in shown], least=24),
        Column("element", [go_form(one.entry.value) for one in shown], least=16),
    ]
    print_table(title, columns, console)
    console.print()
    console.print(
        Text(
            f"All {number_of(total, 'entry')} hold {size(largest.key_bytes + largest.value_bytes)}: keys "
            f"{size(largest.key_bytes)}, elements {size(largest.value_bytes)}. {COUNTED}"
        )
    )
    if largest.missed:
        console.print(
            Text(f"Sizes are lower bounds: what {number_of(largest.missed, 'pointer')} lead to could not be read.")
        )
