"""Copying maps one after the other while the target is held, never for longer than was allowed, and judging them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from inspector.census.claim import Claim, failed, listed, unjudged
from inspector.census.model import CensusMap
from inspector.errors import InspectError, UnreadableMemory
from inspector.goruntime.hmap import hmap
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.gotypes.table import BadType
from inspector.inspection.identification import MOST_TRIED
from inspector.maps.classic.checks import Judgement, judge
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.growth import allocated_buckets
from inspector.maps.classic.snapshot import LARGEST_B, MapSnapshot, take_snapshot
from inspector.target.target import Target

COPIED_A_SECOND = 1 << 27
"""Bytes of buckets that can be copied in a second with all their chains, at the least."""

FOLLOWED_A_SECOND = 2_000_000
"""Keys that can be followed to their strings in a second, at the least."""

SHARE = 4
"""A stop is ended at this fraction of what is allowed: what was begun has to be finished, too."""

BYTES_KEPT = 1 << 25
"""Bytes copied that wait to be judged."""

TRIES = 3
"""How often a map is copied again that looks wrong in a process that was not stopped."""


Judged = tuple[Claim, MapSnapshot, Judgement]

Links = Callable[[int], Iterable[tuple[int, int]]]
"""The words that must hold certain values for an object that a walk found to be still reached (Visited.links)."""


@dataclass
class Pace:
    """Holds the target for short times, and notes how long the longest was; `most` in seconds."""

    target: Target
    most: float
    longest: float = 0.0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the target."""
        started = time.perf_counter()
        try:
            with self.target.held():
                yield
        finally:
            if self.target.stop and not self.target.still:
                self.longest = max(self.longest, time.perf_counter() - started)

    def too_long(self, go_type: GoType, header: Hmap, has_pointers: bool) -> bool:
        """Whether copying a map may take longer than a stop is allowed to."""
        if self.target.still or not self.target.stop:
            return False
        layout, release = go_type.layout, self.target.release
        if layout is None or header.B > LARGEST_B:
            return False
        rows = allocated_buckets(release, layout.bucket_size, layout.bucket_has_pointers, header.B)
        seconds = rows * layout.bucket_size / COPIED_A_SECOND
        seconds += header.count / FOLLOWED_A_SECOND if has_pointers or layout.indirect_key else 0
        return seconds > self.most


@dataclass(frozen=True)
class Examined:
    """What became of a claim: the map's row, or None where there is none; where its buckets are."""

    claim: Claim
    row: CensusMap | None
    buckets: int = 0


class Examiner:
    """Takes claims and gives what they turn out to be, in the same order; `strings` are counted too if asked for."""

    def __init__(self, target: Target, pace: Pace, strings: bool = False) -> None:
        self.target, self.pace, self.strings = target, pace, strings
        self.too_large = self.failures = 0
        self.links: Links = lambda number: ()

    def examine(self, claims: list[Claim]) -> Iterator[Examined]:
        """Copy and judge each; nothing is judged while the target is held."""
        at = 0
        while at < len(claims):
            copies: list[MapSnapshot | Hmap | Exception | None] = []
            kept, started = 0, time.perf_counter()
            with self.pace.hold():
                while at + len(copies) < len(claims):
                    copy = self._copied(claims[at + len(copies)])
                    copies.append(copy)
                    kept += copy.bytes_read if isinstance(copy, MapSnapshot) else 0
                    if kept > BYTES_KEPT or time.perf_counter() - started > self.pace.most / SHARE:
                        break
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

    def _copy(self, claim: Claim, bounded: bool = True) -> MapSnapshot | Hmap | None:
        """The map; only its header if that would take too long and time is `bounded`; None if it is not there."""
        target, go_type = self.target, claim.types[0]
        declared = hmap(target.release)
        try:
            header = Hmap.of(declared.parse(target.memory.read(claim.address, declared.sizeof())))
            if not claim.named and not header.hash0:
                return None  # memory that was never used: every map is given one
            if bounded and self.pace.too_long(go_type, header, target.types.key(go_type).has_pointers):
                return header
            regions = target.regions()
            return take_snapshot(target.memory, regions, claim.address, go_type, target.types, 0, target.hash_keys)
        except UnreadableMemory:
            return None

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
            if better is None:
                return Examined(claim, None)
            claim, copy, judgement = better
        row = listed(claim, copy, judgement, self.strings) if claim.believed(judgement, copy) else None
        return Examined(claim, row, copy.header.buckets)

    def _too_large(self, claim: Claim, header: Hmap) -> Examined:
        """A map that takes too long to copy in one stop is copied while the process runs: often that goes well."""
        for attempt in _by_layout(claim) * TRIES:
            copy = self._copy(attempt, bounded=False)
            if isinstance(copy, MapSnapshot):
                judgement = self._judge(copy)
                if judgement.verdict == "consistent" and attempt.believed(judgement, copy):
                    return Examined(attempt, listed(attempt, copy, judgement, self.strings), header.buckets)
        if not claim.named:
            return Examined(claim, None)
        self.too_large += 1
        return Examined(claim, unjudged(claim, header, self.target.types), header.buckets)

    def _judge(self, snapshot: MapSnapshot) -> Judgement:
        return judge(snapshot, incomplete=self.target.missing > 0)

    def _told_apart(self, claim: Claim, copy: MapSnapshot, judgement: Judgement) -> Judged:
        """Rule out types of other bucket layouts: in a small map nothing else may tell how large the elements are."""
        judged: dict[MapLayout | None, Judged] = {claim.types[0].layout: (claim, copy, judgement)}
        for go_type in claim.types:
            large = copy.layout.bucket_size << copy.header.B > MOST_TRIED
            if go_type.layout in judged or (large and any(one[0].believed(one[2], one[1]) for one in judged.values())):
                continue
            attempt = replace(claim, types=(go_type,))
            with self.pace.hold():
                taken = self._copy(attempt)
            if isinstance(taken, MapSnapshot):
                judged[go_type.layout] = attempt, taken, self._judge(taken)
        sound = {layout: one for layout, one in judged.items() if one[0].believed(one[2], one[1])}
        if not sound:
            return claim, copy, judgement
        types = tuple(each for each in claim.types if each.layout in sound or each.layout not in judged)
        first = next(each for each in types if each.layout in sound)
        _, copy, judgement = sound[first.layout]
        return replace(claim, types=(first, *(each for each in types if each is not first))), copy, judgement

    def _again(self, claim: Claim) -> Judged | None:
        """Look at an inconsistent map again: with its other types, and for a path that leads to it no more.

        None if nothing leads to it any more, or if it is not there.
        """
        tries = _by_layout(claim)
        tries += [claim] * (0 if self.target.stop else TRIES)
        first = None
        for attempt in tries:
            with self.pace.hold():
                taken = self._copy(attempt) if self._still_reached(claim) else None
            if not isinstance(taken, MapSnapshot):
                return None
            judgement = self._judge(taken)
            first = first or (attempt, taken, judgement)
            if judgement.verdict != "inconsistent" and attempt.believed(judgement, taken):
                return attempt, taken, judgement
        return first

    def _still_reached(self, claim: Claim) -> bool:
        """Whether every word on the way to a map still holds what it did; a core does not change."""
        if claim.number is None or self.target.still:
            return True
        try:
            memory = self.target.memory
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
