"""What a family finds wrong with a map, and the verdict that follows: the same for every family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Severity = Literal["error", "warning", "info"]
Verdict = Literal["consistent", "write-in-progress", "inconsistent", "unreadable", "not-read", "moving"]


class Place(Protocol):
    """Where in a map something is: array, bucket, cell of a classic map; table, group, slot of a Swiss one."""

    @property
    def address(self) -> int | None:
        """Where it lies in the target's memory, None where it is nowhere in particular."""
        ...

    def words(self) -> str:
        """The place in words: "old array, bucket 3, cell 2, at 0xc000012345"."""
        ...

    def columns(self) -> dict[str, str]:
        """The place as cells of a table of entries, by their titles."""
        ...

    def form(self) -> dict[str, Any]:
        """The place in the JSON document, without its address."""
        ...


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
    where: Place
    severity: Severity = "error"
    in_flight: tuple[str, ...] = ()
    unreadable: bool = False
    unchecked: bool = False


@dataclass(frozen=True)
class HashProof:
    """How many live keys were hashed, how many lie where their hash says, how many have no repeatable hash.

    `algorithm` is None and `reason` says why when nothing could be hashed.
    """

    checked: int
    matched: int
    skipped: int
    algorithm: str | None
    reason: str | None


NOTHING_HASHED = HashProof(0, 0, 0, None, None)


@dataclass(frozen=True)
class Judgement:
    """The verdict on a snapshot and the findings it rests on.

    `cut` names rules with more findings than listed; `interrupted` are the steps of a write, one of which explains
    all errors (none are needed where nothing is half done), or None when no write was interrupted. `raced` says that
    goroutines wrote the map at once, so that no single step explains what is broken.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    cut: tuple[str, ...] = ()
    proof: HashProof = field(default=NOTHING_HASHED)
    interrupted: tuple[str, ...] | None = None
    raced: bool = False
