"""Finds the type of a map from its address, and rejects addresses that cannot be a map."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from inspector.errors import Hint, InspectError, NotAMap, UnknownMap, UnreadableMemory, UsageError
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.gotypes.shapes import of_shape
from inspector.gotypes.syncmaps import is_sync_map
from inspector.heap.extent import heap_regions
from inspector.inspection.in_use import refuse_what_is_not_in_use, say_what_is_not_in_use
from inspector.maps.family import Header, Source
from inspector.maps.identify import identify, noted_types, read_headers
from inspector.maps.readers import recognise_trie
from inspector.memory.protocol import RegionMap
from inspector.naming.locate import UNKNOWN_MAP, Locator, MapRef
from inspector.target.run import Run

T = TypeVar("T")

logger = logging.getLogger(__name__)

MOST_TRIED = 1 << 18
"""Bytes up to which a map of unknown type is copied and judged once for each layout."""

NOTED_SHOWN = 3
"""Types that a refusal names."""


@dataclass(frozen=True)
class Guess:
    """What was found at a bare address while the process ran: good as long as it is the same map."""

    ref: MapRef
    header: Header

    def holds(self, run: Run) -> bool:
        """Whether it is still the same map; call it while the target is held.

        Every map has a random seed. So a map whose keys have proven its type is known by its seed, however much was
        written to it since.
        """
        try:
            now = header_at(run, self.ref.address)
        except UnreadableMemory:
            return False
        proven = self.ref.type_source == "hash-proof"
        return now == self.header or (proven and now.seed == self.header.seed != 0)


def guess(run: Run, locator: Locator) -> Guess | None:
    """Identify a bare address before the stop, which spares a live process the time that hashing takes.

    None where no time is to be saved, or where the map changed too fast to be identified.
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
        new = run.search_heap_for_types(heap_regions)
        logger.debug("no known type fits; the heap was searched and has %s", "more" if new else "no more")
        return ask()


def header_at(run: Run, address: int, go_type: GoType = UNKNOWN_MAP) -> Header:
    """Read the header of a map of a type, or of any; raises UnreadableMemory."""
    return run.reader_of(go_type).read_header(run.memory, address, run.release)


def find_map(run: Run, locator: Locator) -> MapRef:
    """Read where a map is, and what it is when only its address is known; call it while the target is held."""
    if locator.type is None and locator.frame is None:
        return _identified(run, locator.address or 0)
    found = locator.find(run)
    if is_sync_map(found.type):
        return found
    if locator.address is not None and locator.name is None:
        say_what_is_not_in_use(run, locator.address)
        _refuse_another_type(run, locator.address, found.type)
    if found.type.layout:
        # In a stop the header is looked at once, when the map is copied.
        return _given(run, found) if run.still and found.address and not found.declared else found
    return replace(_identified(run, found.address, found.type), name=found.name)


def _given(run: Run, found: MapRef) -> MapRef:
    """A map whose type was given, believed to be one where most of its keys prove that, though its header does not."""
    source = run.source()
    try:
        believe(run, source.regions, found.address, found.type, found.name)
    except NotAMap:
        damaged = _damaged(run, source, found.address, UNKNOWN_MAP, found.type)
        return found if damaged is None else replace(found, declared=True)
    return found


def _refuse_another_type(run: Run, address: int, given: GoType) -> None:
    """Refuse a type that is not the one that the allocator noted for a map's buckets or groups; raises UsageError."""
    noted = noted_types(run.family, run.source(), address)
    if noted and given.cells_address not in {go_type.cells_address for go_type in noted}:
        names = " or ".join(go_type.name for go_type in noted[:NOTED_SHOWN])
        more = f" or {len(noted) - NOTED_SHOWN} more" if len(noted) > NOTED_SHOWN else ""
        raise UsageError(
            f"the type given is {given.name}, but the map at {address:#x} is {names}{more}: so the allocator noted it",
            Hint("leave {type} out"),
        )


def _identified(run: Run, address: int, declared: GoType = UNKNOWN_MAP) -> MapRef:
    """Find the type of the map at an address by what lies there, and by its shape if it is `declared` with one.

    Raises NotAMap.
    """
    if not address:
        return MapRef(0, declared, "heap")
    source = run.source()
    # A sync.Map lies anywhere, also inside of an object.
    sync_map = recognise_trie(source, address)
    if sync_map is not None:
        return MapRef(address, sync_map, "hash-proof")
    if declared is UNKNOWN_MAP:
        refuse_what_is_not_in_use(run, address)
    try:
        header = believe(run, source.regions, address, None)
    except NotAMap:
        damaged = _damaged(run, source, address, declared)
        if damaged is None:
            raise
        return damaged
    identity = identify(run.family, source, address)
    candidates = of_shape(run.types, identity.candidates, declared.name)
    sound = _sound(run, source, address, header, candidates)
    logger.debug(
        "%#x: of %d map types %d fit its bytes%s, %d of them the declared shape, %d without a contradiction",
        address, len(run.types.map_types), len(identity.candidates), " and keys" if identity.proven else "",
        len(candidates), len(sound),
    )  # fmt: skip
    if not sound and (damaged := _damaged(run, source, address, declared)):
        return damaged
    if not identity.candidates or not (sound or run.heap_searched):
        known = len(run.types.map_types)
        given = Hint("give the type with {type} if you know it")
        live = Hint("give the type with {type} if you know it, and look for a damaged map in a snapshot")
        raise UnknownMap(
            f"{address:#x} is not a map header of a known type: none of {known} map types fits its buckets",
            given if run.still else live,
        )
    # Where every type breaks a rule the map itself is damaged, and the likeliest type shows how.
    fitting = sound or candidates
    led = _led_to(run, address, fitting) if len(fitting) > 1 else ()
    best, *others = led or fitting
    if not identity.proven:
        run.note(_not_proven(header, identity.noted, bool(led), len(others) + 1))
    return MapRef(address, best, "hash-proof" if identity.proven else "heap", None, False, tuple(others))


