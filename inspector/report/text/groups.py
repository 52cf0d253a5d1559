"""The groups of a census in text: where maps hang, how many there are, and what they hold."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from inspector.census.groups import Group
from inspector.census.select import Selection
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.report.text.columns import ASCII_ELLIPSIS, ELLIPSIS, Column, cut, print_line, print_table
from inspector.report.text.view import View, percent

NOTHING_KNOWN = "(held by nothing known)"
TYPE = "of"


def print_groups(groups: list[Group], selection: Selection, view: View, console: Console) -> None:
    """Print a table of groups, as many as were asked for."""
    shown = groups[: selection.top]
    title = f"groups of maps by {selection.sort}"
    title += f" ({len(shown):,} of {len(groups):,})" if len(shown) < len(groups) else f" ({len(groups):,})"
    columns = [
        Column("where", [_where(group) for group in shown], least=28),
        Column("maps", [f"{group.sum.maps:,}" for group in shown], number=True, drops=1),
        Column("entries", [f"{group.sum.entries:,}" for group in shown], number=True, drops=4),
        Column("bytes", [view.size(group.sum.bytes) for group in shown], number=True),
        Column("share", [percent(group.share) for group in shown], number=True, drops=2),
    ]
    if any(group.share_of_heap is not None for group in shown):
        heap = [percent(group.share_of_heap or 0.0) for group in shown]
        columns.append(Column("of heap", heap, number=True, drops=6))
    columns.append(
        Column("reclaimable", [view.size(group.sum.wasted) for group in shown], number=True, drops=3),
    )
    states = [_state(group) for group in shown]
    if any(states):
        styles = ["bold red" if group.sum.inconsistent else "" for group in shown]
        columns.append(Column("state", states, styles=styles))
    columns.append(Column(TYPE, [_types(group) for group in shown], least=18, drops=5))
    left = print_table(title, columns, console)
    if TYPE not in left and any(group.held_by == "nothing-known" for group in shown):
        note = "a type in the place of a name: nothing known holds these maps"
        print_line(Text(note, style="dim"), console)
    if any(group.ambiguous and (TYPE in left or group.held_by == "nothing-known") for group in shown):
        print_line(Text("? another type fits some of these maps as well", style="dim"), console)


def print_group(group: Group, view: View, console: Console) -> None:
    """Print what one group is and holds, in a line that can be searched for."""
    share = f"{percent(group.share)} of the bytes of all maps"
    if group.share_of_heap is not None:
        share += f", {percent(group.share_of_heap)} of the heap in use"
    types = NOTHING_KNOWN if group.held_by == "nothing-known" else f"of {_types(group)}"
    parts = (number_of(group.sum.maps, "map"), view.size(group.sum.bytes), types)
    facts = "".join(f"  {part}" for part in parts)
    dots = ASCII_ELLIPSIS if console.options.ascii_only else ELLIPSIS
    room = max(console.width // 2, console.width - cell_len(facts))
    line = Text(cut(plain(group.name), room, dots), style="bold")
    line.append(facts, style="not bold")
    print_line(line, console)
    waste = f", {view.size(group.sum.wasted)} reclaimable" if group.sum.wasted else ""
    console.print(Text(f"{number_of(group.sum.entries, 'entry')}; {share}{waste}"))


def _where(group: Group) -> str:
    """Its name; one that is a type may be another type."""
    return plain(group.name) + (" ?" if group.held_by == "nothing-known" and group.ambiguous else "")


def _types(group: Group) -> str:
    """The type of most of its bytes, and whether there are others."""
    if group.held_by == "nothing-known":
        return NOTHING_KNOWN
    others = f" and {len(group.types) - 1:,} more" if len(group.types) > 1 else ""
    return f"{plain(group.types[0])}{others}{' ?' if group.ambiguous else ''}"


def _state(group: Group) -> str:
    """How many of its maps are not at rest."""
    several = group.sum
    parts = ((several.inconsistent, "inconsistent"), (several.growing, "growing"))
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)
