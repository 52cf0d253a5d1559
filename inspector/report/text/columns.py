"""Tables that fit into the terminal: each row is one line, columns drop out by width, names are cut in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = 2
"""Blanks between two columns."""

SHORTEST = 8
"""Characters that are left of a name at least."""

ELLIPSIS, ASCII_ELLIPSIS = "…", "..."


@dataclass(frozen=True)
class Column:
    """One column: its title, a cell for each row, and what may happen to it where the terminal is narrow.

    A cell is never wrapped. It is cut only if `least` says how many characters have to be left of it. Columns with the
    highest `drops` are left out first, those with 0 never. `styles` are those of the cells, empty for none. Where the
    column `instead_of` is left out, its cells stand in the place of empty ones here.
    """

    title: str
    cells: Sequence[str]
    number: bool = False
    least: int | None = None
    drops: int = 0
    styles: Sequence[str] = ()
    instead_of: str | None = None

    @property
    def full(self) -> int:
        """Columns of the terminal that it takes whole."""
        return max([cell_len(self.title), *map(cell_len, self.cells)])

    @property
    def smallest(self) -> int:
        """Columns of the terminal that it takes at least."""
        return self.full if self.least is None else min(self.full, max(self.least, cell_len(self.title)))


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that there is room for."""
    shown = list(columns)
    while _room(shown) > width and any(column.drops for column in shown):
        left_out = max(shown, key=lambda column: column.drops)
        shown.remove(left_out)
        shown = [_standing_in(column, left_out) for column in shown]
    return shown


def _standing_in(column: Column, left_out: Column) -> Column:
    if column.instead_of != left_out.title:
        return column
    cells = [own or other for own, other in zip(column.cells, left_out.cells, strict=True)]
    return replace(column, cells=cells)


def print_table(title: str, columns: Sequence[Column], console: Console) -> set[str]:
    """Print a title and a table, as much of it as fits; returns the titles of the columns that did.

    What is in the cells must be harmless to a terminal.
    """
    shown = fitting(columns, console.width)
    widths = _widths(shown, console.width)
    dots = ASCII_ELLIPSIS if console.options.ascii_only else ELLIPSIS
    print_line(Text(cut(title, console.width, dots), style="italic"), console)
    head = [_cell(column.title, column.number, width, dots) for column, width in zip(shown, widths, strict=True)]
    print_line(_joined([Text(cell, style="cyan") for cell in head]), console)
    for row in range(len(columns[0].cells) if columns else 0):
        cells = [
            Text(
                _cell(column.cells[row], column.number, width, dots), style=column.styles[row] if column.styles else ""
            )
            for column, width in zip(shown, widths, strict=True)
        ]
        print_line(_joined(cells), console)
    return {column.title for column in shown}


def print_line(text: Text, console: Console) -> None:
    """Print one line, however long it is."""
    console.print(text, soft_wrap=True)


def cut(text: str, width: int, dots: str = ELLIPSIS) -> str:
    """A text in at most so many columns of a terminal: what is too much is left out in its middle."""
    if cell_len(text) <= width:
        return text
    left = max(0, width - cell_len(dots))
    end = _last(text, left - (left + 1) // 2)
    return _first(text, left - cell_len(end)) + dots + end


def _first(text: str, width: int) -> str:
    taken = 0
    for at, char in enumerate(text):
        taken += cell_len(char)
        if taken > width:
            return text[:at]
    return text


def _last(text: str, width: int) -> str:
    return _first(text[::-1], width)[::-1]


def _cell(text: str, number: bool, width: int, dots: str) -> str:
    short = cut(text, width, dots)
    blanks = " " * (width - cell_len(short))
    return blanks + short if number else short + blanks


def _joined(cells: list[Text]) -> Text:
    line = Text(" " * GAP).join(cells)
    line.rstrip()
    return line


def _room(columns: Sequence[Column]) -> int:
    return sum(column.smallest for column in columns) + GAP * max(0, len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """How wide each column is: what is left over goes to those that are cut, the first of them first."""
    widths = [column.smallest for column in columns]
    spare = width - _room(columns)
    for at, column in enumerate(columns):
        if spare > 0:
            more = min(spare, column.full - widths[at])
        else:
            more = -min(-spare, max(0, widths[at] - SHORTEST)) if column.least is not None else 0
        widths[at] += more
        spare -= more
    return widths
