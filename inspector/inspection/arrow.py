"""The entries of a map in Arrow's memory format: numbers and strings as they are in columns, without a copy.

pyarrow is an extra of this package, and loaded only here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.errors import MissingPackage
from inspector.gotypes.columns import Arrays, Blobs, Numbers, Texts
from inspector.gotypes.gotype import Kind
from inspector.gotypes.reach import MAX_STRING
from inspector.gotypes.render import json_text
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import (
    Addresses,
    Flat,
    Losses,
    Nested,
    Plain,
    Shape,
    Times,
    Words,
    cut_in,
    flat_table,
    shape_of,
    windows_of,
)

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")


def require_arrow() -> None:
    """Raise MissingPackage if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise MissingPackage("pyarrow", "arrow")


def arrow_table(inspection: Inspection) -> pyarrow.Table:
    """The shown entries as a table (see _batches); raises MissingPackage."""
    require_arrow()
    import pyarrow

    return pyarrow.Table.from_batches(all_batches(inspection, list)[0])


def pandas_frame(inspection: Inspection) -> Any:
    """That table as a data frame of pandas; raises MissingPackage."""
    if find_spec("pandas") is None:
        raise MissingPackage("pandas", "pandas")
    return arrow_table(inspection).to_pandas()


def all_batches(inspection: Inspection, taken: Callable[[Iterator[pyarrow.RecordBatch]], T]) -> tuple[T, Losses]:
    """What is made of the shown entries, `taken` some thousands at a time, and what they lack.

    `taken` is called once more, with batches of another schema, where a string is cut or not UTF-8: only the values
    tell, and to look through them takes about as long as to write them.
    """
    try:
        losses = Losses()
        return taken(_batches(inspection, Shape(), losses)), losses
    except _OtherShape:
        losses = Losses()
        return taken(_batches(inspection, shape_of(inspection), losses)), losses


class _OtherShape(Exception):
    """The table has another shape than was taken for granted."""


def _batches(inspection: Inspection, shape: Shape, losses: Losses) -> Iterator[pyarrow.RecordBatch]:
    """The shown entries, some thousands at a time, all with one schema; there is at least one, maybe without a row.

    Strings are large_string, or large_binary where some are not UTF-8, as slices of bytes are; arrays of bytes are
    fixed-size binary. Times are in UTC and nanoseconds, null outside of 1678 to 2262, as an unset time.Time is.
    Addresses are uint64, and null for nil. Arrays of numbers are lists. What else has no flat form is text, in JSON.
    What could not be read is null; `losses` counts it.
    """
    import pyarrow

    for window in windows_of(inspection):
        table = flat_table(window, shape)
        if not cut_in(table) <= shape.cut:
            raise _OtherShape
        losses.count(table)
        arrays = [_array(flat, shape) for flat in table]
        yield pyarrow.RecordBatch.from_arrays(arrays, names=[text_of_name(flat.name) for flat in table])


