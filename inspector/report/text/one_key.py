"""The walk for one key, in text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from inspector.gotypes.render import go_form, plain
from inspector.inspection.one_key import KeyAnswer
from inspector.maps.family import Step


def print_lookup(answer: KeyAnswer, console: Console) -> None:
    """Print whether the key is present, its hash, each step that the runtime would make, and what was found."""
    lookup, ref = answer.lookup, answer.ref
    line = Text(plain(ref.name) if ref.name else f"{ref.address:#x}", style="bold")
    line.append(f"  {plain(ref.type.name)}  key {plain(answer.key)}  ", style="not bold")
    line.append({True: "present", False: "absent", None: "undecided"}[answer.present])
    console.print(line, soft_wrap=True)
    if lookup.hash is not None:
        part = f", {lookup.fingerprint_name} {lookup.fingerprint}" if lookup.fingerprint_name else ""
        console.print(Text(f"hash {lookup.hash:#018x}{part}"))
    for step in lookup.steps:
        console.print(Text(_line(step, lookup.found if step is lookup.steps[-1] else None)))
    if answer.doubt:
        console.print(Text(answer.doubt), soft_wrap=True)
    elif lookup.found is None:
        console.print(Text(lookup.ended))
        if lookup.inserting:
            console.print(Text(lookup.inserting))
    else:
        console.print(Text(f"found in {lookup.cell_name} {lookup.found}: {go_form(lookup.value)}"))
    console.print(Text(f"{lookup.bytes_read:,} bytes read", style="dim"))


def _line(step: Step, found: int | None) -> str:
    cells = " ".join(
        f"[{mark}]" if cell == found else f"({mark})" if cell in step.compared else step.words[cell]
        for cell, mark in enumerate(step.marks)
    )
    return f"  {step.place.words()}: {cells}"
