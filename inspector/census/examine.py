"""Copying maps one after the other while the target is held, never for longer than was allowed, and judging them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from inspector.census.claim import Claim, failed, listed, unjudged
from inspector.census.model import CensusMap
from inspector.errors import InspectError, NotReadInTime, UnreadableMemory
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.gotypes.table import BadType
from inspector.inspection.identification import MOST_TRIED, header_at
from inspector.maps.classic.checks import Judgement, judge
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.growth import allocated_buckets
from inspector.maps.classic.snapshot import LARGEST_B, MapSnapshot, take_snapshot
from inspector.target.run import Run

COPIED_A_SECOND = 1 << 27
"""Bytes of buckets that can be copied in a second with all their chains, at the least."""

FOLLOWED_A_SECOND = 2_000_000
"""Keys that can be followed to their strings in a second, at the least."""

SHARE = 4
"""A stop is ended at this fraction of what is allowed: what was begun has to be finished, too."""

BYTES_KEPT = 1 << 25
"""Bytes copied that wait to be judged."""

LEAST_PATIENCE = 1.0
PATIENCE = 4.0
"""Seconds, and times what was estimated, that a copy may take while the process runs."""

TRIES = 3
"""How often a map is copied again that looks wrong in a process that was not stopped."""


Judged = tuple[Claim, MapSnapshot, Judgement]

Links = Callable[[int], Iterable[tuple[int, int]]]
"""The words that must hold certain values for an object that a walk found to be still reached (Visited.links)."""


@dataclass(frozen=True)
class Examined:
    """What became of a claim: the map's row, or None where there is none; where its buckets are."""

    claim: Claim
    row: CensusMap | None
    buckets: int = 0


