"""One map, located, copied, decoded and judged: what every report is made from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from inspector.classic.buckets import BucketArray
from inspector.classic.checks import Judgement, MapView, judge
from inspector.classic.checks.finding import Array
from inspector.classic.header import Hmap
from inspector.classic.identify import identify
from inspector.classic.snapshot import LARGEST_B, MapSnapshot, take_snapshot
from inspector.classic.summary import Growth, Occupancy, growth_of, occupancy_of
from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL, NotAMap, UnknownMap, UnreadableMemory
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType, Kind, MapLayout
from inspector.gotypes.values import GoValue, Unreadable
from inspector.locate import Locator, MapRef, locate
from inspector.memory.protocol import RegionMap
from inspector.schemas.hmap import FLAG_NAMES, hmap
from inspector.schemas.mapextra import mapextra
from inspector.target import Target, noticing_the_end

DEFAULT_ENTRIES = 20
RETRIES_WITHOUT_STOP = 5

MOST_TRIED = 1 << 18
"""Bytes of a bucket array up to which a map of unknown type is copied and judged once for each layout."""

SMALLEST_BUCKET = 16
"""Bytes of a bucket whose keys and elements have none: tophashes and the overflow pointer."""

UNKNOWN_MAP = GoType(0, Kind.MAP, 8, "map")
"""The type of a nil map of which nothing else is known."""
LAZY = ("count", "B", "noverflow", "oldbuckets")
LARGEST_COUNT = 1 << 47
"""No map has more entries than there are bytes to address."""


@dataclass(frozen=True)
class Entry:
    """One entry and the cell it lies in."""

    key: GoValue
    value: GoValue
    array: Array
    bucket: int
    overflow: int
    cell: int
    address: int


@dataclass(frozen=True)
class TargetInfo:
    """What a report says about the target."""

    kind: str
    pid: int | None
    exe: str
    go_version: str
    experiments: tuple[str, ...]
    stripped: bool
    memory: str


@dataclass
class Timing:
    """Milliseconds: target held, bytes copied, decoded, checked, and all together."""

    stopped: float = 0.0
    read: float = 0.0
    decode: float = 0.0
    check: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Inspection:
    """The answer for one map. `snapshot`, `growth`, `occupancy` are None for a nil map.

    `entries` are decoded when asked for, in the order of arrays, buckets, chains and cells.
    """

    target: TargetInfo
    ref: MapRef
    snapshot: MapSnapshot | None
    judgement: Judgement
    growth: Growth | None
    occupancy: Occupancy | None
    timing: Timing
    notes: tuple[str, ...] = ()
    shown: int | None = DEFAULT_ENTRIES
    view: MapView | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """0 consistent or a write in progress, 1 inconsistent, 3 answered only in part."""
        codes = {"inconsistent": EXIT_INCONSISTENT, "unreadable": EXIT_PARTIAL}
        return codes.get(self.judgement.verdict, EXIT_CONSISTENT)

    @property
    def entries_total(self) -> int:
        """Entries found."""
        return self.view.live_count if self.view else 0

    @property
    def entries_shown(self) -> int:
        """Entries that `entries` will give."""
        return self.entries_total if self.shown is None else min(self.shown, self.entries_total)

    def entries(self) -> Iterator[Entry]:
        """Decode the shown entries one by one."""
        return islice(_entries(self.view), self.shown) if self.view else iter(())


def inspect(
    target: Target, text: str, type_name: str | None = None, entries: int | None = DEFAULT_ENTRIES
) -> Inspection:
    """Inspect one map: `text` is an address or a variable, `entries` how many to show (None for all).

    The process is held only while bytes are copied; types are read before, and everything else happens
    after it runs again. Raises the InspectError family.
    """
    started = time.perf_counter()
    timing = Timing()
    with noticing_the_end(target.pid if target.kind == "process" else None):
        try:
            ref, snapshot, judgement = _take(target, text, type_name, entries, timing)
        except UnknownMap:
            # Its type may have been made at run time. That is rare, and the search is not for free.
            if target.heap_searched:
                raise
            target.search_heap_for_types()
            ref, snapshot, judgement = _take(target, text, type_name, entries, timing)
    timing.stopped = target.stopped_ms
    decoding = time.perf_counter()
    view = MapView(snapshot) if snapshot else None
    growth = growth_of(view) if view else None
    occupancy = occupancy_of(view) if view else None
    timing.decode = _ms(decoding)
    timing.total = _ms(started)
    return Inspection(
        target_info(target), ref, snapshot, judgement, growth, occupancy, timing, tuple(target.notes), entries, view
    )


def _take(
    target: Target, text: str, type_name: str | None, entries: int | None, timing: Timing
) -> tuple[MapRef, MapSnapshot | None, Judgement]:
    """Copy and judge; without a stop a torn copy is taken again before anything is called inconsistent."""
    locator = locate(target, text, type_name)
    # Found before the stop, as they never change.
    _ = target.types, target.hash_keys
    tries = 1 if target.stop else RETRIES_WITHOUT_STOP
    for attempt in range(tries):
        with target.held():
            reading = time.perf_counter()
            ref = find_map(target, locator)
            snapshot = _snapshot(target, ref, entries) if ref.address else None
            timing.read = _ms(reading)
        checking = time.perf_counter()
        if snapshot is None:
            return ref, None, Judgement("consistent", ())
        judgement = judge(snapshot, incomplete=target.missing > 0)
        timing.check = _ms(checking)
        if judgement.verdict == "consistent" or attempt == tries - 1:
            break
    if locator.address is not None and ref.type_source == "option":
        _say_contradiction(target, ref, judgement)
    if not target.stop:
        target.notes.append(
            "the process was not stopped: a copy taken while the map changes may look inconsistent"
            if judgement.verdict == "inconsistent"
            else "the process was not stopped while the map was copied"
        )
    return ref, snapshot, judgement


def _say_contradiction(target: Target, ref: MapRef, judgement: Judgement) -> None:
    """Say that --type may be wrong, when most keys do not lie where keys of that type hash to."""
    proof = judgement.proof
    if proof.checked > 2 * proof.matched:
        target.note(
            f"--type says {ref.type.name}, but only {proof.matched} of {proof.checked} keys lie where their hash says: "
            "leave it out to have the type found"
        )


def _snapshot(target: Target, ref: MapRef, entries: int | None) -> MapSnapshot:
    regions = target.regions()
    if not ref.declared:
        _believe(target, regions, ref.address, ref.type)
    return take_snapshot(target.memory, regions, ref.address, ref.type, target.types, entries, target.hash_keys)


def find_map(target: Target, locator: Locator) -> MapRef:
    """Read where a map is, and what it is when only its address is known; call it while the target is held."""
    return locator.find(target) if locator.type else _identified(target, locator.address or 0)


def _identified(target: Target, address: int) -> MapRef:
    """Find the type of the map at a bare address by what lies there; raises NotAMap."""
    if not address:
        return MapRef(0, UNKNOWN_MAP, "heap")
    regions = target.regions()
    header = _believe(target, regions, address, None)
    identity = identify(target.memory, regions, header, target.types, target.hash_keys)
    sound = _sound(target, regions, address, header, identity.candidates)
    if not identity.candidates or not (sound or target.heap_searched):
        known = len(target.types.map_types)
        raise UnknownMap(
            f"{address:#x} is no hmap of a known type: none of {known} map types fits its buckets",
            "give the type with --type if you know it",
        )
    # Where every type breaks a rule the map itself is damaged, and the likeliest type shows how.
    best, *others = sound or identity.candidates
    if not identity.proven:
        why = "the map is empty" if not header.count else "its keys have no hash that could be repeated"
        target.note(f"{why}, so nothing proves its type: {len(others) + 1} types fit; choose one with --type")
    return MapRef(address, best, "hash-proof" if identity.proven else "heap", None, False, tuple(others))


def _sound(
    target: Target, regions: RegionMap, address: int, header: Hmap, candidates: tuple[GoType, ...]
) -> tuple[GoType, ...]:
    """Those candidates whose bucket layout breaks no rule; all of them where the map is too large to try.

    In a map of one bucket nothing else tells how large the elements are.
    """
    verdicts: dict[MapLayout, bool] = {}
    for go_type in candidates:
        layout = go_type.layout
        assert layout is not None
        if layout.bucket_size << header.B > MOST_TRIED:
            return candidates
        if layout not in verdicts:
            snapshot = take_snapshot(target.memory, regions, address, go_type, target.types, 0, target.hash_keys)
            verdicts[layout] = judge(snapshot).verdict != "inconsistent"
    return tuple(go_type for go_type in candidates if go_type.layout and verdicts[go_type.layout])


def _believe(target: Target, regions: RegionMap, address: int, go_type: GoType | None) -> Hmap:
    """Refuse an address that cannot be an hmap, with the reasons; a named variable is believed instead."""
    if address % 8:
        raise NotAMap(f"{address:#x} is no hmap: it is not aligned to 8 bytes", "is a digit missing?")
    declaration = hmap(target.release)
    try:
        header = Hmap.of(declaration.parse(target.memory.read(address, declaration.sizeof())))
    except UnreadableMemory as error:
        if target.missing:
            # What the file lacks may well have been a map.
            raise
        raise NotAMap(f"{address:#x} is no hmap: {error}", "is it an address of this process or core?") from None
    doubts = _doubts(header, regions, go_type, bool(target.missing))
    if doubts:
        raise NotAMap(
            f"{address:#x} is no hmap: {'; '.join(doubts)}",
            "a map variable holds the address of its hmap: is this the variable's own address? "
            "a damaged map is inspected all the same when its variable is named",
        )
    return header


def _doubts(header: Hmap, regions: RegionMap, go_type: GoType | None, incomplete: bool) -> list[str]:
    """What speaks against a header; where the core is `incomplete` pointers may lead nowhere."""
    size = go_type.layout.bucket_size if go_type and go_type.layout else SMALLEST_BUCKET
    doubts = []
    if header.flags & ~sum(FLAG_NAMES):
        doubts.append(f"flags {header.flags:#x} has undefined bits")
    if header.B > LARGEST_B:
        doubts.append(f"B {header.B} is too large")
    elif header.buckets and not incomplete and not regions.covers(header.buckets, size << header.B):
        doubts.append(f"buckets {header.buckets:#x} does not lead to 2^{header.B} readable buckets")
    if header.count < 0:
        doubts.append(f"count {header.count} is negative")
    if not header.buckets:
        # Only an empty map of one bucket, whose bucket is made by its first write, has none.
        doubts += [f"{name} {value} without buckets" for name in LAZY if (value := getattr(header, name))]
    if header.count > LARGEST_COUNT:
        doubts.append(f"count {header.count} is too large")
    if not header.hash0:
        # The runtime gives every map a random one; memory that was never used is all zeros.
        doubts.append("hash0 is 0")
    if header.oldbuckets and not incomplete and not regions.covers(header.oldbuckets, size):
        doubts.append(f"oldbuckets {header.oldbuckets:#x} is not readable")
    if header.extra and not incomplete and not regions.covers(header.extra, mapextra.sizeof()):
        doubts.append(f"extra {header.extra:#x} is not readable")
    for name in ("buckets", "oldbuckets", "extra"):
        if getattr(header, name) % 8:
            doubts.append(f"{name} {getattr(header, name):#x} is not aligned")
    return doubts


def target_info(target: Target) -> TargetInfo:
    """Describe a target for a report."""
    return TargetInfo(
        kind=target.kind,
        pid=target.pid,
        exe=target.image.path,
        go_version=target.release.version,
        experiments=tuple(sorted(target.release.experiments)),
        stripped=target.image.stripped,
        memory=target.memory.name,
    )


def _entries(view: MapView) -> Iterator[Entry]:
    snapshot = view.snapshot
    types, layout = snapshot.types, snapshot.layout
    key, elem = types.key(snapshot.type), types.elem(snapshot.type)
    decoder = Decoder(types, snapshot.memory)

    def decode(go_type: GoType, slot: bytes, indirect: bool) -> GoValue:
        if not indirect:
            return decoder.value(go_type, slot)
        try:
            return decoder.value(go_type, snapshot.memory.read(int.from_bytes(slot, "little"), go_type.size))
        except UnreadableMemory as error:
            return Unreadable(error.reason)

    for name, array in view.arrays:
        for row, cell in _live_cells(array, snapshot.release.marks.min_tophash):
            yield Entry(
                key=decode(key, array.slots("keys")[row, cell].tobytes(), layout.indirect_key),
                value=decode(elem, array.slots("elems")[row, cell].tobytes(), layout.indirect_elem),
                array=name,
                bucket=int(array.home[row]),
                overflow=int(array.depth[row]),
                cell=cell,
                address=int(array.addresses[row]),
            )


def _live_cells(array: BucketArray, minimum: int) -> Iterator[tuple[int, int]]:
    rows = array.order
    for at, cell in np.argwhere(array.live(minimum)[rows]):
        yield int(rows[at]), int(cell)


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
