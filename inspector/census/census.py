"""The census: every map of a target, from the search for headers to the judgement on each."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from inspector.census.claim import Claim
from inspector.census.examine import Examined, Examiner
from inspector.census.identity import process_identity
from inspector.census.interfaces import Interfaces
from inspector.census.model import Census, CensusMap, CensusTiming, FoundBy
from inspector.census.names import Namer, Root, named_by_symbols
from inspector.census.reached import Ways
from inspector.census.scan import scan
from inspector.census.territory import Territory, survey
from inspector.census.walk import MOST_OBJECTS, Walk
from inspector.errors import Hint, UsageError
from inspector.goroutines.writers import find_writers
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import is_sync_map
from inspector.gotypes.words import number_of
from inspector.heap.objects import sizes_are_exact
from inspector.inspection.one_map import target_info
from inspector.maps.family import Headers, Slots
from inspector.maps.identify import identify, read_headers, shortlist
from inspector.maps.readers import recognise_trie
from inspector.naming.locate import TypeSource
from inspector.target.run import MAX_SHARE, MaxStop, Run
from inspector.target.target import Target, noticing_the_end

logger = logging.getLogger(__name__)

RUNTIME = ("runtime.", "runtime/", "internal/")
"""Packages whose variables are not followed: the runtime's own structures are not always what their types say."""


Phase = Literal["scan", "check"]


class Watcher(Protocol):
    """Is called with the progress of a census."""

    def phase(self, what: Phase, total: int) -> None:
        """A part of the work begins: `total` bytes to scan, or maps to check."""
        ...

    def step(self, done: int, found: int, paused: float) -> None:
        """`done` of them are done, `found` candidates or maps were found; the target was paused for so many ms."""
        ...


class Unwatched:
    """Nobody looks."""

    def phase(self, what: Phase, total: int) -> None:
        """See Watcher."""

    def step(self, done: int, found: int, paused: float) -> None:
        """See Watcher."""


def take_census(
    target: Target,
    max_stop: MaxStop = "usual",
    watcher: Watcher | None = None,
    strings: bool = False,
    max_share: float | None = MAX_SHARE,
) -> Census:
    """Find, prove, name and judge every map of a target.

    A process is held for a copy of a few megabytes or for a few maps at a time: never longer than `max_stop` seconds,
    and never for more than `max_share` of any second (None for no limit). `strings` counts the bytes of the strings in
    maps, too. Raises the InspectError family.
    """
    if target.read_by_gdb:
        raise UsageError(
            "listing all maps reads far more memory than gdb can transfer", Hint("leave {gdb_mi} out, or name one map")
        )
    with noticing_the_end(target.life):
        return _Taker(Run(target, max_stop, max_share), watcher or Unwatched(), strings).take()


