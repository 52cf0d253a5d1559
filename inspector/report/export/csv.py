r"""Entries as CSV that is safe to open in a spreadsheet: text in UTF-8, a line of names, then a line for each entry.

No text of the target can be a formula: what begins like one gets an apostrophe in front, and so does what begins with
an apostrophe, so that taking one away gives the text again. Nothing stands between commas where there is no value; an
empty text is "". Bytes that are not UTF-8 are written as \xff.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import IO

import numpy as np

from inspector import watching
from inspector.gotypes.columns import Blobs, Texts
from inspector.gotypes.gotype import Kind
from inspector.gotypes.reach import MAX_STRING
from inspector.gotypes.render import json_text
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import (
    Addresses,
    Flat,
    Losses,
    Plain,
    Times,
    Words,
    flat_table,
    shape_of,
    windows_of,
)
from inspector.report.export.moments import time_texts
from inspector.report.pieces import Piece, address_texts, boolean_texts, harmless, integer_texts, interleaved

_FORMULA = re.compile("[\\s\0-\x1f\ufeff]*[=+\\-@'\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a text begins that a spreadsheet may take for a formula, or that has an apostrophe of its own."""

_QUOTED = re.compile('[",\r\n]|^$|^\\s|\\s$')
"""What a text has that is written in quotation marks."""

_SPECIAL_HEADS = np.frombuffer(b"=+-@' ", np.uint8)


def write_csv(inspection: Inspection, out: IO[bytes]) -> Losses:
    """Write all shown entries; raises OSError."""
    losses = Losses()
    shape = shape_of(inspection, utf8=False)
    watching.begin("Writing entries", inspection.entries_shown)
    for window in windows_of(inspection):
        watching.reach(window.first)
        table = flat_table(window, shape)
        losses.count(table)
        if not window.first:
            out.write((",".join(text_cell(flat.name) for flat in table) + "\n").encode(errors="backslashreplace"))
        pieces: list[Piece] = []
        for flat in table:
            pieces += [",", flat.spread(_texts(flat), "")]
        out.write(interleaved([*pieces[1:], "\n"], len(window)).encode(errors="backslashreplace"))
    return losses


def text_cell(text: str) -> str:
    """A text as one cell."""
    if _FORMULA.match(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _texts(flat: Flat) -> list[str]:
    """Each cell as text."""
    cells = flat.cells
    if isinstance(cells, Plain):
        return _number_texts(cells)
    if isinstance(cells, Addresses):
        return list(address_texts(cells.numbers))
    if isinstance(cells, Times):
        return time_texts(cells)
    if isinstance(cells, Words):
        words = {word: text_cell(word) for word in set(cells.texts)}
        return [words[word] for word in cells.texts]
    if isinstance(cells, Blobs):
        return [f"0x{row.tobytes().hex()}" for row in cells.rows[:, :MAX_STRING]]
    if isinstance(cells, Texts) and cells.type.kind == Kind.SLICE:
        return [f"0x{each.hex()}" for each in cells.each()]
    if isinstance(cells, Texts):
        return _string_texts(cells)
    return [text_cell(json_text(value)) for value in cells.column.values()]


def _number_texts(cells: Plain) -> list[str]:
    kind = cells.numbers.dtype.kind
    if kind == "b":
        return boolean_texts(cells.numbers)
    if kind != "f":
        return list(integer_texts(cells.numbers))
    texts = list(map(repr, cells.numbers.tolist()))
    for at in np.flatnonzero(~np.isfinite(cells.numbers)).tolist():
        number = cells.numbers[at]
        texts[at] = "NaN" if np.isnan(number) else "Inf" if number > 0 else "-Inf"
    return texts


def _string_texts(cells: Texts) -> list[str]:
    data, ends = cells.data, cells.offsets
    if harmless(data) and bool((cells.held > 0).all()) and not bool((data == ord(",")).any()):
        tails = data[ends[1:] - 1] == ord(" ")
        if not bool((np.isin(data[ends[:-1]], _SPECIAL_HEADS) | tails).any()):
            text = data.tobytes().decode("ascii")
            return [text[start:end] for start, end in pairwise(ends.tolist())]
    return [text_cell(each.decode(errors="backslashreplace")) for each in cells.each()]
