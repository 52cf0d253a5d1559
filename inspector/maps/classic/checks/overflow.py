"""Rules O1 to O5: overflow buckets and mapextra."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.bmap import OVERFLOW_SIZE
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.binomial import upper_tail
from inspector.maps.classic.buckets import SHARED_NEXT, BucketArray
from inspector.maps.classic.checks.steps import OF_NEW_OVERFLOW, Step
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.growth import PREALLOCATED_FROM_B, allocated_buckets, most_entries
from inspector.maps.classic.places import Array, Where
from inspector.maps.findings import Finding

POINTER_SIZE = 8
NOWHERE = np.empty(0, dtype=np.uint64)
CHANCE_OF_CHAIN = 1e-15
"""A chain less likely than this in a whole map is worth a warning."""


def o1_chains_are_sound(view: MapView) -> Iterator[Finding]:
    """Chains end, never loop, never share a bucket, never leave readable memory."""
    for name, array in view.arrays:
        for row in array.broken:
            pointer = int(array.overflow[row])
            shared = array.next[row] == SHARED_NEXT
            what = "leads to a bucket that is in a chain already" if shared else "leads to no readable bucket"
            yield Finding(
                rule="O1",
                message=f"an overflow pointer {what}",
                observed=f"{pointer:#x}",
                expected="nil or the address of an overflow bucket of this chain alone",
                source="runtime.newoverflow",
                where=view.where(name, int(row)),
                unreadable=not shared,
            )
    yield from _overlapping(view)


def _overlapping(view: MapView) -> Iterator[Finding]:
    """Overflow buckets allocated apart that lie on other buckets of the map, of either array."""
    size = np.uint64(view.snapshot.layout.bucket_size)
    addresses = np.concatenate([array.apart for _, array in view.arrays] or [NOWHERE])
    order = np.argsort(addresses)
    overlap = np.zeros(len(addresses), dtype=bool)
    overlap[order[1:]] = np.diff(addresses[order]) < size
    for _, array in view.arrays:
        end = np.uint64(array.address) + np.uint64(array.size + array.tail) * size
        overlap |= (addresses + size > np.uint64(array.address)) & (addresses < end)
    first = 0
    for name, array in view.arrays:
        for at in np.flatnonzero(overlap[first : first + len(array.apart)]).tolist():
            yield Finding(
                rule="O1",
                message="an overflow bucket lies on another bucket",
                observed=f"a bucket at {int(array.apart[at]):#x}",
                expected=f"{size} bytes for this bucket alone",
                source="runtime.newoverflow",
                where=view.where(name, array.size + array.tail + at),
            )
        first += len(array.apart)


def o2_extra_lists_overflow_buckets(view: MapView) -> Iterator[Finding]:
    """Pointer-free buckets: extra lists exactly the overflow buckets. Others: it lists none."""
    extra = view.snapshot.extra
    lists: list[tuple[str, Array, BucketArray | None]] = [
        ("overflow", "new", view.new),
        ("oldoverflow", "old", view.old),
    ]
    for field, name, array in lists:
        pointer = getattr(extra, f"{field}_pointer") if extra else 0
        if view.snapshot.layout.bucket_has_pointers:
            if pointer:
                yield _bad_list(view, field, f"{pointer:#x}", "nil: the garbage collector sees these buckets itself")
            continue
        if extra is not None and field in extra.unreadable:
            yield _bad_list(view, field, f"{pointer:#x} leads to no readable slice", "a slice of *bmap", True)
            continue
        if array is None or len(array.broken) or "extra" in view.snapshot.unusable:
            continue
        in_list, in_chains = (getattr(extra, field) if extra else None) or (), array.addresses_of(array.overflow_rows)
        if np.array_equal(np.sort(np.array(in_list, np.uint64)), np.sort(in_chains)):
            continue
        listed, linked = Counter(in_list), Counter(in_chains.tolist())
        if listed != linked:
            missing, surplus = linked - listed, listed - linked
            yield _bad_list(
                view,
                field,
                f"{listed.total()} listed, {missing.total()} of the linked ones missing, {surplus.total()} not linked",
                f"the {linked.total()} overflow buckets that are linked",
                in_flight=OF_NEW_OVERFLOW if name == "new" and not missing and surplus.total() == 1 else (),
            )


def _bad_list(
    view: MapView,
    field: str,
    observed: str,
    expected: str,
    unreadable: bool = False,
    in_flight: tuple[Step, ...] = (),
) -> Finding:
    extra = view.snapshot.extra
    return Finding(
        rule="O2",
        message=f"extra.{field} does not list the overflow buckets as it must",
        observed=observed,
        expected=expected,
        source="runtime.newoverflow, runtime.hashGrow",
        where=Where("old" if field == "oldoverflow" else "new", address=extra.address if extra else None),
        unreadable=unreadable,
        in_flight=in_flight,
    )


def o3_preallocated_buckets_are_used_in_order(view: MapView) -> Iterator[Finding]:
    """Preallocated overflow buckets are handed out in order, nextOverflow is the first one left."""
    yield from _new_tail(view)
    if view.old is not None and not len(view.old.broken):
        yield from _old_tail(view, view.old)


def _new_tail(view: MapView) -> Iterator[Finding]:
    new, extra = view.new, view.snapshot.extra
    if new is None or len(new.broken) or "extra" in view.snapshot.unusable:
        return
    next_overflow = extra.next_overflow if extra else 0
    layout = view.snapshot.layout
    rows = allocated_buckets(view.snapshot.release, layout.bucket_size, layout.bucket_has_pointers, view.header.B)
    if rows != new.size + new.tail:
        yield _bad_tail(view, new.address, "unmapped memory", f"{rows - new.size} preallocated overflow buckets")
        return
    if not new.tail or extra is None:
        if next_overflow:
            yield _bad_tail(view, next_overflow, f"nextOverflow {next_overflow:#x}", "nil: nothing is preallocated")
        return
    end = new.address + (new.size + new.tail) * layout.bucket_size
    start = end - new.tail * layout.bucket_size
    if not next_overflow:
        used = new.tail
    elif start <= next_overflow < end and (next_overflow - start) % layout.bucket_size == 0:
        used = (next_overflow - start) // layout.bucket_size
    else:
        yield _bad_tail(
            view, next_overflow, f"nextOverflow {next_overflow:#x}", f"nil or a bucket in {start:#x}..{end:#x}"
        )
        return
    yield from _tail_faults(view, new, used)


def _tail_faults(view: MapView, new: BucketArray, used: int) -> Iterator[Finding]:
    tail = slice(new.size, new.size + new.tail)
    in_use = new.in_use(tail)
    unlinked = np.flatnonzero(~in_use[:used])
    for at in unlinked:
        yield _bad_tail(
            view,
            _address(new, new.size + int(at)),
            "a bucket below nextOverflow in no chain",
            "every bucket handed out to be linked",
            in_flight=OF_NEW_OVERFLOW if len(unlinked) == 1 and at == used - 1 else (),
        )
    for at in np.flatnonzero(in_use[used:]) + used:
        address = _address(new, new.size + int(at))
        yield _bad_tail(view, address, "a bucket from nextOverflow on in a chain", "only buckets below it linked")
    for row in new.size + used + np.flatnonzero(~_untouched(new)[used:] & ~in_use[used:]):
        # The sentinel goes before nextOverflow does when the last one is handed out.
        taken = not new.overflow[row] and used == new.tail - 1
        yield _touched(view, "new", new, int(row), OF_NEW_OVERFLOW if taken else ())


def _old_tail(view: MapView, old: BucketArray) -> Iterator[Finding]:
    """The old array's tail shows how far it was handed out: extra points into the new array's tail by now."""
    tail, bucket_size = slice(old.size, old.size + old.tail), view.snapshot.layout.bucket_size
    # Buckets with pointers are unlinked from evacuated chains when these are cleared; the markers stay in them.
    left = view.is_marker(old.tophash[tail]).all(axis=1) & view.snapshot.layout.bucket_has_pointers
    handed_out = old.in_use(tail) | left
    apart = len(old.overflow_rows) > np.count_nonzero(old.in_use(tail))
    used = old.tail if apart else int(np.max(np.flatnonzero(handed_out), initial=-1)) + 1
    for row in old.size + np.flatnonzero(left & ~old.in_use(tail)):
        pointer = int(old.overflow[row])
        if pointer and not (pointer % POINTER_SIZE == 0 and view.snapshot.regions.covers(pointer, bucket_size)):
            yield _bad_tail(
                view,
                _address(old, int(row)),
                f"overflow pointer {pointer:#x}",
                "nil or the next bucket of a chain that was evacuated",
                array="old",
            )
    for row in old.size + np.flatnonzero(~handed_out):
        if row < old.size + used:
            yield _bad_tail(
                view,
                _address(old, int(row)),
                "a bucket in no chain before others in use",
                "buckets used in order",
                array="old",
            )
        elif not _untouched(old)[row - old.size]:
            yield _touched(view, "old", old, int(row))


def _address(array: BucketArray, row: int) -> int:
    return int(array.addresses_of(np.array([row]))[0])


def _untouched(array: BucketArray) -> NDArray[np.bool_]:
    """For each preallocated bucket whether it is as makeBucketArray left it: zeros, and the last one's sentinel."""
    raw = array.cells.view(np.uint8).reshape(len(array.cells), -1)[array.size : array.size + array.tail]
    expected = np.zeros(array.tail, dtype=np.uint64)
    expected[-1:] = array.address
    overflow = array.overflow[array.size : array.size + array.tail]
    untouched: NDArray[np.bool_] = ~raw[:, :-OVERFLOW_SIZE].any(axis=1) & (overflow == expected)
    return untouched


