"""Whether to believe that a key is absent: it may have been on its way from one place to another.

A growing map is never without a key that is in it, but its memory may be. The runtime marks a bucket as evacuated when
its first entry has moved (runtime.evacuate), and changes the words of a header one by one (runtime.hashGrow,
Map.growToTable). So a walk that was made in the middle of a write may miss a key. Where the process was not stopped,
each step of the walk was made at another moment, too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from inspector.errors import InspectError, TargetGone, UnknownMap
from inspector.inspection.moving import COPIES, LONGEST_PAUSE
from inspector.maps.family import Lookup
from inspector.naming.locate import MapRef
from inspector.target.run import Run

STOPS = 8
"""Stops that are made at most until a map is met that nobody is writing."""

MOST_LOOKS = 30 * COPIES
"""Looks that are taken at most without a stop."""

BEING_WRITTEN = "undecided: the map is being written, and the key may be on its way from one place to another"
MOVES = f"undecided: the process was not stopped, and {COPIES} looks in a row never agreed; stop the process to be sure"


@dataclass(frozen=True)
class Look:
    """One walk for a key. `at_rest` says that no entries moved meanwhile, as far as the map's header shows."""

    ref: MapRef
    count: int
    lookup: Lookup
    at_rest: bool

    @property
    def present(self) -> bool:
        """Whether it found the key."""
        return self.lookup.found is not None

    @property
    def sure(self) -> bool:
        """Whether its answer is one for a target that stands still: a key that was found is there."""
        return self.present or self.at_rest


def settled(run: Run, look: Callable[[], Look]) -> tuple[Look, str]:
    """The last of the looks that it took, and why it does not prove that the key is absent: empty where it does.

    Raises what `look` raises.
    """
    if run.still:
        only = look()
        return only, "" if only.sure else BEING_WRITTEN
    if not run.stops:
        return _agreed(look)
    for left in reversed(range(STOPS)):
        last = run.in_time(look, lambda _: False)
        if last.sure:
            return last, ""
        if left:
            _pause()
    return last, BEING_WRITTEN


def _agreed(look: Callable[[], Look]) -> tuple[Look, str]:
    """Look until as many looks in a row as copies are needed for a fault say the same of the key.

    A look that could not read what it had to, or missed the key while the map moved, says nothing.
    """
    last: Look | None = None
    agreeing, failed = 0, 0
    for _ in range(MOST_LOOKS):
        try:
            this = look()
        except (TargetGone, UnknownMap):
            raise
        except InspectError:
            failed += 1
            if last is None and failed == COPIES:
                raise
        else:
            if this.sure:
                agreeing = agreeing + 1 if last is not None and last.present == this.present else 1
                last = this
            elif last is None:
                last, agreeing = this, 0
            if agreeing == COPIES:
                return last, ""
        _pause()
    assert last is not None
    return last, MOVES


def _pause() -> None:
    """Let the process run for a time that no rhythm of it fits."""
    time.sleep(random.uniform(0, LONGEST_PAUSE))
