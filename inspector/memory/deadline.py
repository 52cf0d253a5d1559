"""The moment when a stop has to end, asked before every copy that is made while the target is held."""

from __future__ import annotations

import time
from dataclasses import dataclass

from inspector.errors import NotReadInTime

AT_ONCE = 1 << 24
"""Bytes that are copied between two looks at the clock: some 5 milliseconds."""


@dataclass
class Deadline:
    """When the stop that is under way has to end; `at` is in seconds of time.perf_counter(), None for never.

    `allowed` is what the stop may take, in seconds, for the error.
    """

    at: float | None = None
    allowed: float = 0.0

    def start(self, began: float, allowed: float | None) -> None:
        """A stop began, and may take `allowed` seconds (None: as long as it likes)."""
        self.at = None if allowed is None else began + allowed
        self.allowed = allowed or 0.0

    def lift(self) -> None:
        """The target runs again: the deadline no longer applies."""
        self.at = None

    def ask(self, size: int) -> None:
        """Raise NotReadInTime when it is too late to copy another `size` bytes."""
        if self.at is not None and time.perf_counter() > self.at:
            raise NotReadInTime(size, self.allowed)