def _touched(view: MapView, name: Array, array: BucketArray, row: int, in_flight: tuple[Step, ...] = ()) -> Finding:
    last = row == array.size + array.tail - 1
    return _bad_tail(
        view,
        _address(array, row),
        f"a bucket not yet handed out is in use (overflow pointer {int(array.overflow[row]):#x})",
        f"zeros, and the overflow pointer {'leading to the array itself, the sentinel' if last else 'nil'}",
        in_flight,
        name,
    )


def _bad_tail(
    view: MapView,
    address: int,
    observed: str,
    expected: str,
    in_flight: tuple[Step, ...] = (),
    array: Array = "new",
) -> Finding:
    return Finding(
        rule="O3",
        message="the preallocated overflow buckets are not as makeBucketArray and newoverflow leave them",
        observed=observed,
        expected=expected,
        source="runtime.makeBucketArray, runtime.newoverflow",
        where=Where(array, address=address),
        in_flight=in_flight,
    )


def o4_extra_exists_when_needed(view: MapView) -> Iterator[Finding]:
    """Extra is nil when nothing needs it, and there from B = 4 on, when buckets are preallocated."""
    header, has_pointers = view.header, view.snapshot.layout.bucket_has_pointers
    needless = has_pointers and header.B < PREALLOCATED_FROM_B and header.extra
    missing = header.B >= PREALLOCATED_FROM_B and not header.extra and header.buckets
    if needless or missing:
        yield Finding(
            rule="O4",
            message="extra is there, but nothing needs it" if needless else "extra is missing",
            observed=f"{header.extra:#x}" if header.extra else "nil",
            expected="nil" if needless else "a mapextra with nextOverflow",
            source="runtime.makemap, runtime.hashGrow",
            where=Where(address=view.snapshot.address),
        )


def o5_chains_are_as_short_as_chance_makes_them(view: MapView) -> Iterator[Finding]:
    """No chain is longer than keys spread by a good hash explain."""
    for name, array in view.arrays:
        if not array.size:
            continue
        buckets, lengths = array.long_chains()
        longest = int(lengths.max(initial=1))
        # A chain of n buckets once held more than 8 * (n - 1) entries at a time.
        held = BUCKET_CELLS * (longest - 1) + 1
        b = array.size.bit_length() - 1
        entries = most_entries(view.snapshot.release, b, None, 0)
        if longest > 2 and upper_tail(held, entries, 1 / array.size) * array.size < CHANCE_OF_CHAIN:
            bucket = int(buckets[lengths.argmax()])
            yield Finding(
                rule="O5",
                message=f"a chain of {longest} buckets: its keys share the hash bits that choose the bucket",
                observed=f"{longest} buckets",
                expected="chains of a few buckets",
                source="runtime.mapassign",
                where=view.where(name, bucket),
                severity="warning",
            )
