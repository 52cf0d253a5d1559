"""Which file is written how, by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from inspector.inspection.arrow import require_arrow
from inspector.inspection.one_map import Inspection
from inspector.inspection.tables import Losses
from inspector.report.export.arrow import write_arrow, write_parquet
from inspector.report.export.csv import write_csv
from inspector.report.export.jsonl import write_jsonl

Writer = Callable[[Inspection, IO[bytes]], Losses]

WRITERS: dict[str, Writer] = {
    ".parquet": write_parquet,
    ".arrow": write_arrow,
    ".csv": write_csv,
    ".jsonl": write_jsonl,
}
"""Who writes files whose names end so."""

NEEDS_ARROW = (".parquet", ".arrow")


def writer_of(path: Path) -> Writer:
    """Who writes a file; raises MissingPackage where pyarrow is needed. Its suffix must be in WRITERS."""
    if path.suffix in NEEDS_ARROW:
        require_arrow()
    return WRITERS[path.suffix]
