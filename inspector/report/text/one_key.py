"""The walk for one key, for people."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.goruntime.releases import TophashMarks
from inspector.gotypes.render import go_form, plain
from inspector.inspection.one_key import KeyAnswer
from inspector.maps.classic.lookup import Step

_MARKS = TophashMarks()
MARKS = {
    _MARKS.empty_rest: "rest",
    _MARKS.empty_one: "one",
    _MARKS.evacuated_x: "X",
    _MARKS.evacuated_y: "Y",
    _MARKS.evacuated_empty: "evac",
}


def print_lookup(answer: KeyAnswer, console: Console) -> None:
    """Print whether the key is present, its hash, each bucket that the runtime would visit, and what was found."""
    lookup, ref = answer.lookup, answer.ref
    line = Text(plain(ref.name) if ref.name else f"{ref.address:#x}", style="bold")
    line.append(f"  {plain(ref.type.name)}  key {plain(answer.key)}  ", style="not bold")
    line.append("present" if lookup.found is not None else "absent")
    console.print(line, soft_wrap=True)
    if lookup.hash is not None:
        console.print(Text(f"hash {lookup.hash:#018x}, tophash {lookup.tophash}"))
    for step in lookup.steps:
        console.print(Text(_line(step, lookup.tophash, lookup.found if step is lookup.steps[-1] else None)))
    if lookup.found is None:
        console.print(Text(lookup.ended))
    else:
        console.print(Text(f"found in cell {lookup.found}: {go_form(lookup.value)}"))
    console.print(Text(f"{lookup.bytes_read:,} bytes read", style="dim"))


def _line(step: Step, tophash: int | None, found: int | None) -> str:
    cells = " ".join(
        f"[{top}]" if cell == found else f"({top})" if cell in step.compared else MARKS.get(top, str(top))
        for cell, top in enumerate(step.tophash)
    )
    place = f"{step.array} bucket {step.bucket}" + (f" overflow {step.overflow}" if step.overflow else "")
    return f"  {place} at {step.address:#x}: {cells}"