def text_of_name(name: str) -> str:
    """The name of a column; bytes of a damaged executable's names that are not UTF-8 are escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _array(flat: Flat, shape: Shape) -> pyarrow.Array:
    """All rows of a column."""
    elements = _elements(flat)
    if elements is not None:
        return _of_lists(elements, flat.known)
    array = _cells(flat, flat.name in shape.binary)
    if flat.known.all():
        return array
    places = np.cumsum(flat.known) - 1
    return array.take(_of_numbers(places, ~flat.known))


def _cells(flat: Flat, binary: bool) -> pyarrow.Array:
    """The cells of a column."""
    import pyarrow

    cells = flat.cells
    mask = flat.void if flat.void.any() else None
    if isinstance(cells, (Plain, Addresses)):
        return _of_numbers(cells.numbers, mask)
    if isinstance(cells, Texts):
        text = cells.type.kind == Kind.STRING and not binary
        kind = pyarrow.large_string() if text else pyarrow.large_binary()
        buffers = [_validity(mask), pyarrow.py_buffer(cells.offsets), pyarrow.py_buffer(cells.data)]
        array = pyarrow.Array.from_buffers(kind, len(cells), buffers)
        try:
            array.validate(full=True)
        except pyarrow.ArrowInvalid:
            raise _OtherShape from None
        return array
    if isinstance(cells, Blobs):
        rows = np.ascontiguousarray(cells.rows[:, :MAX_STRING])
        kind = pyarrow.binary(rows.shape[1])
        return pyarrow.Array.from_buffers(kind, len(rows), [None, pyarrow.py_buffer(rows)])
    if isinstance(cells, Times):
        moments, outside = cells.in_nanoseconds()
        return _of_numbers(moments, outside | flat.void, pyarrow.timestamp("ns", "UTC"))
    if isinstance(cells, Words):
        return _of_texts(cells.texts, pyarrow.string(), None)
    return _nested(cells, mask)


# Arrays are put together of buffers: pyarrow.array would load pandas, which takes longer than all else.


def _of_numbers(numbers: NDArray[Any], mask: Any, kind: pyarrow.DataType | None = None) -> pyarrow.Array:
    """Booleans or numbers, null where the mask says so; `kind` is what they stand for, if it is something else."""
    import pyarrow

    kind = kind or pyarrow.from_numpy_dtype(numbers.dtype)
    data = np.packbits(numbers, bitorder="little") if numbers.dtype == bool else np.ascontiguousarray(numbers)
    return pyarrow.Array.from_buffers(kind, len(numbers), [_validity(mask), pyarrow.py_buffer(data)])


def _elements(flat: Flat) -> NDArray[Any] | None:
    """(k, length) the elements of a column of arrays of numbers; None for every other column."""
    column = flat.cells.column if isinstance(flat.cells, Nested) else None
    if not isinstance(column, Arrays) or not column.type.length or not isinstance(column.elements, Numbers):
        return None
    numbers = column.elements.numbers
    return None if numbers.dtype.kind == "c" else numbers.reshape(-1, column.type.length)


def _of_lists(elements: NDArray[Any], known: NDArray[np.bool_]) -> pyarrow.Array:
    """A list for each row that is known: not every release of pyarrow can read arrays back if some rows have none."""
    import pyarrow

    offsets = np.zeros(len(known) + 1, np.int32)
    np.cumsum(known * elements.shape[1], out=offsets[1:])
    values = _of_numbers(elements.reshape(-1), None)
    buffers = [None if known.all() else _validity(~known), pyarrow.py_buffer(offsets)]
    return pyarrow.Array.from_buffers(pyarrow.list_(values.type), len(known), buffers, children=[values])


def _of_texts(texts: list[str], kind: pyarrow.DataType, mask: Any) -> pyarrow.Array:
    """Texts as strings or large strings, null where the mask says so."""
    import pyarrow

    words = {text: text.encode() for text in set(texts)}
    if len(words) == 1:
        (word,) = words.values()
        lengths, data = np.full(len(texts), len(word)), word * len(texts)
    else:
        encoded = [words[text] for text in texts]
        lengths = np.fromiter(map(len, encoded), np.int64, len(texts))
        data = b"".join(encoded)
    offsets = np.zeros(len(texts) + 1, np.int32 if kind == pyarrow.string() else np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [_validity(mask), pyarrow.py_buffer(offsets), pyarrow.py_buffer(data)]
    return pyarrow.Array.from_buffers(kind, len(texts), buffers)


def _validity(mask: Any) -> Any:
    """The bits that say which cells have a value; None if all have."""
    import pyarrow

    return None if mask is None else pyarrow.py_buffer(np.packbits(~mask, bitorder="little"))


def _nested(cells: Nested, mask: Any) -> pyarrow.Array:
    """Values without a form of their own, as texts in JSON."""
    import pyarrow

    texts = [json_text(value) for value in cells.column.values()]
    return _of_texts(texts, pyarrow.large_string(), mask)
