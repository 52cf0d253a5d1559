"""What a map is of which only the address is known, and whether an address can be a map at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from inspector.errors import InspectError, NotAMap, UnknownMap, UnreadableMemory
from inspector.goruntime.hmap import FLAG_NAMES, hmap
from inspector.goruntime.mapextra import mapextra
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.gotypes.shapes import of_shape
from inspector.maps.classic.checks import judge
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.identify import identify
from inspector.maps.classic.snapshot import LARGEST_B, take_snapshot
from inspector.memory.protocol import END_OF_USER_SPACE, RegionMap
from inspector.naming.locate import UNKNOWN_MAP, Locator, MapRef
from inspector.target.run import Run

T = TypeVar("T")

MOST_TRIED = 1 << 18
"""Bytes of a bucket array up to which a map of unknown type is copied and judged once for each layout."""

SMALLEST_BUCKET = 16
"""Bytes of a bucket whose keys and elements have none: tophashes and the overflow pointer."""

LAZY = ("count", "B", "noverflow", "oldbuckets")
LARGEST_COUNT = END_OF_USER_SPACE
"""No map has more entries than there are bytes to address."""


@dataclass(frozen=True)
class Guess:
    """What was found at a bare address while the process ran: good as long as the header stays the same."""

    ref: MapRef
    header: Hmap

    def holds(self, run: Run) -> bool:
        """Whether the header is still the same; call it while the target is held."""
        try:
            return header_at(run, self.ref.address) == self.header
        except UnreadableMemory:
            return False


def guess(run: Run, locator: Locator) -> Guess | None:
    """Identify a bare address before the stop, which spares a live process the time that hashing takes.

    None where there is nothing to spare, or where the map changed too fast to be made out.
    """
    address = locator.address
    if locator.type or not address or run.still or run.target.read_by_gdb or not run.stops:
        return None
    noted = list(run.notes)
    try:
        header = header_at(run, address)
        return Guess(_identified(run, address), header)
    except InspectError:
        run.notes[:] = noted
        return None


def with_types_made_later(run: Run, ask: Callable[[], T]) -> T:
    """The answer, asked for once more with the types that reflect has made since, where no known type fits."""
    try:
        return ask()
    except UnknownMap:
        # That is rare, and the search is not for free.
        run.search_heap_for_types()
        return ask()


def header_at(run: Run, address: int) -> Hmap:
    """Read the header of a map; raises UnreadableMemory."""
    declaration = hmap(run.release)
    return Hmap.of(declaration.parse(run.memory.read(address, declaration.sizeof())))


def find_map(run: Run, locator: Locator) -> MapRef:
    """Read where a map is, and what it is when only its address is known; call it while the target is held."""
    if locator.type is None and locator.frame is None:
        return _identified(run, locator.address or 0)
    found = locator.find(run)
    if found.type.layout:
        return found
    return replace(_identified(run, found.address, found.type), name=found.name)


def _identified(run: Run, address: int, declared: GoType = UNKNOWN_MAP) -> MapRef:
    """Find the type of the map at an address by what lies there, and by its shape if it is `declared` with one.

    Raises NotAMap.
    """
    if not address:
        return MapRef(0, declared, "heap")
    regions = run.regions()
    header = believe(run, regions, address, None)
    identity = identify(run.memory, regions, header, run.types, run.hash_keys)
    candidates = of_shape(run.types, identity.candidates, declared.name)
    sound = _sound(run, regions, address, header, candidates)
    if not identity.candidates or not (sound or run.heap_searched):
        known = len(run.types.map_types)
        raise UnknownMap(
            f"{address:#x} is no hmap of a known type: none of {known} map types fits its buckets",
            "give the type with --type if you know it",
        )
    # Where every type breaks a rule the map itself is damaged, and the likeliest type shows how.
    best, *others = sound or candidates
    if not identity.proven:
        why = "the map is empty" if not header.count else "its keys have no hash that could be repeated"
        run.note(f"{why}, so nothing proves its type: {len(others) + 1} types fit; choose one with --type")
    return MapRef(address, best, "hash-proof" if identity.proven else "heap", None, False, tuple(others))


def _sound(
    run: Run, regions: RegionMap, address: int, header: Hmap, candidates: tuple[GoType, ...]
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
            snapshot = take_snapshot(run.memory, regions, address, go_type, run.types, 0, run.hash_keys)
            verdicts[layout] = judge(snapshot).verdict != "inconsistent"
    return tuple(go_type for go_type in candidates if go_type.layout and verdicts[go_type.layout])


def believe(run: Run, regions: RegionMap, address: int, go_type: GoType | None, name: str | None = None) -> Hmap:
    """Refuse an address that cannot be an hmap, with the reasons; a package variable is believed instead.

    `name` is the variable of a frame that led here.
    """
    if address % 8:
        raise NotAMap(f"{address:#x} is no hmap: it is not aligned to 8 bytes", "is a digit missing?")
    try:
        header = header_at(run, address)
    except UnreadableMemory as error:
        if run.missing:
            # What the file lacks may well have been a map.
            raise
        raise NotAMap(f"{address:#x} is no hmap: {error}", "is it an address of this process or core?") from None
    doubts = _doubts(header, regions, go_type, bool(run.missing))
    if doubts:
        hint = (
            f"{name} may not be in use here: not written yet, or not needed any more"
            if name
            else "a map variable holds the address of its hmap: is this the variable's own address? "
            "a damaged map is inspected all the same when its variable is named"
        )
        raise NotAMap(f"{address:#x} is no hmap: {'; '.join(doubts)}", hint)
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
