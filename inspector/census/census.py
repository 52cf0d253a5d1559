"""The census: every map of a target, from the search for headers to the judgement on each."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from inspector import watching
from inspector.census.claim import Claim, Examined
from inspector.census.damaged import Suspect, as_unproven, find_suspects
from inspector.census.examine import Examiner
from inspector.census.following import References, follow_references
from inspector.census.identity import process_identity
from inspector.census.model import Census, CensusMap, CensusTiming, FoundBy, Unproven
from inspector.census.names import Namer, Root, named_by_symbols
from inspector.census.reached import Ways
from inspector.census.scan import scan
from inspector.census.territory import Territory, survey
from inspector.census.unreachable import find_unreachable
from inspector.census.walk import Walk
from inspector.copying.room import first_to_be_killed
from inspector.errors import Hint, UsageError
from inspector.goroutines.racing import with_writers
from inspector.goroutines.writers import Writer, find_writers, look_for_goroutines, see_writers
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import is_sync_map
from inspector.gotypes.words import number_of
from inspector.heap.objects import sizes_are_exact
from inspector.inspection.in_use import look_for_heap
from inspector.inspection.one_map import target_info
from inspector.maps.family import Headers
from inspector.maps.findings import Judgement, Verdict
from inspector.maps.identify import fit_storage, identify_all, read_headers, shortlist
from inspector.maps.readers import reader_of_sync_maps
from inspector.naming.locate import TypeSource
from inspector.settings import MAX_SHARE, MaxStop
from inspector.target.run import Run
from inspector.target.target import Target, noticing_the_end
from inspector.target.whole import copied_whole

logger = logging.getLogger(__name__)

GOING_ON: tuple[Verdict, ...] = ("write-in-progress", "inconsistent")
MOST_ASKED = 64
"""Maps for which all goroutines of a core are looked through, of those that seem to have been written."""

RELIEVED = 1 << 14
"""Maps after which the pages of a core that were read for them are let go of."""

Phase = Literal["scan", "check"]


class Watcher(Protocol):
    """Is called with the progress of a census."""

    def phase(self, what: Phase, total: int) -> None:
        """A part of the work begins: `total` bytes to scan, or maps to check."""
        ...

    def step(self, done: int, found: int, paused: float) -> None:
        """`done` of them are done, `found` candidates or maps were found; the target was paused for so many ms."""
        ...


WORDS: dict[Phase, str] = {"scan": "Scanning the heap", "check": "Checking maps"}
"""What is said of a phase."""


class Told:
    """Whoever watches the whole request (watching.py)."""

    def phase(self, what: Phase, total: int) -> None:
        """See Watcher. A phase with nothing to do is not worth a word."""
        if total:
            watching.begin(WORDS[what], total, in_bytes=what == "scan")

    def step(self, done: int, found: int, paused: float) -> None:
        """See Watcher."""
        watching.reach(done)


class Question(Protocol):
    """Is asked of all maps that were found, while their memory can still be read."""

    def ask(self, run: Run, maps: tuple[CensusMap, ...], types: Mapping[int, GoType]) -> None:
        """Find the answer, and keep it; `types` are the maps' types by their addresses."""
        ...


def take_census(
    target: Target,
    max_stop: MaxStop = "usual",
    watcher: Watcher | None = None,
    strings: bool = False,
    max_share: float | None = MAX_SHARE,
    budget: float | None = None,
    question: Question | None = None,
) -> Census:
    """Find, prove, name and judge every map of a target.

    A process is held once, for a copy of all its memory, where that is sure not to take longer than `max_stop` seconds;
    else for a copy of a few megabytes or for a few maps at a time. It is never held for more than `max_share` of any
    second, nor for more than `budget` seconds in all (None for no limit): then maps are copied while it runs, and those
    that change too fast are listed as not read. `strings` counts the bytes of the strings in maps, too. The
    `question` is asked of the maps in the end. Raises the InspectError family.
    """
    if target.read_by_gdb:
        raise UsageError(
            "listing all maps reads far more memory than gdb can transfer", Hint("leave {gdb_mi} out, or name one map")
        )
    # Loaded now, as long as no process is held.
    reader_of_sync_maps()
    run = Run(target, max_stop, max_share, budget)
    watcher = watcher or Told()
    with first_to_be_killed(), copied_whole(run) as whole:
        if whole is not None and whole.at_once:
            return _Taker(run.of(whole.target), watcher, strings, question=question).take()
        with noticing_the_end(target.life):
            if whole is None:
                return _Taker(run, watcher, strings, question=question).take()
            return _Taker(run.of(whole.target), watcher, strings, live=run, question=question).take()


