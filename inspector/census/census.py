"""The census: every map of a target, from the search for headers to the judgement on each."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Protocol

import numpy as np

from inspector.census.cells import CellReader
from inspector.census.claim import Claim
from inspector.census.examine import Examined, Examiner
from inspector.census.identity import process_identity
from inspector.census.interfaces import Interfaces
from inspector.census.model import Census, CensusMap, CensusTiming, FoundBy
from inspector.census.names import Namer, Root
from inspector.census.scan import Headers, scan
from inspector.census.shortlist import Shortlist
from inspector.census.territory import Territory, survey
from inspector.census.walk import Walk
from inspector.errors import UsageError
from inspector.goroutines.writers import find_writers
from inspector.inspection.one_map import target_info
from inspector.maps.classic.identify import identify
from inspector.maps.classic.mirror.growth import PREALLOCATED_FROM_B
from inspector.naming.locate import TypeSource
from inspector.target.run import MAX_SHARE, MaxStop, Run
from inspector.target.target import Target, noticing_the_end

RUNTIME = ("runtime.", "runtime/", "internal/")
"""Packages whose variables are not followed: the runtime's own structures are not always what their types say."""


class Watcher(Protocol):
    """Is told how far a census is."""

    def phase(self, what: str, total: int) -> None:
        """A part of the work begins: `total` bytes, or maps."""
        ...

    def step(self, done: int, found: int) -> None:
        """`done` of them are done, `found` candidates or maps were found."""
        ...


