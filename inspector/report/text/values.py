"""Values in Go's notation, written from columns: what go_form gives of each."""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise

import numpy as np

from inspector.gotypes.columns import Column, Numbers, Partial, Pointers, Structs, Texts
from inspector.gotypes.gotype import Kind
from inspector.gotypes.render import MAX_TEXT, go_form, plain, quoted
from inspector.report.pieces import Piece, address_texts, harmless, integer_texts, joined


@singledispatch
def go_texts(column: Column) -> list[str]:
    """Each value of a column in Go's notation."""
    return list(map(go_form, column.values()))


@go_texts.register
def _numbers(column: Numbers) -> list[str]:
    kind = column.numbers.dtype.kind
    if kind in "iu":
        return integer_texts(column.numbers)
    if kind == "f" and np.isfinite(column.numbers).all():
        return [text.removesuffix(".0") for text in map(repr, column.numbers.tolist())]
    return list(map(go_form, column.values()))


@go_texts.register
def _texts(column: Texts) -> list[str]:
    if column.type.kind == Kind.SLICE:
        return list(map(go_form, column.values()))
    if bool((column.lengths <= MAX_TEXT).all()) and harmless(column.data) and column.sound.all():
        text = column.data.tobytes().decode("ascii")
        return [f'"{text[start:end]}"' for start, end in pairwise(column.offsets.tolist())]
    texts = list(map(quoted, column.each(), column.lengths.tolist()))
    for at in np.flatnonzero(~column.sound).tolist():
        texts[at] = go_form(column.instead(at))
    return texts


@go_texts.register
def _structs(column: Structs) -> list[str]:
    if column.type.name == "time.Time":
        return list(map(go_form, column.values()))
    pieces: list[Piece] = ["{"]
    for at, (name, part) in enumerate(column.fields):
        pieces += [f"{' ' if at else ''}{plain(name)}:", go_texts(part)]
    return joined([*pieces, "}"], len(column))


@go_texts.register
def _pointers(column: Pointers) -> list[str]:
    pieces: list[Piece] = [f"({plain(column.type.name)})", address_texts(column.addresses)]
    if column.targets is not None:
        pieces += [" -> ", go_texts(column.targets)]
    texts = joined(pieces, len(column))
    for at in np.flatnonzero(column.addresses == 0).tolist():
        texts[at] = "nil"
    return texts


@go_texts.register
def _partial(column: Partial) -> list[str]:
    return column.scattered(go_texts(column.column), go_form(column.instead))