class Examiner:
    """Takes claims and gives what they turn out to be, in the same order; `strings` are counted too if asked for."""

    def __init__(self, run: Run, strings: bool = False) -> None:
        self.run, self.strings = run, strings
        self.most = math.inf if run.patience is None else run.patience
        self.too_large = self.failures = 0
        self.links: Links = lambda number: ()

    def examine(self, claims: list[Claim]) -> Iterator[Examined]:
        """Copy and judge each; nothing is judged while the target is held."""
        at = 0
        while at < len(claims):
            copies = self._copies(claims[at:])
            for claim, copy in zip(claims[at:], copies, strict=False):
                yield self._judged_or_failed(claim, copy)
            at += len(copies)

    # Memory is hostile: what one map defeats must not cost the answers about all others.

    def _copied(self, claim: Claim) -> MapSnapshot | Hmap | Exception | None:
        try:
            return self._copy(claim)
        except Exception as error:
            if not _is_of_one_map(error):
                raise
            return error

    def _judged_or_failed(self, claim: Claim, copy: MapSnapshot | Hmap | Exception | None) -> Examined:
        if isinstance(copy, Exception):
            return self._failed(claim, None, copy)
        header = copy.header if isinstance(copy, MapSnapshot) else copy
        try:
            return self._judged(claim, copy)
        except Exception as error:
            if not _is_of_one_map(error):
                raise
            return self._failed(claim, header, error)

    def _failed(self, claim: Claim, header: Hmap | None, error: Exception) -> Examined:
        """A map that something named leads to is listed all the same; others are counted, as they may be none."""
        if claim.named:
            return Examined(claim, failed(claim, header, error))
        self.failures += 1
        return Examined(claim, None)

    def _copies(self, claims: list[Claim]) -> list[MapSnapshot | Hmap | Exception | None]:
        """Copies of the first claims, as many as one stop has time for, of one at least."""
        copies: list[MapSnapshot | Hmap | Exception | None] = []
        kept, started = 0, time.perf_counter()
        try:
            with self.run.held():
                for claim in claims:
                    copy = self._copied(claim)
                    copies.append(copy)
                    kept += copy.bytes_read if isinstance(copy, MapSnapshot) else 0
                    if kept > BYTES_KEPT or time.perf_counter() - started > self.most / SHARE:
                        break
        except NotReadInTime:
            # What came too late gets a stop of its own, or is copied while the target runs.
            copies = copies or [self._header(claims[0].address)]
        return copies

    def _too_long(self, go_type: GoType, header: Hmap) -> bool:
        """Whether copying a map may take longer than a stop is allowed to."""
        return self.run.stops and not self.run.still and self._seconds(go_type, header) > self.most

    def _seconds(self, go_type: GoType, header: Hmap) -> float:
        """How long it takes to copy a map on a slow machine; 0 where its header cannot be a map's."""
        layout, release = go_type.layout, self.run.release
        if layout is None or header.B > LARGEST_B:
            return 0.0
        has_pointers = self.run.types.key(go_type).has_pointers
        rows = allocated_buckets(release, layout.bucket_size, layout.bucket_has_pointers, header.B)
        seconds = rows * layout.bucket_size / COPIED_A_SECOND
        return seconds + (header.count / FOLLOWED_A_SECOND if has_pointers or layout.indirect_key else 0.0)

    def _header(self, address: int) -> Hmap | None:
        try:
            return header_at(self.run, address)
        except UnreadableMemory:
            return None

    def _copy(self, claim: Claim, bounded: bool = True) -> MapSnapshot | Hmap | None:
        """The map; only its header if that would take too long and time is `bounded`; None if it is not there.

        Raises NotReadInTime.
        """
        run, go_type = self.run, claim.types[0]
        header = self._header(claim.address)
        if header is None or (not claim.named and not header.hash0):
            return None  # memory that was never used: every map is given a hash0
        if bounded and self._too_long(go_type, header):
            return header
        try:
            copy = take_snapshot(run.memory, run.regions(), claim.address, go_type, run.types, 0, run.hash_keys)
        except UnreadableMemory:
            return None
        return header if copy.late else copy

    def _copy_again(self, claim: Claim) -> MapSnapshot | Hmap | None:
        """The map in a stop of its own, if it is still reached; its header where that took too long."""
        try:
            with self.run.held():
                return self._copy(claim) if self._still_reached(claim) else None
        except NotReadInTime:
            return self._header(claim.address)

    def _judged(self, claim: Claim, copy: MapSnapshot | Hmap | None) -> Examined:
        if copy is None:
            return Examined(claim, None)
        if isinstance(copy, Hmap):
            return self._too_large(claim, copy)
        judgement = self._judge(copy)
        if claim.number is None:
            claim, copy, judgement = self._told_apart(claim, copy, judgement)
        elif judgement.verdict == "inconsistent":
            better = self._again(claim)
            if isinstance(better, Hmap):
                return self._too_large(claim, better)
            if better is None:
                return Examined(claim, None)
            claim, copy, judgement = better
        row = listed(claim, copy, judgement, self.strings) if claim.believed(judgement, copy) else None
        return Examined(claim, row, copy.header.buckets)

    def _too_large(self, claim: Claim, header: Hmap) -> Examined:
        """A map that takes too long to copy in one stop is copied while the process runs: often that goes well."""
        for attempt in _by_layout(claim) * TRIES:
            # Nobody waits for it now, but a list without end must not be followed without end.
            with self.run.within(LEAST_PATIENCE + PATIENCE * self._seconds(attempt.types[0], header)):
                copy = self._copy(attempt, bounded=False)
            if isinstance(copy, Hmap):
                break
            if isinstance(copy, MapSnapshot):
                judgement = self._judge(copy)
                if judgement.verdict == "consistent" and attempt.believed(judgement, copy):
                    return Examined(attempt, listed(attempt, copy, judgement, self.strings), header.buckets)
        if not claim.named:
            return Examined(claim, None)
        self.too_large += 1
        return Examined(claim, unjudged(claim, header, self.run.types), header.buckets)

    def _judge(self, snapshot: MapSnapshot) -> Judgement:
        return judge(snapshot, incomplete=self.run.missing > 0)

    def _told_apart(self, claim: Claim, copy: MapSnapshot, judgement: Judgement) -> Judged:
        """Rule out types of other bucket layouts: in a small map nothing else may tell how large the elements are."""
        judged: dict[MapLayout | None, Judged] = {claim.types[0].layout: (claim, copy, judgement)}
        for go_type in claim.types:
            large = copy.layout.bucket_size << copy.header.B > MOST_TRIED
            if go_type.layout in judged or (large and any(one[0].believed(one[2], one[1]) for one in judged.values())):
                continue
            attempt = replace(claim, types=(go_type,))
            taken = self._copy_again(attempt)
            if isinstance(taken, MapSnapshot):
                judged[go_type.layout] = attempt, taken, self._judge(taken)
        sound = {layout: one for layout, one in judged.items() if one[0].believed(one[2], one[1])}
        if not sound:
            return claim, copy, judgement
        types = tuple(each for each in claim.types if each.layout in sound or each.layout not in judged)
        first = next(each for each in types if each.layout in sound)
        _, copy, judgement = sound[first.layout]
        return replace(claim, types=(first, *(each for each in types if each is not first))), copy, judgement

    def _again(self, claim: Claim) -> Judged | Hmap | None:
        """Look at an inconsistent map again: with its other types, and for a path that leads to it no more.

        None if nothing leads to it any more, or if it is not there; its header where a stop was too short for it.
        """
        tries = _by_layout(claim)
        tries += [claim] * (0 if self.run.stops else TRIES)
        first: Judged | Hmap | None = None
        for attempt in tries:
            taken = self._copy_again(attempt)
            if taken is None:
                return None
            if isinstance(taken, Hmap):
                first = first or taken
                continue
            judgement = self._judge(taken)
            first = first if isinstance(first, tuple) else (attempt, taken, judgement)
            if judgement.verdict != "inconsistent" and attempt.believed(judgement, taken):
                return attempt, taken, judgement
        return first

    def _still_reached(self, claim: Claim) -> bool:
        """Whether every word on the way to a map still holds what it did; a core does not change."""
        if claim.number is None or self.run.still:
            return True
        try:
            memory = self.run.memory
            return all(
                int.from_bytes(memory.read(word, 8), "little") == value for word, value in self.links(claim.number)
            )
        except UnreadableMemory:
            return False


def _is_of_one_map(error: Exception) -> bool:
    """Whether an error says nothing about the target as a whole: that it is gone, or not to be read any more."""
    return isinstance(error, BadType) or not isinstance(error, InspectError)


def _by_layout(claim: Claim) -> list[Claim]:
    """The claim with a type of each bucket layout first, in the order of its types."""
    firsts = {go_type.layout: go_type for go_type in reversed(claim.types)}
    return [claim.with_type(firsts[layout]) for layout in dict.fromkeys(go_type.layout for go_type in claim.types)]
