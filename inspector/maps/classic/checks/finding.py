"""One broken rule: what was seen, what the mirror expects, where, and who in the runtime makes it so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]
Verdict = Literal["consistent", "write-in-progress", "inconsistent", "unreadable", "not-read"]
Array = Literal["new", "old"]
Step = Literal[
    "runtime.newoverflow",
    "runtime.advanceEvacuationMark",
    "runtime.evacuate",
    "runtime.mapassign",
    "runtime.mapdelete",
    "runtime.hashGrow",
    "runtime.mapclear",
]
"""Functions of the runtime that a stop may interrupt halfway; the fast variants are named like the general ones."""

OF_ONE_CELL: tuple[Step, ...] = ("runtime.evacuate", "runtime.mapassign", "runtime.mapdelete")
"""Steps that write a cell in several stores: tophash, key, element."""

OF_NEW_OVERFLOW: tuple[Step, ...] = ("runtime.newoverflow", "runtime.evacuate")
"""newoverflow, and the step that may be half done while it runs; mapassign has changed nothing yet when it calls it."""


@dataclass(frozen=True)
class Where:
    """A place in a map: the array, bucket number, place in the chain (0 is the array's own), cell, address."""

    array: Array | None = None
    bucket: int | None = None
    overflow: int | None = None
    cell: int | None = None
    address: int | None = None


NOT_CHECKED = "this rule could not be checked"
LONGEST_REASON = 200


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold, or that could not be checked (`unchecked`).

    `in_flight` names the steps of a write that leave this behind when they are interrupted, `unreadable` says that
    memory was missing rather than wrong.
    """

    rule: str
    message: str
    observed: str
    expected: str
    source: str
    where: Where = field(default_factory=Where)
    severity: Severity = "error"
    in_flight: tuple[Step, ...] = ()
    unreadable: bool = False
    unchecked: bool = False


def not_checked(rule: str, where: str, error: Exception) -> Finding:
    """What a report says of a rule whose function `where` failed: neither that it holds nor that it is broken."""
    return Finding(
        rule=rule,
        message=NOT_CHECKED,
        observed=f"{type(error).__name__}: {error}"[:LONGEST_REASON],
        expected="an answer for whatever is in the map's memory; please report this",
        source=where,
        severity="warning",
        unchecked=True,
    )
