"""What maps keep alive alone, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.census import Census
from inspector.census.retaining import COUNTED, RetainedSearch
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.heap.references import Retained
from inspector.inspection.one_map import Inspection
from inspector.report.text.census import print_soundness
from inspector.report.text.columns import Column, print_table
from inspector.report.text.one_map import print_head
from inspector.report.text.view import View
from inspector.report.text.words import described

INCOMPLETE = "Some memory could not be read: what it leads to may be counted here all the same."


def print_retained(
    inspection: Inspection, retained: Retained | None, complete: bool, view: View, console: Console
) -> None:
    """Print which map it is, and what it keeps alone."""
    print_head(inspection, console)
    if retained is None:
        return
    console.print()
    console.print(
        Text(
            f"Alone it keeps {number_of(retained.objects, 'object')} of {view.size(retained.bytes)} alive, of "
            f"{view.size(retained.reached)} that it leads to."
        )
    )
    _counted(complete, console)


def print_all_retained(census: Census, search: RetainedSearch, view: View, console: Console) -> None:
    """Print what groups of maps, or single maps, keep alone. Nothing from the target reaches the terminal unescaped."""
    console.print(Text(described(census.target)))
    shown = search.of
    single = any(one.address is not None for one in shown)
    what = "maps" if single else "groups of maps"
    count = f"{len(shown):,} of {search.total:,}" if len(shown) < search.total else f"{search.total:,}"
    first = [
        Column("address", [f"{one.address or 0:#x}" for one in shown]),
        Column("name", [plain(one.name or one.type) for one in shown], least=24),
    ]
    columns = [
        *(first if single else [Column("where", [plain(one.name or "") for one in shown], least=24)]),
        Column("maps", [f"{one.maps:,}" for one in shown], number=True, drops=2),
        Column("bytes", [view.size(one.bytes) for one in shown], number=True, drops=1),
        Column("keeps alone", [view.size(one.retained.bytes) for one in shown], number=True),
        Column("objects", [f"{one.retained.objects:,}" for one in shown], number=True, drops=3),
        Column("leads to", [view.size(one.retained.reached) for one in shown], number=True, drops=4),
    ]
    print_table(f"what {what} keep alive alone ({count})", columns, console)
    console.print()
    _counted(search.complete, console)
    print_soundness(list(census.maps), console)


def _counted(complete: bool, console: Console) -> None:
    console.print(Text(COUNTED))
    if not complete:
        console.print(Text(INCOMPLETE))
