"""Searching many texts with a regular expression of the user's, for no longer than anyone waits.

Some expressions take a time on some texts that doubles with each character, and both may be hostile. Only so much of a
text is looked at, and a timer ends a search that goes on: Python's engine looks for signals while it tries.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from inspector.errors import UsageError

LONGEST_TEXT = 1 << 16
"""Characters of a text that are looked at."""

TICK = 0.1
"""Seconds of processor time between two looks at the clock."""

MOST_TICKS_A_TEXT, MOST_TICKS_IN_ALL = 10, 1200
"""How long one text may take, and all of them together: a second, and two minutes."""


class Matcher:
    """Searches texts. `cut` counts those that were longer than LONGEST_TEXT and searched in their beginning only."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.cut = self.searched = 0
        self._searching = False
        self._ticks_a_text = self._ticks_in_all = self._last = 0

    def finds(self, text: str) -> bool:
        """Whether a text matches somewhere; inside of `watched` it raises UsageError where that takes too long."""
        if len(text) > LONGEST_TEXT:
            self.cut += 1
            text = text[:LONGEST_TEXT]
        self.searched += 1
        self._searching = True
        try:
            return self.pattern.search(text) is not None
        finally:
            self._searching = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Search for a bounded time; without a bound in any thread but the main one, as no other gets signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK, TICK)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            signal.signal(signal.SIGVTALRM, before)

    def _tick(self, _: int, __: FrameType | None) -> None:
        if not self._searching:
            return
        self._ticks_in_all += 1
        self._ticks_a_text = self._ticks_a_text + 1 if self._last == self.searched else 1
        self._last = self.searched
        if self._ticks_a_text > MOST_TICKS_A_TEXT or self._ticks_in_all > MOST_TICKS_IN_ALL:
            raise UsageError(
                f"the expression {self.pattern.pattern!r} takes too long on the text of a key or an element",
                "avoid repetitions inside of repetitions, such as (a+)+",
            )
