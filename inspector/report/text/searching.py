"""Entries that match an expression, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.census import Census
from inspector.census.searching import Search
from inspector.gotypes.matching import LONGEST_TEXT
from inspector.gotypes.render import go_form, plain
from inspector.gotypes.words import number_of
from inspector.inspection.searching import Matches
from inspector.report.text.census import place_words, print_soundness
from inspector.report.text.columns import Column, print_table
from inspector.report.text.one_map import print_head
from inspector.report.text.words import described


def print_matches(matches: Matches, console: Console) -> None:
    """Print which map it is, then its entries that match."""
    print_head(matches.inspection, console)
    console.print()
    of = number_of(matches.inspection.entries_total, "entry")
    shown = matches.entries
    if not matches.total:
        console.print(Text(f"No {_where(matches.in_values)} matches, of {of}."))
    else:
        columns = [
            Column("key", [_key(literal, go_form(entry.key)) for literal, entry in shown], least=24),
            Column("element", [go_form(entry.value) for _, entry in shown], least=16),
        ]
        print_table(f"entries that match ({_counts(len(shown), matches.total)}, among {of})", columns, console)
    _cut(matches.cut, console)


def print_search(census: Census, search: Search, console: Console) -> None:
    """Print the entries of all maps that match. Nothing from the target reaches the terminal unescaped."""
    console.print(Text(described(census.target)))
    shown = search.matches
    maps = number_of(search.maps, "map")
    if not search.total:
        console.print(Text(f"No {_where(search.in_values)} matches, in {maps}."))
    else:
        columns = [
            Column("address", [f"{one.map.address:#x}" for one in shown]),
            Column("map", [plain(place_words(one.map) or one.map.type) for one in shown], least=20),
            Column("key", [_key(one.literal, go_form(one.key)) for one in shown], least=20),
            Column("element", [go_form(one.value) for one in shown], least=12, drops=1),
        ]
        counts = _counts(len(shown), search.total)
        print_table(f"entries that match ({counts}, in {search.with_matches:,} of {maps})", columns, console)
    _cut(search.cut, console)
    console.print()
    print_soundness(list(census.maps), console)


def _where(in_values: bool) -> str:
    return "key or element" if in_values else "key"


def _counts(shown: int, total: int) -> str:
    return f"{shown:,} of {total:,}" if shown < total else f"{total:,}"


def _key(literal: str | None, form: str) -> str:
    return plain(literal) if literal is not None else form


def _cut(cut: int, console: Console) -> None:
    if cut:
        were = "was" if cut == 1 else "were"
        console.print(Text(f"{number_of(cut, 'text')} {were} searched in the first {LONGEST_TEXT:,} characters only."))
