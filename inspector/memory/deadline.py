"""The moment when a stop has to end, asked before every copy that is made while the target is held."""

from __future__ import annotations

import time
from dataclasses import dataclass

from inspector.errors import NotReadInTime

AT_ONCE = 1 << 24
"""Bytes that are copied between two looks at the clock: 5 milliseconds, and 50 on a busy machine."""

HURRY = 0.05
AT_ONCE_IN_A_HURRY = 1 << 20
"""The same where a stop has less than HURRY seconds left: one millisecond."""


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

    def ask(self, size: int) -> int:
        """How many of the `size` bytes that are wanted may be copied before the next look at the clock.

        Raises NotReadInTime when it is too late for any.
        """
        if self.at is None:
            return min(size, AT_ONCE)
        left = self.at - time.perf_counter()
        if left < 0:
            raise NotReadInTime(size, self.allowed)
        return min(size, AT_ONCE if left > HURRY else AT_ONCE_IN_A_HURRY)
