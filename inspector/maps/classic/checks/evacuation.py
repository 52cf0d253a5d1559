"""Rules E1 to E8 and E12: where the evacuation must stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.hmap import ITERATOR, OLD_ITERATOR, SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.gotypes.redaction import bytes_of_memory
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks.steps import Step
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.evacuation import ADVANCE_LIMIT, mark_may_rest_on_evacuated
from inspector.maps.classic.mirror.growth import too_many_overflow_buckets
from inspector.maps.classic.places import Where
from inspector.maps.family import Mask
from inspector.maps.findings import Finding
from inspector.maps.slots import Numbers, all_of, places
from inspector.maps.windows import in_windows, joined, spots
from inspector.memory.sets import distinct


def e1_no_trace_of_growth_when_not_growing(view: MapView) -> Iterator[Finding]:
    """Oldbuckets nil: sameSizeGrow clear, extra.oldoverflow nil, no evacuated marker in any bucket."""
    if view.header.oldbuckets:
        return
    if view.header.has(SAME_SIZE_GROW):
        yield Finding(
            rule="E1",
            message="sameSizeGrow is set, but no growth is under way",
            observed="sameSizeGrow, oldbuckets nil",
            expected="sameSizeGrow clear",
            source="runtime.advanceEvacuationMark",
            where=Where(address=view.snapshot.address),
            in_flight=_around_same_size_growth(view),
        )
    extra = view.snapshot.extra
    if extra is not None and extra.oldoverflow_pointer:
        yield Finding(
            rule="E1",
            message="extra.oldoverflow is set, but no growth is under way",
            observed=f"{extra.oldoverflow_pointer:#x}",
            expected="nil",
            source="runtime.advanceEvacuationMark",
            where=Where(address=extra.address),
            in_flight=("runtime.advanceEvacuationMark",),
        )
    if view.new is not None:
        for row, cell in _cells_of(view.new, view.is_marker):
            yield Finding(
                rule="E1",
                message="an evacuated marker stands in a map that is not growing",
                observed=f"tophash {view.new.tophash[row, cell]}",
                expected="emptyRest, emptyOne or a tophash of at least minTopHash",
                source="runtime.evacuate",
                where=view.where("new", row, int(cell)),
            )


def _around_same_size_growth(view: MapView) -> tuple[Step, ...]:
    """Who may just set sameSizeGrow before a growth begins, or have to clear it after it has ended."""
    header = view.header
    begins = too_many_overflow_buckets(header.noverflow, header.B)
    steps: tuple[Step, ...] = ("runtime.hashGrow",) if begins else ()
    return (*steps, "runtime.advanceEvacuationMark") if header.nevacuate == 1 << header.B else steps


def e2_mark_is_within_old_array(view: MapView) -> Iterator[Finding]:
    """Growing: nevacuate < number of old buckets. Else it stands where the last growth left it, or at 0."""
    header = view.header
    if not 0 <= header.B <= 62:
        return
    if header.oldbuckets:
        if not header.B:
            # A bucket has an overflow bucket only where there are more, so that one never grows to its own size.
            yield _bad_mark(view, "a map with B 0 has never grown", "B of at least 1")
        elif header.nevacuate >= 1 << header.old_b:
            at_end = header.nevacuate == 1 << header.old_b
            expected = f"less than {1 << header.old_b}, the number of old buckets"
            yield _bad_mark(view, "nevacuate lies beyond the old array", expected, at_end)
        return
    left_by = {0, 1 << header.B, 1 << header.B - 1} if header.B else {0}
    if header.nevacuate not in left_by:
        expected = "one of " + ", ".join(str(mark) for mark in sorted(left_by))
        yield _bad_mark(view, "nevacuate is not where a finished growth leaves it", expected)


def _bad_mark(view: MapView, message: str, expected: str, at_end: bool = False) -> Finding:
    return Finding(
        rule="E2",
        message=message,
        observed=f"nevacuate={view.header.nevacuate}, B={view.header.B}",
        expected=expected,
        source="runtime.advanceEvacuationMark",
        where=Where(address=view.snapshot.address),
        in_flight=("runtime.advanceEvacuationMark",) if at_end else (),
    )


def _mark(view: MapView) -> int | None:
    """Nevacuate where it can be relied on."""
    return view.header.nevacuate if view.old is not None and view.header.nevacuate < view.old.size else None


def e3_buckets_below_mark_are_evacuated(view: MapView) -> Iterator[Finding]:
    """Every old bucket below nevacuate is evacuated."""
    mark = _mark(view)
    if mark is None or view.old is None:
        return
    for bucket in np.flatnonzero(~view.evacuated[:mark]).tolist():
        yield Finding(
            rule="E3",
            message=f"old bucket {bucket} is below nevacuate, but not evacuated",
            observed=f"head tophash {view.old.tophash[bucket, 0]}",
            expected=f"evacuatedX, evacuatedY or evacuatedEmpty, as nevacuate is {mark}",
            source="runtime.advanceEvacuationMark",
            where=view.where("old", bucket, 0),
        )


def e4_bucket_at_mark_is_not_evacuated(view: MapView) -> Iterator[Finding]:
    """The old bucket at nevacuate waits, unless the advance stopped there at its limit."""
    mark = _mark(view)
    if mark is None or not view.evacuated[mark] or mark_may_rest_on_evacuated(mark):
        return
    yield Finding(
        rule="E4",
        message=f"old bucket {mark} is evacuated, but nevacuate did not move past it",
        observed=f"nevacuate={mark}",
        expected=f"a bucket that waits (the mark rests on another only after skipping {ADVANCE_LIMIT} at once)",
        source="runtime.advanceEvacuationMark",
        where=view.where("old", mark),
        in_flight=("runtime.evacuate",),
    )


def e5_buckets_are_evacuated_whole(view: MapView) -> Iterator[Finding]:
    """An evacuated bucket carries a marker in every cell of its chain."""
    old = view.old
    if old is None:
        return
    partial = joined(_evacuated_in_part(view, old, rows) for rows in old.windows())
    for bucket in partial.tolist():
        chain = old.chains(slice(bucket, bucket + 1))
        marked = view.is_marker(old.tophash_of(chain)).reshape(-1)
        first = int(np.argmin(marked))
        row, cell = int(chain[first // 8]), first % 8
        yield Finding(
            rule="E5",
            message=f"old bucket {bucket} is evacuated only in part",
            observed=f"tophash {old.tophash[row, cell]} behind an evacuated head",
            expected="a marker in every cell of the chain",
            source="runtime.evacuate",
            where=view.where("old", row, cell),
            in_flight=("runtime.evacuate",) if len(partial) == 1 and not marked[first:].any() else (),
        )


def _evacuated_in_part(view: MapView, old: BucketArray, rows: Numbers) -> Numbers:
    """Buckets of a window that are evacuated, with cells that carry no marker."""
    rows = rows[view.evacuated[old.home[rows]]]
    return distinct(old.home[rows[~all_of(view.is_marker(old.tophash_of(rows)))]].astype(np.int64))


def e6_waiting_buckets_carry_no_marker(view: MapView) -> Iterator[Finding]:
    """An old bucket that is not evacuated carries no evacuated marker."""
    old = view.old
    if old is None:
        return
    # Below nevacuate the missing marker of the head is the fault, and E3 reports it.
    waiting = ~view.evacuated
    waiting[: _mark(view) or 0] = False
    for row, cell in marked_cells(view, old, waiting):
        yield Finding(
            rule="E6",
            message=f"old bucket {old.home[row]} waits for evacuation, but a cell of it is marked",
            observed=f"tophash {old.tophash[row, cell]}",
            expected="no marker: evacuation marks the head first",
            source="runtime.evacuate",
            where=view.where("old", row, cell),
        )


def marked_cells(view: MapView, array: BucketArray, chosen: Mask) -> Iterator[tuple[int, int]]:
    """Rows and cells that carry a marker, in chains of the chosen buckets, in their order."""
    for rows in array.windows():
        rows = rows[chosen[array.home[rows]]]
        at, cells = places(view.is_marker(array.tophash_of(rows)))
        yield from zip(rows[at].tolist(), cells.tolist(), strict=True)


def _cells_of(array: BucketArray, of: Callable[[NDArray[np.uint8]], Mask]) -> Iterator[tuple[int, int]]:
    """Rows and cells with certain tophashes, in rows that are in use, in the order of rows."""
    found = spots(len(array.cells), lambda part: of(array.tophash[part]) & array.in_use(part)[:, None])
    return (divmod(at, BUCKET_CELLS) for at in found.tolist())


def e7_same_size_growth_knows_no_y(view: MapView) -> Iterator[Finding]:
    """A same-size growth has no second half: evacuatedY appears nowhere."""
    old = view.old
    if old is None or view.growing != "same-size":
        return
    evacuated_y = view.snapshot.release.marks.evacuated_y
    for row, cell in _cells_of(old, lambda tophash: tophash == evacuated_y):
        yield Finding(
            rule="E7",
            message="a cell is marked evacuatedY in a same-size growth",
            observed="evacuatedY",
            expected="evacuatedX or evacuatedEmpty",
            source="runtime.evacuate",
            where=view.where("old", row, int(cell)),
        )


def e8_unfilled_buckets_are_untouched(view: MapView) -> Iterator[Finding]:
    """A new bucket whose old bucket waits is as the allocator gave it: all zero."""
    new = view.new
    if new is None or view.old is None:
        return
    raw = new.cells[: new.size].view(np.uint8).reshape(new.size, -1)
    words = raw.view(np.uint64)

    def used(window: slice) -> Numbers:
        waiting = window.start + np.flatnonzero(view.untouched[window])
        some = words[waiting]
        # All together first: that is several times as fast as bucket by bucket.
        return np.asarray(waiting[some.any(axis=1)] if some.max(initial=0) else waiting[:0])

    for bucket in in_windows(new.size, used, np.empty(0, np.int64)).tolist():
        old = bucket & (view.old.size - 1)
        at = int(np.argmax(raw[bucket] != 0))
        yield Finding(
            rule="E8",
            message=f"new bucket {bucket} is in use, but its old bucket {old} is not evacuated",
            observed=f"byte {bytes_of_memory(f'{raw[bucket, at]:#04x}')} at offset {at}",
            expected="only zeros",
            source="runtime.growWork",
            where=view.where("new", bucket),
        )


def e12_iterator_flags_agree(view: MapView) -> Iterator[Finding]:
    """Iterator comes with oldIterator: mapiterinit sets both, and only hashGrow leaves oldIterator alone."""
    header = view.header
    if header.has(ITERATOR) and not header.has(OLD_ITERATOR):
        message, expected = "iterator is set without oldIterator", "both, or oldIterator alone"
    elif header.has(OLD_ITERATOR) and not header.has(ITERATOR) and _never_grew(header):
        message, expected = "oldIterator is set alone, but the map has never grown", "both, or neither"
    else:
        return
    yield Finding(
        rule="E12",
        message=message,
        observed=", ".join(view.header.flag_names),
        expected=expected,
        source="runtime.mapiterinit, runtime.hashGrow",
        where=Where(address=view.snapshot.address),
        # hashGrow stores the flags before the arrays.
        in_flight=("runtime.hashGrow",) if header.B and not header.has(ITERATOR) else (),
    )


def _never_grew(header: Hmap) -> bool:
    """Whether no growth can have begun: only clear puts nevacuate back, and from Go 1.24 on clears are counted."""
    return not header.B or (header.clear_seq == 0 and not header.oldbuckets and not header.nevacuate)
