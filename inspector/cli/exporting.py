"""The option --export: the entries of one map in a file for other tools."""

from __future__ import annotations

import os
from pathlib import Path

from inspector.cli.delivering import console, write_answer
from inspector.cli.request import Request
from inspector.cli.saying import one_line
from inspector.coredump.output import output
from inspector.gotypes.words import number_of, size
from inspector.inspection.one_map import inspect
from inspector.inspection.tables import Losses
from inspector.report.export.files import NEEDS_ARROW, writer_of
from inspector.report.text.one_map import print_head
from inspector.target.target import Target

MOST_NOTES = 5
"""Columns that notes name one by one."""

WHEN_FULL = "write to a disk with more room"


def export(target: Target, name: str, path: Path, request: Request) -> int:
    """Write the entries of a map to a file, whole or not at all; returns the exit code. Raises the InspectError family.

    All entries are written, unless the request says how many.
    """
    # The others of pyarrow's keep more than they need, and are no faster here.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    write = writer_of(path)
    with output(path, request.force, WHEN_FULL) as file:
        entries = request.entries if "entries" in request.given else None
        inspection = inspect(target, name, request.type, entries, request.max_stop)
        target.close()
        with os.fdopen(os.dup(file.file), "wb") as out:
            losses = write(inspection, out)
        file.publish()

    def show() -> None:
        screen = console()
        print_head(inspection, screen)
        entries = number_of(inspection.entries_shown, "entry")
        line = f"{entries} written to {path} ({size(path.stat().st_size)})"
        screen.print(f"{one_line(line)}\n", end="", soft_wrap=True)

    write_answer((*inspection.notes, *_notes(losses, path)), show)
    return inspection.exit_code


def _notes(losses: Losses, path: Path) -> list[str]:
    """What the file lacks, in words."""
    nothing = "null" if path.suffix in (*NEEDS_ARROW, ".jsonl") else "empty"
    unread = [f"{number_of(count, 'value')} of {name} could not be read" for name, count in losses.unread.items()]
    cut = [f"{number_of(count, 'value')} of {name} cut" for name, count in losses.cut.items()]
    notes = [f"{_listed(unread)}: the file has {nothing} there"] if unread else []
    return [*notes, *([f"{_listed(cut)}: {path.name} has as much as was copied"] if cut else [])]


def _listed(parts: list[str]) -> str:
    more = len(parts) - MOST_NOTES
    return ", ".join(parts[:MOST_NOTES]) + (f" and {number_of(more, 'other column')}" if more > 0 else "")
