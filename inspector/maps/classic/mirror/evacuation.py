"""How evacuation moves on: evacuate, growWork and advanceEvacuationMark as functions of markers alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ADVANCE_LIMIT = 1024
"""advanceEvacuationMark skips at most this many evacuated buckets in one call."""


@dataclass(frozen=True)
class WritesToFinish:
    """Writes (assignments and deletions) that a growth still needs: the least and the most."""

    min: int
    max: int


def advance_mark(evacuated: NDArray[np.bool_], nevacuate: int) -> int:
    """runtime.advanceEvacuationMark: where the mark comes to stand after bucket `nevacuate` is done."""
    mark = nevacuate + 1
    stop = min(mark + ADVANCE_LIMIT, len(evacuated))
    waiting = np.flatnonzero(~evacuated[mark:stop])
    return mark + int(waiting[0]) if len(waiting) else stop


def mark_may_rest_on_evacuated(nevacuate: int) -> bool:
    """Whether the mark can stand on a bucket that is evacuated already.

    Only when a call of advanceEvacuationMark reached its limit there, and the earliest such place is one
    bucket and a full skip from the start.
    """
    return nevacuate >= ADVANCE_LIMIT + 1


def writes_to_finish(evacuated: NDArray[np.bool_], nevacuate: int) -> WritesToFinish:
    """How many writes the rest of a growth takes.

    `evacuated` has one bool for each old bucket. Each write calls growWork, which evacuates the bucket in
    use and then the one at the mark: at worst only the mark moves, by one call of advanceEvacuationMark; at
    best the bucket in use is the one at the mark, and it moves twice.
    """
    rest = evacuated[nevacuate:]
    calls = int(np.count_nonzero(~rest))
    # Long runs of buckets evacuated out of order cost calls of their own, for the limit of each call.
    edges = np.flatnonzero(np.diff(rest, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    more = np.maximum(ends - starts - np.where(starts == 0, 0, ADVANCE_LIMIT), 0)
    calls += int((-(-more // (ADVANCE_LIMIT + 1))).sum())
    return WritesToFinish(min=-(-calls // 2), max=calls)