def _damaged(run: Run, source: Source, address: int, declared: GoType, given: GoType | None = None) -> MapRef | None:
    """The map at an address that most of its keys prove, whatever contradicts it; None where they do not.

    It is of any type of the shape that is `declared`, or of the one that is `given`. A search like that of a census,
    which takes too long for a stop: a running process is not asked.
    """
    if not run.still or source.functions is None or source.heap is None:
        return None
    # Loaded where it is needed, as it takes 3 ms; a process that others hold is opened when it is loaded already.
    from inspector.maps.damaged import weigh

    headers = read_headers(run.family, source, np.array([address], np.uint64))
    among = None if given is None else [(given,)]
    for weighed in weigh(run.family, source, headers, among) if len(headers) else ():
        types = of_shape(run.types, weighed.types, declared.name)
        if weighed.proven and types:
            run.note("most of its keys prove that it is a map, although something contradicts that")
            return MapRef(address, types[0], "hash-proof", None, True, tuple(types[1:]))
    return None


def _led_to(run: Run, address: int, fitting: tuple[GoType, ...]) -> tuple[GoType, ...]:
    """Those of the types that fit which a reference to the map has; never sought while a process is held for that."""
    if run.target.led_to is None or run.target.read_by_gdb or run.held_now:
        return ()
    led = run.target.led_to(run.target, address)
    logger.debug("references to %#x say: %s", address, ", ".join(go_type.name for go_type in led) or "nothing")
    return tuple(go_type for go_type in led if go_type in fitting)


def _not_proven(header: Header, noted: bool, led: bool, fitting: int) -> str:
    """What is said of a type that no key proves."""
    why = "the map is empty" if not header.count else "the hashes of its keys cannot be repeated"
    if led and fitting == 1:
        return f"{why}; its type is that of the reference which leads to it"
    if not noted:
        return f"{why}, so nothing proves its type: {fitting} types fit; name the type to choose one"
    known = f"{why}; its type is known from what the allocator noted"
    return known if fitting == 1 else f"{known}: {fitting} types have such cells; name the type to choose one"


def _sound(
    run: Run, source: Source, address: int, header: Header, candidates: tuple[GoType, ...]
) -> tuple[GoType, ...]:
    """Those candidates whose layout breaks no rule; all of them where the map is too large to try.

    In a small map nothing else shows how large the elements are.
    """
    verdicts: dict[Layout, bool] = {}
    for go_type in candidates:
        layout = go_type.layout
        assert layout is not None
        if header.extent(go_type, run.release) > MOST_TRIED:
            return candidates
        if layout not in verdicts:
            snapshot = run.family.take_snapshot(source, address, go_type, 0)
            verdicts[layout] = snapshot.judge().verdict != "inconsistent"
    return tuple(go_type for go_type in candidates if go_type.layout and verdicts[go_type.layout])


def believe(run: Run, regions: RegionMap, address: int, go_type: GoType | None, name: str | None = None) -> Header:
    """Refuse an address that cannot be a map's header, with the reasons; a package variable is believed instead.

    `name` is the variable of a frame that led here.
    """
    called = run.reader_of(go_type or UNKNOWN_MAP).HEADER
    if address % 8:
        raise NotAMap(f"{address:#x} is not a map header: addresses of maps end in 0 or 8", "is a digit missing?")
    try:
        header = header_at(run, address, go_type or UNKNOWN_MAP)
    except UnreadableMemory as error:
        if run.missing:
            # What the file lacks may well have been a map.
            raise
        raise NotAMap(
            f"{address:#x} is not a map header: {error}", "is it an address of this process or core?"
        ) from None
    doubts = header.doubts(regions, go_type.layout if go_type else None, bool(run.missing))
    if doubts:
        hint = (
            f"{name} may not be in use here: not written yet, or no longer needed"
            if name
            else f"a map variable holds the address of its {called}: is this the variable's own address? "
            "to inspect a damaged map, name its variable" + ("" if run.still else ", or look for it in a snapshot")
        )
        raise NotAMap(f"{address:#x} is not a map header: {'; '.join(doubts)}", hint)
    return header