class _Taker:
    def __init__(self, run: Run, watcher: Watcher, strings: bool) -> None:
        self.run, self.watcher = run, watcher
        self.examiner = Examiner(run, strings)
        self.timing = CensusTiming()
        self.scanned = 0
        # Found before any stop, as they never change.
        self.types, self.hash_keys = run.types, run.hash_keys
        self.roots: list[Root] = []
        self.unnamed = False
        # In a process they are elsewhere by the time that a map is looked at.
        self.writers = find_writers(run) if run.still else []

    def take(self) -> Census:
        started = time.perf_counter()
        territory = survey(self.run)
        if self.run.still and sizes_are_exact(self.run):
            # That of a running process is out of date before the first map is copied.
            self.run.heap = territory.heap
        headers = self._scan(territory)
        self.timing.scan = _ms(started)
        walking = time.perf_counter()
        walk = self._walk(territory)
        self.examiner.ways = Ways(self.run, walk.visited)
        self.timing.walk = _ms(walking)
        proving = time.perf_counter()
        found = self._examine(self._claims(walk, territory, []))
        proven = self._examine(self._proven(headers.without([one.claim.address for one in found]), territory))
        logger.debug("%d maps by reference, %d more by their keys", len(found), len(proven))
        self._into(walk, proven)
        found += self._examine(self._claims(walk, territory, found))
        self.timing.prove = _ms(proving)
        self._say(territory)
        self.timing.stopped, self.timing.longest_stop = self.run.stopped_ms, self.run.clock.longest * 1000
        self.timing.total = _ms(started)
        stops = self.run.clock.stops
        logger.debug(
            "%d stops, %.1f ms in all, %.1f ms at most", len(stops), self.timing.stopped, self.timing.longest_stop
        )
        each = _without_doubles([*found, *proven])
        rows = named_by_symbols(self.run, self._with_clones(each))
        maps = sorted(rows, key=lambda one: (-one.bytes.total, one.address))
        examiner = self.examiner
        partial = self.run.missing > 0 or self.unnamed or examiner.too_large > 0 or examiner.failures > 0
        return Census(
            target_info(self.run.target),
            tuple(maps),
            self.scanned,
            self.timing,
            tuple(self.run.notes),
            partial,
            process_identity(self.run),
        )

    def _with_clones(self, found: list[Examined]) -> list[CensusMap]:
        """The rows; those of maps with one seed name each other."""
        rows = {one.claim.address: one.row for one in found if one.row is not None}
        if not self.run.family.seed_tells_clones(self.run.release):
            return list(rows.values())
        alike: dict[int, list[int]] = defaultdict(list)
        for one in found:
            if one.header is not None and not is_sync_map(one.claim.types[0]):
                alike[one.header.seed].append(one.claim.address)
        for addresses in alike.values():
            for address in addresses if len(addresses) > 1 else ():
                others = tuple(sorted(set(addresses) - {address}))
                rows[address] = replace(rows[address], clones=others)
        return list(rows.values())

    def _say(self, territory: Territory) -> None:
        """Note for the user what could not be done."""
        run = self.run
        if run.missing and territory.heap is not None:
            run.note("the heap metadata may be incomplete too: dead maps may be among those listed")
        if self.unnamed:
            run.note(
                f"more than {MOST_OBJECTS:,} objects are reachable; the rest were not followed, "
                "so some maps have no name"
            )
        if self.examiner.too_large:
            run.note(
                f"{number_of(self.examiner.too_large, 'map')} could not be checked: "
                "copying takes longer than a stop may take"
            )
        if self.examiner.failures:
            run.note(
                f"the list leaves out {number_of(self.examiner.failures, 'possible map')} that could not be checked"
            )
        if not run.stops:
            run.note("the process was not stopped while the maps were copied")

    def _walk(self, territory: Territory) -> Walk:
        """Follow all package variables that the symbols and the DWARF name, and all values in interfaces."""
        run, regions = self.run, self.run.regions()
        source = run.source()

        def cells(address: int, go_type: GoType) -> Iterator[Slots]:
            return run.reader_of(go_type).cells(source, address, go_type)

        walk = Walk(self.types, run.memory, regions, cells)
        for variable in run.declarations.variables():
            if not variable.name.startswith(RUNTIME):
                self.roots.append(Root(variable.name, variable.type))
                walk.begin(variable.type, np.array([variable.address], np.uint64), -len(self.roots))
        if run.declarations.damage:
            run.note(f"{run.declarations.damage}; maps reached through it may have no name")
        walk.run()
        self.unnamed = walk.cut
        interfaces = Interfaces(self.types, run.memory, regions)
        interfaces.in_variables()
        interfaces.in_heap(territory, self.run.copied)
        self.types.learn(interfaces.descriptors)
        for address in interfaces.sync_maps:
            sync_map = recognise_trie(source, address)
            if sync_map is not None:
                self.roots.append(Root(None, sync_map))
                walk.begin(sync_map, np.array([address], np.uint64), -len(self.roots))
        for go_type, addresses in interfaces.values().items():
            self.roots.append(Root(None, go_type))
            walk.begin(go_type, addresses, -len(self.roots))
        walk.run()
        logger.debug("%d variables and interfaces followed to %d maps", len(self.roots), len(walk.maps))
        return walk

    def _into(self, walk: Walk, proven: list[Examined]) -> None:
        """Follow what maps hold that their keys prove, where that leaves one type only."""
        for one in proven:
            if len(one.claim.types) == 1:
                self.roots.append(Root(None, one.claim.types[0]))
                walk.into_map(one.claim.types[0], one.claim.address, -len(self.roots))
        walk.run()

    # Found by shape

    def _scan(self, territory: Territory) -> Headers:
        """Candidates anywhere in the territory; nothing is proven of them yet."""
        run, family = self.run, self.run.family
        self.watcher.phase("scan", territory.size)
        parts, found = [], 0
        ranges = [*territory.slots, *territory.stacks]
        for piece in scan(run, ranges, territory.arena):
            headers = territory.worth_proving(piece.headers)
            parts.append(headers)
            found += len(headers)
            self.scanned += piece.size
            self.watcher.step(self.scanned, found, self.run.stopped_ms)
        logger.debug("%d bytes in %d ranges scanned, %d candidates for a header", self.scanned, len(ranges), found)
        return Headers.joined(parts, family.header_dtype(run.release))

    def _proven(self, left: Headers, territory: Territory) -> list[Claim]:
        """What candidates may be by the hashes of a few of their keys."""
        source, family = replace(self.run.source(), heap=territory.heap), self.run.family
        if source.functions is None:
            self.run.note("the process's hash keys were not found: only maps that typed references lead to are listed")
            return []
        # Much of what was found a while ago has been freed since, and is something else now.
        left = territory.worth_proving(read_headers(family, source, left.addresses))
        lists = shortlist(family, source, left)
        on_stack = territory.on_stack(left.addresses)
        claims = []
        for at in (at for at, types in enumerate(lists) if types):
            address = int(left.addresses[at])
            # The hashes have been looked at; the rest is distinguished by what elements can be.
            known = identify(family, source, address, lists[at], prove=False)
            if known.candidates:
                how: TypeSource = "hash-proof" if family.header_of(left.rows[at]).count else "heap"
                claims.append(Claim(address, known.candidates, how, "stack" if on_stack[at] else "heap"))
        return claims

    # Found by reference

    def _claims(self, walk: Walk, territory: Territory, done: list[Examined]) -> list[Claim]:
        """The maps that typed references lead to, without those that are done."""
        known = {one.claim.address for one in done}
        namer = Namer(self.types, self.run.memory, walk.visited, self.roots)
        new = [address for address in walk.maps if address not in known]
        claims = [self._claim(walk, namer, address, walk.maps[address]) for address in new]
        # What is not named may be reached by mistake. Nothing outside of a stack leads to what lies on it.
        right = territory.header_objects(np.array(new, np.uint64))
        pairs = zip(claims, right, strict=True)
        return [claim for claim, fits in pairs if claim.named or fits or is_sync_map(claim.types[0])]

    def _claim(self, walk: Walk, namer: Namer, address: int, numbers: list[int]) -> Claim:
        """What is claimed of a map that one or more objects lead to; the first reference that has a name counts."""
        names = [(namer.name(number), number) for number in numbers]
        name, number = next((pair for pair in names if pair[0].path), names[0])
        named = any(self._named(walk, each) for each in numbers)
        ordered = [number, *(each for each in numbers if each != number)]
        types = tuple(walk.visited.step(each).type for each in ordered)
        in_variable = is_sync_map(types[0]) and any(
            start <= address < end for module in self.types.modules for start, end in module.variables
        )
        found_by: FoundBy = "global" if named or in_variable else "heap"
        return Claim(address, types, "dwarf" if named else "heap", found_by, number, named, name)

    def _named(self, walk: Walk, number: int) -> bool:
        """Whether a path to an object begins at a package variable, however long it is."""
        while number >= 0:
            number = walk.visited.step(number).origin
        return self.roots[-1 - number].name is not None

    # Copied and judged

    def _examine(self, claims: list[Claim]) -> list[Examined]:
        """Those of the claims that hold."""
        self.watcher.phase("check", len(claims))
        found = []
        for done, one in enumerate(self.examiner.examine(claims), 1):
            if one.row is not None:
                found.append(self._with_writers(one))
            self.watcher.step(done, len(found), self.run.stopped_ms)
        return found

    def _with_writers(self, one: Examined) -> Examined:
        """Add the goroutines that were writing a map: a core may show two that wrote the same one."""
        address = one.claim.address
        where = self.run.reader_of(one.claim.types[0]).whole(address)
        seen = tuple(writer.finding(where) for writer in self.writers if address in writer.words)
        if not seen or one.row is None:
            return one
        return replace(one, row=replace(one.row, findings=(*one.row.findings, *seen)))


def _without_doubles(found: list[Examined]) -> list[Examined]:
    """Each map once, rather as something typed leads to it.

    Of maps that share what they lead to the one that nothing leads to is what a map left behind. Maps that a sync.Map
    consists of are not listed beside it.
    """
    parts = {part for one in found if one.row is not None for part in one.row.parts}
    referred = {one.storage for one in found if one.claim.number is not None and one.storage}
    kept = (one for one in found if one.claim.number is not None or one.storage not in referred)
    return [one for one in kept if one.row is not None and one.claim.address not in parts]


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