class Unwatched:
    """Nobody looks."""

    def phase(self, what: str, total: int) -> None:
        """See Watcher."""

    def step(self, done: int, found: int) -> None:
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
            "the census reads far more than gdb can hand over", "leave --memory gdb-mi out, or name one map"
        )
    with noticing_the_end(target.local_pid):
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
        headers = self._scan(territory)
        self.timing.scan = _ms(started)
        walking = time.perf_counter()
        walk = self._walk(territory)
        self.examiner.links = walk.visited.links
        self.timing.walk = _ms(walking)
        proving = time.perf_counter()
        found = self._examine(self._claims(walk, territory, []))
        proven = self._examine(self._proven(headers.without([one.claim.address for one in found]), territory))
        self._into(walk, proven)
        found += self._examine(self._claims(walk, territory, found))
        self.timing.prove = _ms(proving)
        self._say(territory)
        self.timing.stopped, self.timing.longest_stop = self.run.stopped_ms, self.run.clock.longest * 1000
        self.timing.total = _ms(started)
        maps = sorted(_without_doubles([*found, *proven]), key=lambda one: (-one.bytes.total, one.address))
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

    def _say(self, territory: Territory) -> None:
        """Tell the person what could not be done."""
        run = self.run
        if run.missing and territory.heap is not None:
            run.note("the heap's own books may lack parts, too: dead maps may be among those listed")
        if self.unnamed:
            run.note("there are more objects than typed references were followed through: some maps have no name")
        if self.examiner.too_large:
            run.note(
                f"{self.examiner.too_large} maps are too large to be copied within --max-stop: they were not judged"
            )
        if self.examiner.failures:
            run.note(f"{self.examiner.failures} places that look like maps could not be looked at: they are not listed")
        if not run.stops:
            run.note("the process was not stopped while the maps were copied")

    def _walk(self, territory: Territory) -> Walk:
        """Follow all package variables that the symbols and the DWARF tell of, and all that interfaces do."""
        run, regions = self.run, self.run.regions()
        walk = Walk(self.types, run.memory, regions, CellReader(run.memory, regions, run.release).cells)
        for variable in run.declarations.variables():
            if not variable.name.startswith(RUNTIME):
                self.roots.append(Root(variable.name, variable.type))
                walk.begin(variable.type, np.array([variable.address], np.uint64), -len(self.roots))
        if run.declarations.damage:
            run.note(f"{run.declarations.damage}; maps that it leads to may have no name")
        walk.run()
        self.unnamed = walk.cut
        interfaces = Interfaces(self.types, run.memory, regions)
        interfaces.in_variables()
        interfaces.in_heap(territory, self.run.copied)
        for go_type, addresses in interfaces.values().items():
            self.roots.append(Root(None, go_type))
            walk.begin(go_type, addresses, -len(self.roots))
        walk.run()
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
        """Candidates anywhere in the territory that are no more than candidates."""
        release = self.run.release
        self.watcher.phase("scanned", territory.size)
        parts, found = [], 0
        ranges = [*territory.slots, *territory.stacks]
        for piece in scan(self.run.memory, ranges, territory.arena, release, self.run.copied):
            rows = piece.headers.rows
            # An empty map has nothing to prove it but overflow buckets in store.
            provable = (rows["count"] > 0) | (rows["B"] >= PREALLOCATED_FROM_B) & (rows["extra"] != 0)
            headers = piece.headers.where(territory.alive(piece.headers) & provable)
            parts.append(headers)
            found += len(headers)
            self.scanned += piece.size
            self.watcher.step(self.scanned, found)
        return Headers.joined(parts, release)

    def _proven(self, left: Headers, territory: Territory) -> list[Claim]:
        """What candidates may be by the hashes of a few of their keys."""
        functions = self.hash_keys.functions(self.run.release) if self.hash_keys else None
        if functions is None:
            self.run.note("the process's hash keys were not found: only maps that something leads to are listed")
            return []
        memory, regions = self.run.memory, self.run.regions()
        lists = Shortlist(self.types, memory, regions, functions).of(left, territory.room(left.rows["buckets"]))
        on_stack = territory.on_stack(left.addresses)
        claims = []
        for at, (address, types) in enumerate(zip(left.addresses.tolist(), lists, strict=True)):
            header = left.header(at)
            # The hashes have been looked at; what is left is told apart by what elements can be.
            known = identify(memory, regions, header, self.types, None, types)
            if known.candidates:
                source: TypeSource = "hash-proof" if header.count else "heap"
                claims.append(Claim(address, known.candidates, source, "stack" if on_stack[at] else "heap"))
        return claims

    # Found by reference

    def _claims(self, walk: Walk, territory: Territory, done: list[Examined]) -> list[Claim]:
        """The maps that typed references lead to, without those that are done."""
        known = {one.claim.address for one in done}
        namer = Namer(self.types, self.run.memory, walk.visited, self.roots)
        new = [address for address in walk.maps if address not in known]
        claims = [self._claim(walk, namer, address, walk.maps[address]) for address in new]
        # What is not named may be reached by mistake.
        right = territory.holds_header(np.array(new, np.uint64))
        return [claim for claim, fits in zip(claims, right, strict=True) if claim.named or fits]

    def _claim(self, walk: Walk, namer: Namer, address: int, numbers: list[int]) -> Claim:
        """What is claimed of a map that one or more objects lead to; the first reference that has a name counts."""
        names = [(namer.name(number), number) for number in numbers]
        name, number = next((pair for pair in names if pair[0].path), names[0])
        named = any(self._named(walk, each) for each in numbers)
        ordered = [number, *(each for each in numbers if each != number)]
        types = tuple(walk.visited.step(each).type for each in ordered)
        found_by: FoundBy = "global" if named else "heap"
        return Claim(address, types, "dwarf" if named else "heap", found_by, number, named, name)

    def _named(self, walk: Walk, number: int) -> bool:
        """Whether a path to an object begins at a package variable, however long it is."""
        while number >= 0:
            number = walk.visited.step(number).origin
        return self.roots[-1 - number].name is not None

    # Copied and judged

    def _examine(self, claims: list[Claim]) -> list[Examined]:
        """Those of the claims that hold."""
        self.watcher.phase("maps judged", len(claims))
        found = []
        for done, one in enumerate(self.examiner.examine(claims), 1):
            if one.row is not None:
                found.append(self._with_writers(one))
            self.watcher.step(done, len(found))
        return found

    def _with_writers(self, one: Examined) -> Examined:
        """Add who was at work on a map: a core may be one of two goroutines that wrote the same."""
        address = one.claim.address
        told = tuple(writer.finding(address) for writer in self.writers if address in writer.words)
        if not told or one.row is None:
            return one
        return replace(one, row=replace(one.row, findings=(*one.row.findings, *told)))


def _without_doubles(found: list[Examined]) -> list[CensusMap]:
    """Each map once, rather as something typed leads to it.

    Of maps with the same buckets the one that nothing leads to is what a map left behind.
    """
    referred = {one.buckets for one in found if one.claim.number is not None and one.buckets}
    kept = (one for one in found if one.claim.number is not None or one.buckets not in referred)
    return [one.row for one in kept if one.row is not None]


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
