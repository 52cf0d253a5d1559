"""The verb snapshot: a live process is written to a core, and what it was held for is reported."""

from __future__ import annotations

from pathlib import Path

from inspector import watching
from inspector.cli.delivering import console, deliver
from inspector.cli.interrupting import reporting_its_outcome
from inspector.cli.request import DEMOS
from inspector.cli.saying import PROGRAM, one_line
from inspector.coredump import Written, write_core
from inspector.errors import UsageError
from inspector.gotypes.words import number_of, size
from inspector.settings import MaxStop, shown
from inspector.target.opening import open_target

PACKED = ".zst"
DELETED = " (deleted)"


def snapshot(process: str, path: str, force: bool, zstd: bool, max_stop: MaxStop) -> int:
    """Write a core of a process; returns the exit code. Raises the InspectError family."""
    if process in DEMOS:
        raise UsageError(
            "the demo is a core dump already, and only a live process can be written to one", "give the pid of one"
        )
    if not process.isdecimal():
        raise UsageError(
            f"{shown(process)!r} is not a pid, and only a live process can be written to a core", "give the pid of one"
        )
    limit = None if max_stop == "usual" else max_stop
    watching.begin("Opening the target")
    with open_target(process, memory="direct") as target, reporting_its_outcome(target):
        packed = zstd or path.endswith(PACKED)
        written = write_core(target, path, force=force, zstd=packed, max_stop=limit)
        notes = (*target.program.build.notes, *_notes(written, process))
        program = f"{Path(written.executable.removesuffix(DELETED)).name} ({target.program.release.version})"
        report = _report(written, f"process {process}, {program}", packed)
        deliver(target, notes, lambda: console().print(report, end="", soft_wrap=True))
    return 0


def _report(written: Written, process: str, packed: bool) -> str:
    whole = "unpacked" if packed else "with its holes"
    lines = (
        f"{written.path}  {size(written.on_disk)} on disk, {size(written.size)} {whole}",
        f"{process}, was held for {written.held * 1000:,.1f} ms: {size(written.memory)} of memory, "
        f"{number_of(written.threads, 'thread')}, {number_of(written.mappings, 'mapping')}",
        f"its maps: {PROGRAM} {written.path}, which needs the executable {written.executable}",
    )
    return "".join(f"{one_line(line)}\n" for line in lines)


def _notes(written: Written, process: str) -> list[str]:
    notes = []
    if written.straight:
        notes.append(
            "there was too little memory for a copy, so it was made into a file, which held the process for longer"
        )
    if written.unreadable:
        notes.append(f"{written.unreadable:,} bytes of memory could not be read, and are zeros in the core")
    if written.executable.endswith(DELETED):
        notes.append(
            f"the executable has been deleted: save it while the process lives (cp /proc/{process}/exe FILE), "
            "and name it with --exe"
        )
    return notes
