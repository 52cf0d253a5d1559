"""Rules H1 to H7: the header."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.goruntime.hmap import FLAG_NAMES
from inspector.maps.binomial import two_sided_tail
from inspector.maps.classic.checks.steps import OF_NEW_OVERFLOW, Step
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.mirror.growth import EXACT_NOVERFLOW_B, PREALLOCATED_FROM_B, most_entries
from inspector.maps.classic.places import Where
from inspector.maps.findings import Finding

UNLIKELY = 1e-12
"""Chance below which a sampled noverflow is worth a warning: never seen in a healthy process."""

OFF_BY_ONE: dict[int, tuple[Step, ...]] = {1: ("runtime.mapassign",), -1: ("runtime.mapdelete", "runtime.evacuate")}
"""Who leaves one live cell more, or less, than count: it is counted last, and evacuation marks before it copies."""


def h1_flags_are_defined(view: MapView) -> Iterator[Finding]:
    """Flags hold only iterator, oldIterator, hashWriting and sameSizeGrow."""
    undefined = view.header.flags & ~sum(FLAG_NAMES)
    if undefined:
        yield Finding(
            rule="H1",
            message=f"flags has bits that the runtime does not define: {undefined:#x}",
            observed=f"{view.header.flags:#x}",
            expected="only iterator (1), oldIterator (2), hashWriting (4), sameSizeGrow (8)",
            source="runtime.hmap",
            where=Where(),
        )


def h2_bucket_array_is_mapped(view: MapView) -> Iterator[Finding]:
    """The whole array [buckets, buckets + 2^B * bucketsize) is mapped."""
    header, reason = view.header, view.snapshot.unusable.get("buckets")
    if reason is not None and not header.buckets % 8:
        size = view.snapshot.layout.bucket_size
        yield Finding(
            rule="H2",
            message=f"the bucket array cannot be there: {reason}",
            observed=f"B={header.B}, buckets={header.buckets:#x}",
            expected=f"2^{header.B} readable buckets of {size} bytes",
            source="runtime.makeBucketArray",
            where=Where("new", address=header.buckets),
            unreadable=True,
        )


def h3_count_equals_live_cells(view: MapView) -> Iterator[Finding]:
    """Count equals the live cells of the new array plus those of old buckets not evacuated yet."""
    header = view.header
    # A count beyond all bounds is H6's to report, and lost chains are O1's: one fault, one finding.
    if not view.arrays_whole or any(h6_count_is_within_growth_trigger(view)):
        return
    if header.count != view.live_count and (header.buckets or not header.count):
        yield Finding(
            rule="H3",
            message=f"count is {header.count}, but {view.live_count} cells hold an entry",
            observed=str(header.count),
            expected=str(view.live_count),
            source="runtime.mapassign, runtime.mapdelete",
            where=Where(address=view.snapshot.address),
            in_flight=OFF_BY_ONE.get(view.live_count - header.count, ()),
        )


def h4_nil_buckets_mean_empty(view: MapView) -> Iterator[Finding]:
    """Buckets is nil only if count == 0 and B == 0 (lazy allocation)."""
    header = view.header
    if not header.buckets and (header.count or header.B or header.oldbuckets):
        yield Finding(
            rule="H4",
            message="buckets is nil, but the map is not an empty one of B 0",
            observed=f"count={header.count}, B={header.B}, oldbuckets={header.oldbuckets:#x}",
            expected="count 0, B 0 and no old array",
            source="runtime.makemap",
            where=Where(address=view.snapshot.address),
        )


def h5_noverflow_counts_overflow_buckets(view: MapView) -> Iterator[Finding]:
    """Noverflow equals the overflow buckets of the new array; from B = 16 on it is a sample of them."""
    header, new = view.header, view.new
    if (new is None and header.buckets) or (new is not None and len(new.broken)):
        return
    linked = len(new.overflow_rows) if new is not None else 0
    if header.B < EXACT_NOVERFLOW_B:
        if header.noverflow != linked:
            yield Finding(
                rule="H5",
                message=f"noverflow is {header.noverflow}, but {linked} overflow buckets are linked",
                observed=str(header.noverflow),
                expected=str(linked),
                source="runtime.incrnoverflow",
                where=Where(address=view.snapshot.address),
                in_flight=OF_NEW_OVERFLOW if header.noverflow == linked + 1 else (),
            )
        return
    chance = 1 / (1 << (header.B - 15))
    if two_sided_tail(header.noverflow, linked, chance) < UNLIKELY:
        yield Finding(
            rule="H5",
            message=f"noverflow is {header.noverflow}, unlikely for {linked} overflow buckets",
            observed=str(header.noverflow),
            expected=f"about {linked * chance:.0f}: each one counts with a chance of 1/{round(1 / chance)}",
            source="runtime.incrnoverflow",
            where=Where(address=view.snapshot.address),
            severity="warning",
        )


def h6_count_is_within_growth_trigger(view: MapView) -> Iterator[Finding]:
    """Count never exceeds what the growth trigger lets through."""
    header = view.header
    if (header.old_b < 0 and view.growing) or header.B > 62 or not header.buckets:
        return
    most = most_entries(view.snapshot.release, header.B, view.growing, min(header.nevacuate, 1 << header.B))
    if not 0 <= header.count <= most:
        yield Finding(
            rule="H6",
            message=f"count is {header.count}, but a map with 2^{header.B} buckets grows before it holds that many",
            observed=str(header.count),
            expected=f"0 to {most}",
            source="runtime.overLoadFactor",
            where=Where(address=view.snapshot.address),
        )


def h7_pointers_are_sound(view: MapView) -> Iterator[Finding]:
    """Pointers are aligned, in readable memory, and differ where they must."""
    header, unusable = view.header, view.snapshot.unusable
    for name in ("buckets", "oldbuckets"):
        address = getattr(header, name)
        # An old array of an impossible size is E2's, an unmapped new one H2's.
        mine = header.old_b >= 0 if name == "oldbuckets" else address % 8
        if name in unusable and mine:
            yield Finding(
                rule="H7",
                message=f"{name} cannot be a bucket array: {unusable[name]}",
                observed=f"{address:#x}",
                expected="an aligned address of readable memory",
                source="runtime.hashGrow" if name == "oldbuckets" else "runtime.makeBucketArray",
                where=Where("old" if name == "oldbuckets" else "new", address=address),
                unreadable=not address % 8,
            )
    if header.buckets and header.buckets == header.oldbuckets:
        yield Finding(
            rule="H7",
            message="buckets and oldbuckets are the same array",
            observed=f"{header.buckets:#x}",
            expected="two arrays",
            source="runtime.hashGrow",
            where=Where(address=view.snapshot.address),
        )
    # Where nothing needs an extra, its mere presence is the fault, and O4 reports it.
    needed = header.B >= PREALLOCATED_FROM_B or not view.snapshot.layout.bucket_has_pointers
    if "extra" in unusable and needed:
        yield _extra_unreadable(view)


def _extra_unreadable(view: MapView) -> Finding:
    return Finding(
        rule="H7",
        message=f"extra cannot be read: {view.snapshot.unusable['extra']}",
        observed=f"{view.header.extra:#x}",
        expected="nil or the address of a mapextra",
        source="runtime.hmap",
        where=Where(address=view.header.extra),
        unreadable=True,
    )
