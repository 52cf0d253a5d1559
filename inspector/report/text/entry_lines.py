"""Many entries of one map in text, line by line, written from columns as they are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from inspector import watching
from inspector.inspection.columns import Window
from inspector.inspection.one_map import Inspection
from inspector.report.pieces import Piece, interleaved
from inspector.report.text.columns import GAP, print_line
from inspector.report.text.values import go_texts
from inspector.report.text.words import title_of


@dataclass
class _Column:
    """A column but for the last: its title, whether it has numbers, the most columns of a terminal that it takes."""

    title: str
    number: bool = False
    width: int = field(default=0)

    def padded(self, texts: list[str]) -> list[str]:
        """Texts as wide as the column."""
        width = self.width
        if "".join(texts).isascii():
            return [text.rjust(width) for text in texts] if self.number else [text.ljust(width) for text in texts]
        blanks = [" " * (width - cell_len(text)) for text in texts]
        pairs = zip(blanks, texts, strict=True) if self.number else zip(texts, blanks, strict=True)
        return list(map("".join, pairs))


def print_lines(inspection: Inspection, console: Console) -> None:
    """Print the table of entries, each on a line however long, with as many in memory as one window has.

    Columns are as wide as their widest cell, which is looked for first. Raises OSError.
    """
    columns = _measured(inspection)
    console.print(Text(title_of(inspection), style="italic"))
    heads = [Text(text, style="cyan") for text in (*_padded_titles(columns), "element")]
    print_line(Text(" " * GAP).join(heads), console)
    watching.begin("Writing entries", inspection.entries_shown)
    for window in inspection.columns():
        watching.reach(window.first)
        console.file.write(_lines(window, columns))


def _measured(inspection: Inspection) -> list[_Column]:
    """All columns but the last, as wide as they have to be."""
    watching.begin("Measuring entries", inspection.entries_shown)
    columns: list[_Column] = []
    for window in inspection.columns():
        watching.reach(window.first)
        cells = list(_cells(window))
        columns = columns or [_Column(title, texts[0][:1].isdigit(), len(title)) for title, texts in cells]
        # Keys may begin with a digit, and are texts all the same.
        columns[-1].number = False
        for column, (_, texts) in zip(columns, cells, strict=True):
            width = len if "".join(texts).isascii() else cell_len
            column.width = max(column.width, max(map(width, texts)))
    return columns


def _cells(window: Window) -> Iterator[tuple[str, list[str]]]:
    yield from window.places.columns().items()
    yield "key", go_texts(window.keys)


def _padded_titles(columns: list[_Column]) -> Iterator[str]:
    for column in columns:
        yield from column.padded([column.title])


def _lines(window: Window, columns: list[_Column]) -> str:
    gap = " " * GAP
    pieces: list[Piece] = []
    for column, (_, texts) in zip(columns, _cells(window), strict=True):
        pieces += [column.padded(texts), gap]
    return interleaved([*pieces, go_texts(window.values), "\n"], len(window))
