"""Entries in a Parquet file, or in a file of Arrow's own format (also known as Feather)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from inspector import watching
from inspector.copying.workers import Pool
from inspector.inspection.arrow import all_batches
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import Losses

if TYPE_CHECKING:
    import pyarrow

ROWS, BYTES = 1 << 15, 1 << 24
"""Rows that are written together at most, and bytes of them: what readers skip or read as a whole.

Some of them are in memory at a time.
"""


FEW = ("array", "bucket", "overflow", "cell", "table", "group", "slot")
"""Columns with the same value in many rows, which a dictionary makes smaller, as it often does texts of elements.

One of numbers takes time, and more bytes than they do themselves.
"""


def write_parquet(inspection: Inspection, out: IO[bytes]) -> Losses:
    """Write a Parquet file; raises InspectError, OSError."""
    from pyarrow import parquet, types

    def opened(schema: pyarrow.Schema) -> parquet.ParquetWriter:
        texts = [each.name for each in schema if not types.is_primitive(each.type) and each.name != "key"]
        return parquet.ParquetWriter(out, schema, use_dictionary=[*FEW, *texts])

    return _write(inspection, out, opened)


def write_arrow(inspection: Inspection, out: IO[bytes]) -> Losses:
    """Write a file in Arrow's file format; raises InspectError, OSError."""
    from pyarrow import ipc

    return _write(inspection, out, lambda schema: ipc.new_file(out, schema))


def _write(inspection: Inspection, out: IO[bytes], opened: Callable[[pyarrow.Schema], Any]) -> Losses:
    """`out` is a file that has nothing yet, and can be begun anew."""

    def written(batches: Iterator[pyarrow.RecordBatch]) -> None:
        out.seek(0)
        out.truncate()
        tables = _tables(batches, inspection.entries_shown)
        table = next(tables)
        # While pyarrow packs some rows, which it does without Python, the next ones are made.
        with opened(table.schema) as writer, closing(Pool(1)) as pool:
            writing = pool.submit(partial(writer.write_table, table))
            for table in tables:
                pool.wait_for([writing])
                writing = pool.submit(partial(writer.write_table, table))
            pool.wait_for([writing])

    return all_batches(inspection, written)[1]


def _tables(batches: Iterator[pyarrow.RecordBatch], entries: int) -> Iterator[pyarrow.Table]:
    """Batches put together, so that each is written as one group of rows."""
    import pyarrow

    watching.begin("Writing entries", entries)
    waiting: list[pyarrow.RecordBatch] = []
    rows, size, done = 0, 0, 0
    for batch in batches:
        waiting.append(batch)
        rows, size, done = rows + len(batch), size + batch.nbytes, done + len(batch)
        watching.reach(done)
        if rows >= ROWS or size >= BYTES:
            yield pyarrow.Table.from_batches(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pyarrow.Table.from_batches(waiting).combine_chunks()