class _Taker:
    """Takes one census. `live` is the process itself, where `run` has a copy whose parts are of different moments."""

    def __init__(
        self,
        run: Run,
        watcher: Watcher,
        strings: bool,
        live: Run | None = None,
        question: Question | None = None,
    ) -> None:
        self.run, self.watcher, self.live, self.question = run, watcher, live, question
        self.examiner = Examiner(run, strings)
        self.second = Examiner(live, strings) if live else None
        self.timing = CensusTiming()
        self.scanned = 0
        # Found before any stop, as they never change.
        self.types, self.hash_keys = run.types, run.hash_keys
        self.roots: list[Root] = []
        self.shared: dict[tuple[GoType, ...], tuple[GoType, ...]] = {}
        self.unnamed = ""
        self.disbelieved: dict[int, Claim] = {}
        self.asked = 0
        # In a process they are elsewhere by the time that a map is looked at.
        self.writers = find_writers(run) if run.still and live is None else []

    def take(self) -> Census:
        started = time.perf_counter()
        watching.begin("Reading the heap's metadata")
        territory = survey(self.run)
        if self.run.still and self.live is None and sizes_are_exact(self.run):
            # That of a running process is out of date before the first map is copied.
            self.run.heap = territory.heap
        headers = self._scan(territory)
        self.run.target.relieve()
        self.timing.scan = _ms(started)
        walking = time.perf_counter()
        watching.begin("Following references")
        walk = self._walk(territory)
        self.examiner.ways = Ways(self.run, walk.visited)
        if self.second and self.live:
            self.second.ways = Ways(self.live, walk.visited)
        self.run.target.relieve()
        self.timing.walk = _ms(walking)
        proving = time.perf_counter()
        found = self._examine(self._claims(walk, territory, []))
        watching.begin("Proving what else is a map")
        proven = self._examine(self._proven(headers.without([one.claim.address for one in found]), territory))
        logger.debug("%d maps by reference, %d more by their keys", len(found), len(proven))
        self._into(walk, proven)
        found = self._with_holders(walk, found) + self._examine(self._claims(walk, territory, found))
        damaged, unproven = self._damaged(territory, [*found, *proven])
        self.unnamed = walk.cut
        self.timing.prove = _ms(proving)
        self._say(territory)
        self.timing.stopped, self.timing.longest_stop = self.run.stopped_ms, self.run.clock.longest * 1000
        self.timing.total = _ms(started)
        stops = self.run.clock.stops
        logger.debug(
            "%d stops, %.1f ms in all, %.1f ms at most", len(stops), self.timing.stopped, self.timing.longest_stop
        )
        watching.begin("Naming maps")
        each = [*_without_doubles([*found, *proven]), *damaged]
        rows = named_by_symbols(self.run, self._with_clones(each))
        unreachable = find_unreachable(self.run, territory, [one.address for one in rows]) if not self.live else None
        if unreachable:
            rows = [replace(one, unreachable=True) if one.address in unreachable else one for one in rows]
        maps = sorted(rows, key=lambda one: (-one.bytes.total, one.address))
        if self.question is not None:
            self._ask(self.question, tuple(maps), each)
        partial = self.run.missing > 0 or self.unnamed != "" or self.too_large > 0 or self.failures > 0
        return Census(
            target_info(self.run.target),
            tuple(maps),
            self.scanned,
            self.timing,
            tuple(self.run.notes),
            partial,
            process_identity(self.run),
            territory.heap.in_use if territory.heap else None,
            tuple(unproven),
            self.run.family.keeping(self.run.release),
            unreachable is not None,
        )

    def _ask(self, question: Question, maps: tuple[CensusMap, ...], found: list[Examined]) -> None:
        if not self.run.still:
            self.run.note("keys and elements were read while the process ran: some may be torn")
        question.ask(self.run, maps, {one.claim.address: one.claim.types[0] for one in found})

    @property
    def too_large(self) -> int:
        """Maps that took too long to copy."""
        return (self.second or self.examiner).too_large

    @property
    def failures(self) -> int:
        """Possible maps that could not be looked at."""
        return (self.second or self.examiner).failures

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
        run, process = self.run, self.live or self.run
        if run.missing and territory.heap is not None:
            run.note("the heap metadata may be incomplete too: dead maps may be among those listed")
        if self.unnamed:
            run.note(f"{self.unnamed}; the rest were not followed, so some maps have no name")
        if self.too_large:
            run.note(
                f"{number_of(self.too_large, 'map')} could not be checked: copying takes "
                f"{'too long' if process.still else 'longer than a stop may take'}"
            )
        if self.failures:
            run.note(f"the list leaves out {number_of(self.failures, 'possible map')} that could not be checked")
        if process.spent:
            run.note(
                f"the process was held for all of the {process.allowed_ms:,.1f} ms that it may be; the rest was copied "
                "while it ran"
            )
        if not run.stops:
            run.note("the process was not stopped while the maps were copied")

    def _walk(self, territory: Territory) -> Walk:
        """Follow all that leads anywhere."""
        references = follow_references(self.run, territory)
        self.roots = references.roots
        if self.run.declarations.damage:
            self.run.note(f"{self.run.declarations.damage}; maps reached through it may have no name")
        return references.walk

    def _into(self, walk: Walk, proven: list[Examined]) -> None:
        """Follow what maps hold that their keys prove, where that leaves one type only."""
        for one in proven:
            if len(one.claim.types) == 1:
                self.roots.append(Root(None, one.claim.types[0]))
                walk.into_map(one.claim.types[0], one.claim.address, -len(self.roots))
        walk.run()

    def _with_holders(self, walk: Walk, found: list[Examined]) -> list[Examined]:
        """Maps that nothing known seemed to hold, such as one in an interface, with what was found since."""
        namer = Namer(self.types, self.run.memory, walk.visited, self.roots)
        held = []
        for one in found:
            row, number = one.row, walk.again.get(one.claim.address)
            if row is not None and row.name is None and row.holder is None and number is not None:
                one = replace(one, row=replace(row, holder=namer.name(number).holder))
            held.append(one)
        return held

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
        # The hashes have been looked at; the rest is distinguished by what elements can be.
        known = identify_all(family, source, left, lists)
        claims = []
        for at, types in enumerate(known):
            if types:
                how: TypeSource = "hash-proof" if family.header_of(left.rows[at]).count else "heap"
                claims.append(Claim(int(left.addresses[at]), types, how, "stack" if on_stack[at] else "heap"))
        return claims

    # Found by reference

    def _claims(self, walk: Walk, territory: Territory, done: list[Examined]) -> list[Claim]:
        """The maps that typed references lead to, without those that are done."""
        known = {one.claim.address for one in done}
        references = References(walk, self.roots)
        namer = Namer(self.types, self.run.memory, walk.visited, self.roots)
        new = [address for address in walk.maps if address not in known]
        claims = [self._claim(references, namer, address) for address in new]
        # What is not named may be reached by mistake. Nothing outside of a stack leads to what lies on it.
        right = territory.header_objects(np.array(new, np.uint64))
        pairs = zip(claims, right, strict=True)
        return self._fitting([claim for claim, fits in pairs if claim.named or fits or is_sync_map(claim.types[0])])

    def _claim(self, references: References, namer: Namer, address: int) -> Claim:
        """What is claimed of a map that one or more objects lead to; the first reference that has a name counts."""
        visited = references.walk.visited
        numbers = references.by_trust(references.walk.maps[address])
        names = [(namer.name(number), number) for number in numbers]
        name, number = next((pair for pair in names if pair[0].path), names[0])
        named = references.in_variable(numbers[0])
        ordered = [number, *(each for each in numbers if each != number)]
        types = tuple(visited.step(each).type for each in ordered)
        # Claims that are alike share what they can: there may be a million of them.
        types = self.shared.setdefault(types, types)
        in_variable = is_sync_map(types[0]) and any(
            start <= address < end for module in self.types.modules for start, end in module.variables
        )
        found_by: FoundBy = "global" if named or in_variable else "heap"
        return Claim(address, types, "dwarf" if named else "heap", found_by, number, named, name)

    def _fitting(self, claims: list[Claim]) -> list[Claim]:
        """The claims with those types only that fit the objects in the heap that the maps lead to.

        Two words may look like a map in an interface by chance. A map that none of its types fits is not believed
        until its keys prove it, unless a variable leads to it.
        """
        if self.run.heap is None:
            return claims
        fitting = []
        for first in range(0, len(claims), RELIEVED):
            fitting += self._some_fitting(claims[first : first + RELIEVED])
            self.run.target.relieve()
        return fitting

    def _some_fitting(self, claims: list[Claim]) -> list[Claim]:
        source, family = self.run.source(), self.run.family
        types = {claim.address: claim.types for claim in claims if not is_sync_map(claim.types[0])}
        headers = read_headers(family, source, np.fromiter(types, np.uint64, len(types)))
        addresses = headers.addresses.tolist()
        types |= zip(addresses, fit_storage(family, source, headers, [types[each] for each in addresses]), strict=True)
        kept = []
        for claim in claims:
            fit = types.get(claim.address, claim.types)
            if fit == claim.types or (claim.named and claim.types[0] not in fit):
                kept.append(claim)
            elif fit:
                kept.append(replace(claim, types=fit))
            else:
                self.disbelieved[claim.address] = claim
        return kept

    # Copied and judged

    def _examine(self, claims: list[Claim]) -> list[Examined]:
        """Those of the claims that hold."""
        self.watcher.phase("check", len(claims))
        found, torn, first = [], [], []
        for done, one in enumerate(self.examiner.examine(claims), 1):
            if self.second is not None and not one.sound:
                torn.append(one.claim)
            elif one.row is not None:
                found.append(self._with_writers(one))
            else:
                first.append(one)
            if done % RELIEVED == 0:
                self.run.target.relieve()
            self.watcher.step(done, len(found), self.run.stopped_ms)
        # Parts of a map that were copied in different stops need not fit together: the process itself has to be asked.
        again = list(self.second.examine(torn)) if self.second else []
        for one in (*first, *again):
            if one.row is None and one.claim.number is not None and not is_sync_map(one.claim.types[0]):
                self.disbelieved[one.claim.address] = one.claim
        return found + [one for one in again if one.row is not None]

    # Damaged

    def _damaged(self, territory: Territory, listed: list[Examined]) -> tuple[list[Examined], list[Unproven]]:
        """Maps that most of their keys prove, although something contradicts; what may be such maps."""
        addresses = {one.claim.address for one in listed} | {
            part for one in listed if one.row is not None for part in one.row.parts
        }
        reached = {address: claim for address, claim in self.disbelieved.items() if address not in addresses}
        types = {address: claim.types for address, claim in reached.items()}
        search = find_suspects(self.run, territory, addresses, types)
        if search.left_out:
            self.run.note(
                f"{search.left_out:,} more objects look like headers of maps, and were not looked at: "
                "damaged maps may be among them"
            )
        proven = [one for one in search.suspects if one.weighed.proven and not self._being_cloned(one.address)]
        if self.live is not None and proven:
            # A stop of its own has to show the same, and that the object is still in use.
            look_for_heap(self.live)
        claims = [self._claim_of(one, reached.get(one.address)) for one in proven]
        shared = {one.storage for one in listed if one.storage}
        damaged = [one for one in self._examine(claims) if one.storage not in shared]
        rest = {one.address for one in search.suspects} - {one.claim.address for one in damaged}
        unproven = (one for one in search.suspects if one.address in rest and not one.refuted)
        torn = self.live is not None
        return damaged, [as_unproven(one, torn or self._being_cloned(one.address)) for one in unproven]

    def _claim_of(self, suspect: Suspect, reached: Claim | None) -> Claim:
        types = suspect.weighed.types
        if reached is not None:
            return replace(reached, types=types, damaged=True)
        return Claim(suspect.address, types, "hash-proof", "heap", damaged=True)

    def _being_cloned(self, address: int) -> bool:
        """Whether a goroutine was making a map: no flag says so, and parts of it are missing until it is done."""
        return any(
            address in writer.words and any("clone" in function.lower() for function in writer.functions)
            for writer in self.writers
        )

    def _with_writers(self, one: Examined) -> Examined:
        """Add the goroutines that were writing a map: a core may show two that wrote the same one."""
        address, row = one.claim.address, one.row
        if row is None:
            return one
        where = self.run.reader_of(one.claim.types[0]).whole(address)
        # That the flag is not set is left out of account: it is not known any longer.
        judgement = Judgement(row.verdict, row.findings)
        judged = with_writers(judgement, self._writers_of(address, row.verdict), self.run.family, True, where)
        return (
            one
            if judged is judgement
            else replace(one, row=replace(row, verdict=judged.verdict, findings=judged.findings))
        )

    def _writers_of(self, address: int, verdict: Verdict) -> Sequence[Writer]:
        """Who is inside map functions for a map; all goroutines are looked through where something was going on."""
        if not self.run.still or self.live is not None:
            return ()
        if verdict in GOING_ON and self.asked < MOST_ASKED:
            self.asked += 1
            look_for_goroutines(self.run)
            return see_writers(self.run, address).of_map(self.run, address)
        return tuple(writer for writer in self.writers if address in writer.words)


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
