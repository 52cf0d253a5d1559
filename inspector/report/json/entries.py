"""Entries in JSON, written from columns: what one_map.entry_form gives of each, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from itertools import pairwise
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector import watching
from inspector.gotypes.columns import (
    Arrays,
    Blobs,
    Column,
    Maps,
    Numbers,
    Objects,
    Partial,
    Pointers,
    Structs,
    Texts,
)
from inspector.gotypes.gotype import Kind
from inspector.gotypes.reach import MAX_STRING
from inspector.gotypes.render import json_form
from inspector.gotypes.values import GoString
from inspector.inspection.columns import Window
from inspector.inspection.one_map import Inspection
from inspector.maps.liverows import PlacePart
from inspector.report.json.dumping import dumps
from inspector.report.pieces import Piece, address_texts, boolean_texts, harmless, integer_texts, interleaved, joined

NOTHING = "null"


def entry_texts(inspection: Inspection, end: str) -> Iterator[str]:
    """The shown entries in JSON, many at a time, with `end` behind each."""
    watching.begin("Writing entries", inspection.entries_shown)
    for window in inspection.columns():
        watching.reach(window.first)
        yield window_text(window, end)


def window_text(window: Window, end: str) -> str:
    """The entries of a window in JSON, with `end` behind each."""
    pieces: list[Piece] = ['{"key": ', *pieces_of(window.keys), ', "value": ', *pieces_of(window.values)]
    for name, part in window.places.form().items():
        pieces += [f', "{name}": ', _place_piece(part)]
    pieces += [', "address": "', address_texts(window.places.addresses), f'"}}{end}']
    return interleaved(pieces, len(window))


def texts_of(column: Column) -> list[str]:
    """Each value of a column in JSON."""
    return joined(pieces_of(column), len(column))


# Values


@singledispatch
def pieces_of(column: Column) -> list[Piece]:
    """The values of a column in JSON."""
    raise TypeError(f"{type(column).__name__} is not a column")


@pieces_of.register
def _numbers(column: Numbers) -> list[Piece]:
    numbers = column.numbers
    if numbers.dtype.kind == "c":
        return ['{"complex": [', float_texts(numbers.real), ", ", float_texts(numbers.imag), "]}"]
    return [number_texts(numbers)]


@pieces_of.register
def _texts(column: Texts) -> list[Piece]:
    sound, cut = column.sound, column.cut
    if column.type.kind == Kind.SLICE:
        texts = _bytes_texts(column)
    elif harmless(column.data) and sound.all():
        text, ends = column.data.tobytes().decode("ascii"), column.offsets.tolist()
        if not cut.any():
            return ['"', [text[start:end] for start, end in pairwise(ends)], '"']
        texts = [f'"{text[start:end]}"' for start, end in pairwise(ends)]
    else:
        texts = list(map(_string_text, column.each()))
    if column.type.kind == Kind.STRING:
        for at in np.flatnonzero(cut).tolist():
            texts[at] = dumps(json_form(GoString(column.data[slice(*column.offsets[at : at + 2])].tobytes(),
                                                 int(column.lengths[at]))))  # fmt: skip
    for at in np.flatnonzero(~sound).tolist():
        texts[at] = dumps(json_form(column.instead(at)))
    return [texts]


def _bytes_texts(column: Texts) -> list[str]:
    texts = [str(list(data)) for data in column.each()]
    for at in np.flatnonzero(column.cut & column.sound).tolist():
        texts[at] = _with_omitted(texts[at], int(column.lengths[at] - column.held[at]))
    return texts


@pieces_of.register
def _blobs(column: Blobs) -> list[Piece]:
    texts = list(map(str, column.rows[:, :MAX_STRING].tolist()))
    left_out = column.rows.shape[1] - MAX_STRING
    return [[_with_omitted(text, left_out) for text in texts] if left_out > 0 else texts]


def _with_omitted(text: str, count: int) -> str:
    return f'{text[:-1]}, {{"omitted": {count}}}]'


@pieces_of.register
def _structs(column: Structs) -> list[Piece]:
    pieces: list[Piece] = ["{"]
    for at, (name, part) in enumerate(column.fields):
        pieces += [f"{', ' if at else ''}{dumps(name)}: ", *pieces_of(part)]
    return [*pieces, "}"]


@pieces_of.register
def _arrays(column: Arrays) -> list[Piece]:
    length = column.type.length
    if not length:
        return ["[]"]
    parts = texts_of(column.elements)
    return ["[", [", ".join(parts[at : at + length]) for at in range(0, len(parts), length)], "]"]


@pieces_of.register
def _pointers(column: Pointers) -> list[Piece]:
    pieces: list[Piece] = ['{"ptr": "', address_texts(column.addresses), f'", "type": {dumps(column.type.name)}']
    pieces += ["}"] if column.targets is None else [', "target": ', *pieces_of(column.targets), "}"]
    return _with_nil(pieces, column.addresses == 0)


@pieces_of.register
def _maps(column: Maps) -> list[Piece]:
    counts = [
        str(count) if known else NOTHING
        for count, known in zip(column.counts.tolist(), column.known.tolist(), strict=True)
    ]
    pieces: list[Piece] = ['{"map": "', address_texts(column.addresses), f'", "type": {dumps(column.type.name)}']
    return _with_nil([*pieces, ', "count": ', counts, "}"], column.addresses == 0)


@pieces_of.register
def _partial(column: Partial) -> list[Piece]:
    if column.known.all():
        return pieces_of(column.column)
    return [column.scattered(texts_of(column.column), dumps(json_form(column.instead)))]


@pieces_of.register
def _objects(column: Objects) -> list[Piece]:
    return [[dumps(json_form(value)) for value in column.decoded]]


def _with_nil(pieces: list[Piece], nil: NDArray[np.bool_]) -> list[Piece]:
    if not nil.any():
        return pieces
    if nil.all():
        return [NOTHING]
    texts = joined(pieces, len(nil))
    for at in np.flatnonzero(nil).tolist():
        texts[at] = NOTHING
    return [texts]


# Texts of numbers and strings


def number_texts(numbers: NDArray[Any]) -> list[str]:
    """Each boolean, integer or float in JSON."""
    kind = numbers.dtype.kind
    if kind == "b":
        return boolean_texts(numbers)
    return float_texts(numbers) if kind == "f" else integer_texts(numbers)


def float_texts(numbers: NDArray[Any]) -> list[str]:
    """Each float as json.dumps writes it, or the object that stands for it (see json_form)."""
    texts = list(map(repr, numbers.tolist()))
    for at in np.flatnonzero(~np.isfinite(numbers)).tolist():
        texts[at] = dumps(json_form(float(numbers[at])))
    return texts


def _string_text(data: bytes) -> str:
    try:
        return encode_basestring_ascii(data.decode())
    except UnicodeDecodeError:
        return dumps(json_form(GoString(data, len(data))))


def _place_piece(part: PlacePart) -> Piece:
    if part is None or isinstance(part, str):
        return dumps(part)
    if isinstance(part, np.ndarray):
        return integer_texts(part)
    return list(map(dumps, part))
