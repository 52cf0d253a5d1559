"""Which step of a write a stop interrupted, found by what it left half done.

Each rule knows which functions of the runtime may leave it broken for a moment (`Finding.in_flight`). hashGrow and
mapclear change the whole map, one field of the header after the other: what they may leave is declared here. One write
is in one place at a time, so one step has to explain everything that is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inspector.maps.classic.checks.steps import Step
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.growth import load_limit
from inspector.maps.classic.places import Where
from inspector.maps.findings import Finding
from inspector.maps.judging import Explanation, interrupted

BY_NEW_ARRAY = frozenset({"H5", "E2", "E3", "E4", "E12", "O2", "O3", "O4"})
"""Rules about what hashGrow stores after the arrays: nevacuate, noverflow, the lists in extra."""

BY_MARKING = frozenset({"H3", "C2", "E3", "E4", "E5", "E6", "E8", "E9"})
"""Rules about cells that mapclear marks empty, bucket by bucket, before it clears the header (1.21 to 1.23)."""

BY_CLEARED_FIELDS = frozenset({"H3", "H5", "E1", "E2"})
"""Rules about the fields that mapclear sets to zero, one after the other: oldbuckets, nevacuate, noverflow, count."""

BY_CLEARING = BY_CLEARED_FIELDS | {"C2", "C3", "C5", "O2", "O3", "O4"}
"""Rules about hash0, extra and cells, which mapclear sets last."""

WHAT: dict[Step, str] = {
    "runtime.newoverflow": "had taken an overflow bucket and not linked it yet",
    "runtime.advanceEvacuationMark": "moved the mark of a growth or ended it",
    "runtime.evacuate": "moved an old bucket",
    "runtime.mapassign": "filled a cell",
    "runtime.mapdelete": "emptied a cell",
    "runtime.hashGrow": "began a growth",
    "runtime.mapclear": "cleared all entries",
}
"""What each step was doing, innermost functions first."""

FLAG = ("hashWriting is set", "clear, once the write is done")
WRITES = "runtime.mapassign, runtime.mapdelete, runtime.mapclear"


def _explained(steps: tuple[Step, ...], where: Where) -> Explanation:
    return interrupted({step: WHAT[step] for step in steps}, where, FLAG, WRITES)


def place_of(finding: Finding) -> Where:
    """The place of a finding of this family."""
    assert isinstance(finding.where, Where)
    return finding.where


def interruption(view: MapView, errors: Iterable[Finding]) -> Explanation | None:
    """The one interrupted step that explains all errors; None when none does, or no write was under way."""
    if not view.header.writing:
        return None
    errors = tuple(errors)
    places = (place_of(error) for error in errors)
    place = next((place for place in places if place.bucket is not None), Where(address=view.snapshot.address))
    if not errors:
        return _explained((), place)
    steps = [step for step in WHAT if _fits(step, view, errors)]
    if "runtime.newoverflow" in steps:
        # It runs inside evacuate, which then has nothing else half done.
        steps = ["runtime.newoverflow"]
    steps += [step for step in _of_the_whole_map(view, errors, alone=not steps) if step not in steps]
    return _explained(tuple(steps), place) if steps else None


def _fits(step: Step, view: MapView, errors: tuple[Finding, ...]) -> bool:
    """Whether a step that works on one bucket may have left all errors: they are in one place, then."""
    if step == "runtime.evacuate" and not view.header.oldbuckets:
        return False
    # Evacuation fills two new buckets from one old one.
    size = view.old.size if view.old is not None else 1 << view.header.B
    # Of two cells with the same key (C4) the place of the first is reported, which may be the right one.
    placed = [place_of(error).bucket for error in errors if error.rule != "C4"]
    places = {bucket % size for bucket in placed if bucket is not None}
    return len(places) <= 1 and all(step in error.in_flight for error in errors)


def _of_the_whole_map(view: MapView, errors: tuple[Finding, ...], alone: bool) -> Iterator[Step]:
    """Name mapclear or hashGrow, where they may have left all errors in this state; `alone` if nothing else may."""
    rules = {error.rule for error in errors}
    # mapclear goes through the buckets: only one is in the middle of it, many may be done or still wait.
    in_the_middle = {place_of(error).bucket for error in errors if error.rule == "C2"}
    if rules <= _left_by_map_clear(view) and len(in_the_middle) <= 1:
        yield "runtime.mapclear"
    if rules <= _left_by_hash_grow(view, rules, alone):
        yield "runtime.hashGrow"


def _left_by_map_clear(view: MapView) -> frozenset[str]:
    header, release = view.header, view.snapshot.release
    if not (header.count or header.noverflow or header.nevacuate or header.oldbuckets):
        return BY_CLEARING
    if not release.clear_marks_cells:
        return frozenset() if header.oldbuckets else BY_CLEARED_FIELDS
    # Cells are marked from the first bucket on; when all are, the fields of the header follow.
    new, marks = view.new, release.marks
    if new is None or new.tophash[0, 0] != marks.empty_rest or 0 < header.count < view.live_count:
        return frozenset()
    if header.count == view.live_count and new.count_live(marks.min_tophash):
        # Only cells that were empty before have been marked.
        return frozenset({"C2"})
    return BY_MARKING if view.live_count else BY_MARKING | BY_CLEARED_FIELDS


def _left_by_hash_grow(view: MapView, rules: set[str], alone: bool) -> set[str]:
    header = view.header
    if header.oldbuckets and header.oldbuckets != header.buckets:
        # Nothing was evacuated yet: the growth has only just been begun.
        return set() if view.evacuated.any() else rules & BY_NEW_ARRAY
    # B is counted up before the arrays are exchanged, and until then it does not fit them: any rule may break.
    counted_up = header.B > 0 and header.count >= load_limit(view.snapshot.release, header.B - 1)
    return rules - {"H1"} if alone and (header.oldbuckets or counted_up) else set()
