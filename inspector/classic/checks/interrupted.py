"""Writes that a stop interrupts in the middle of a change to the whole map.

What one interrupted assignment, deletion or evacuation leaves behind is known to each rule. hashGrow and
mapclear store one field of the header after the other, and until the last one is stored hardly any rule holds.
"""

from __future__ import annotations

from inspector.classic.checks.view import MapView
from inspector.classic.mirror.growth import load_limit

UNTOUCHED = frozenset({"H1", "H2"})
"""Rules that hold whatever is interrupted."""

LEFT_BY_HASH_GROW = frozenset({"H5", "E2", "E3", "E4", "E12", "O2", "O3", "O4"})
"""Rules about what hashGrow stores after the arrays: nevacuate, noverflow, the lists in extra."""


def explained(view: MapView, rule: str) -> bool:
    """Whether runtime.hashGrow or runtime.mapclear, interrupted, may break a rule in this state."""
    header = view.header
    if not header.writing:
        return False
    if header.oldbuckets and header.oldbuckets != header.buckets:
        # Nothing was evacuated yet: the growth has only just been begun.
        return rule in LEFT_BY_HASH_GROW and not view.evacuated.any()
    if header.oldbuckets:
        return rule not in UNTOUCHED
    cleared = not header.count and not header.noverflow and not header.nevacuate
    # B is counted up before the arrays are exchanged, and until then it does not fit them.
    counted_up = header.B > 0 and header.count >= load_limit(view.snapshot.release, header.B - 1)
    return (cleared or counted_up) and rule not in UNTOUCHED
