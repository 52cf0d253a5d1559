"""Entries as JSON lines: one flat object a line, whose members are values as in the JSON document."""

from __future__ import annotations

from typing import IO

from inspector import watching
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import Addresses, Flat, Losses, Nested, Plain, Times, Words, flat_table, windows_of
from inspector.report.export.moments import time_texts
from inspector.report.json.dumping import dumps
from inspector.report.json.entries import NOTHING, number_texts, pieces_of
from inspector.report.pieces import Piece, address_texts, interleaved, joined


def write_jsonl(inspection: Inspection, out: IO[bytes]) -> Losses:
    """Write all shown entries; raises OSError."""
    losses = Losses()
    watching.begin("Writing entries", inspection.entries_shown)
    for window in windows_of(inspection):
        watching.reach(window.first)
        table = flat_table(window)
        losses.count(table)
        pieces: list[Piece] = []
        for at, flat in enumerate(table):
            pieces += [f"{', ' if at else '{'}{dumps(flat.name)}: ", *_pieces(flat)]
        out.write(interleaved([*pieces, "}\n"], len(window)).encode())
    # A text that was cut says so in its place.
    return Losses(losses.unread)


def _pieces(flat: Flat) -> list[Piece]:
    """Each row of a column in JSON."""
    pieces = _cells(flat)
    if flat.known.all() and not flat.void.any():
        return pieces
    return [flat.spread(list(joined(pieces, len(flat.void))), NOTHING)]


def _cells(flat: Flat) -> list[Piece]:
    """Each cell of a column in JSON."""
    cells = flat.cells
    if isinstance(cells, Plain):
        return [number_texts(cells.numbers)]
    if isinstance(cells, Addresses):
        return ['"', address_texts(cells.numbers), '"']
    if isinstance(cells, Times):
        return ['"', time_texts(cells), '"']
    if isinstance(cells, Words):
        words = {word: dumps(word) for word in set(cells.texts)}
        return [[words[word] for word in cells.texts]]
    return pieces_of(cells.column if isinstance(cells, Nested) else cells)
