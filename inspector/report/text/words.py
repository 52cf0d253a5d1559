"""What a target and entries are called in a report."""

from __future__ import annotations

from pathlib import PurePosixPath

from inspector.gotypes.render import plain
from inspector.inspection.one_map import Inspection, TargetInfo


def described(target: TargetInfo) -> str:
    """A target in a line: what it is, its program, and what that was built by."""
    what = {
        "process": f"process {target.pid} of",
        "core": "core dump of",
        "gdb": f"process {target.pid} in gdb, of",
    }[target.kind]
    about = [target.go_version, *map(plain, target.experiments), *(["stripped"] if target.stripped else [])]
    return f"{what} {plain(PurePosixPath(target.exe).name or target.exe)} ({', '.join(about)})"


def title_of(inspection: Inspection) -> str:
    """What stands above the entries."""
    shown, total = inspection.entries_shown, inspection.entries_total
    return f"entries ({shown:,} of {total:,})" if shown < total else f"entries ({total:,})"
