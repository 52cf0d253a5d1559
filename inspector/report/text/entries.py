"""The entries of one map in text: few as a table that fits the terminal, many line by line (entry_lines.py)."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.gotypes.render import go_form
from inspector.inspection.one_map import Inspection
from inspector.report.text.words import title_of

LARGEST_TABLE = 1000
"""Entries up to which there is a table, whose cells are folded where the terminal is narrow."""


def print_entries(inspection: Inspection, console: Console) -> None:
    """Print the shown entries; nothing if there are none."""
    if not inspection.entries_shown:
        return
    console.print()
    if inspection.entries_shown <= LARGEST_TABLE:
        console.print(_table(inspection))
    else:
        # Columns, with a data class for each kind of them, take 6 ms to load.
        from inspector.report.text.entry_lines import print_lines

        print_lines(inspection, console)


def _table(inspection: Inspection) -> Table:
    table = Table(title=title_of(inspection), title_justify="left", box=None, pad_edge=False, header_style="cyan")
    for at, entry in enumerate(inspection.entries()):
        place = entry.place.columns()
        if not at:
            for name, value in place.items():
                table.add_column(name, justify="right" if value[:1].isdigit() else "left", overflow="fold")
            for name in ("key", "element"):
                table.add_column(name, overflow="fold")
        cells = (*place.values(), go_form(entry.key), go_form(entry.value))
        table.add_row(*(Text(cell) for cell in cells))
    return table
