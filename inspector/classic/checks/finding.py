"""One broken rule: what was seen, what the mirror expects, where, and who in the runtime makes it so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]
Verdict = Literal["consistent", "write-in-progress", "inconsistent", "unreadable"]
Array = Literal["new", "old"]


@dataclass(frozen=True)
class Where:
    """A place in a map: the array, bucket number, place in the chain (0 is the array's own), cell, address."""

    array: Array | None = None
    bucket: int | None = None
    overflow: int | None = None
    cell: int | None = None
    address: int | None = None


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold.

    `in_flight` says that one interrupted write explains it, `unreadable` that memory was missing rather
    than wrong.
    """

    rule: str
    message: str
    observed: str
    expected: str
    source: str
    where: Where = field(default_factory=Where)
    severity: Severity = "error"
    in_flight: bool = False
    unreadable: bool = False
