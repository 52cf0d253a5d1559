"""What the user can set, and what holds if he does not: apart from all else, so that --help loads nothing more."""

from __future__ import annotations

from typing import Literal

MemoryChoice = Literal["auto", "gdb-mi", "direct"]
"""How memory is read."""

MaxStop = float | None | Literal["usual"]
"""Seconds that one stop may take; None for as long as it likes."""

USUAL_STOP = 0.2
USUAL_STOP_BY_GDB = 2.0
"""Seconds that a stop may take unless the caller says otherwise: where gdb holds or reads, everything takes longer."""

MAX_SHARE = 0.1
"""The share of any second that a process is held by a request that stops it often."""

DEFAULT_ENTRIES = 20
"""Entries of one map that are shown."""

Order = Literal["bytes", "waste", "count", "growing"]
"""How maps and groups of them are sorted."""

By = Literal["size", "key-size", "value-size"]
"""What the largest entries are large by."""

SHOWN_CHARACTERS = 80


def shown(text: str) -> str:
    """Shorten what the user typed, so that a message stays one line."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text)} characters)"
