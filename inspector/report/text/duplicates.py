"""Strings that are held more than once, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.census import Census
from inspector.gotypes.render import go_form
from inspector.gotypes.words import number_of, size
from inspector.inspection.duplicates import Duplicates
from inspector.inspection.one_map import Inspection
from inspector.report.text.census import print_soundness
from inspector.report.text.columns import Column, print_table
from inspector.report.text.one_map import print_head
from inspector.report.text.words import described


def print_duplicates(inspection: Inspection, found: Duplicates, console: Console) -> None:
    """Print which map it is, then the strings that it holds more than once."""
    print_head(inspection, console)
    console.print()
    _duplicates(found, number_of(inspection.entries_total, "entry"), console)


def print_all_duplicates(census: Census, found: Duplicates, maps: int, console: Console) -> None:
    """Print the strings that all maps hold more than once. Nothing from the target reaches the terminal unescaped."""
    console.print(Text(described(census.target)))
    _duplicates(found, number_of(maps, "map"), console)
    print_soundness(list(census.maps), console)


def _duplicates(found: Duplicates, where: str, console: Console) -> None:
    shown = found.top
    if found.texts:
        title = f"strings held more than once ({len(shown):,} of {found.texts:,})"
        columns = [
            Column("gives back", [size(one.gives_back) for one in shown], number=True),
            Column("copies", [f"{one.copies:,}" for one in shown], number=True),
            Column("times", [f"{one.times:,}" for one in shown], number=True, drops=2),
            Column("each", [size(one.text.length) for one in shown], number=True, drops=1),
            Column("text", [go_form(one.text) for one in shown], least=16),
        ]
        print_table(title, columns, console)
        console.print()
    words = f"{where} hold {number_of(found.strings, 'string')}, which lie at {found.addresses:,} addresses. "
    if found.texts:
        words += (
            f"{number_of(found.texts, 'text')} of them {'is' if found.texts == 1 else 'are'} there more than once, in "
            f"{found.copies:,} copies: to keep each once would give back {size(found.bytes)} at most."
        )
    else:
        words += "No text is there more than once."
    console.print(Text(words))
    if found.not_read:
        console.print(Text(f"{number_of(found.not_read, 'string')} could not be read."))
