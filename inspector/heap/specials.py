"""What finalizers, cleanups and other special records of objects keep: they lie outside of the heap (runtime/mheap.go).

Each span has a list of its records: next, offset of the object in the span, kind, and words of its own.
"""

from __future__ import annotations

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.heap import mspan, special
from inspector.heap.spans import Spans
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.target.run import Run

WORD = 8
OWN = 2
"""The word of a record from which on it holds what its kind asks for."""

RECORD = 8 * WORD
"""No record is longer; what lies behind a shorter one may keep something, too."""

LONGEST_LIST = 1 << 13
"""Records of one span that are followed: its objects have a few each, and none of its lists is longer."""


class BadSpecials(Exception):
    """The records cannot be read, or have no end."""


def kept_by_specials(run: Run, spans: Spans) -> Addresses:
    """Words of all records of some spans, and the addresses of their objects. Raises BadSpecials."""
    declared = dtype_of(special(run.release))
    fields = dtype_of(mspan(run.release)).fields
    assert fields is not None
    place = np.uint64(fields["specials"][1])
    rows, ok = gather(run.memory, run.regions(), spans["record"] + place, WORD)
    front, found = rows.view(np.uint64)[:, 0], [np.empty(0, np.uint64)]
    starts = spans["start"]
    for _ in range(LONGEST_LIST):
        some = front != 0
        front, starts = front[some], starts[some]
        if not ok.all():
            raise BadSpecials("the special records of objects cannot be read")
        if not len(front):
            return np.concatenate(found)
        rows, ok = gather(run.memory, run.regions(), front, RECORD)
        records = np.ascontiguousarray(rows[:, : declared.itemsize]).view(declared)[:, 0]
        found += [rows.view(np.uint64)[:, OWN:].ravel(), starts + records["offset"].astype(np.uint64)]
        front = records["next"]
    raise BadSpecials("a list of the special records of objects has no end")
