"""Copying maps one after the other while the target is held, never for longer than was allowed, and judging them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from inspector.census.claim import Claim, Examined, failed, listed, unjudged
from inspector.census.crowds import Crowds
from inspector.census.reached import Ways
from inspector.errors import InspectError, NotReadInTime, TooLarge, UnreadableMemory
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.gotypes.table import BadType
from inspector.inspection.identification import MOST_TRIED, header_at
from inspector.inspection.in_use import doubt_of_heap
from inspector.inspection.moving import settled
from inspector.inspection.one_map import judge
from inspector.maps.family import Header, Snapshot
from inspector.maps.findings import Judgement
from inspector.target.run import Run

COPIED_A_SECOND = 1 << 27
"""Bytes of buckets that can be copied in a second with all their chains, at the least."""

FOLLOWED_A_SECOND = 2_000_000
"""Keys that can be followed to their strings in a second, at the least."""

SHARE = 4
"""A stop is ended at this fraction of what is allowed: what was begun has to be finished, too."""

BYTES_KEPT = 1 << 25
"""Bytes copied that wait to be judged."""

LEAST_PATIENCE, LEAST_PATIENCE_STILL = 1.0, 4.0
PATIENCE = 4.0
"""Seconds (more where the target stands still), and times what was estimated, that a copy may take outside a stop."""

LEAST_PROOF = 3
"""Keys that prove a damaged map."""

TRIES = 3
"""How often a map is copied again that looks wrong in a process that was not stopped."""


@dataclass(frozen=True)
class Uncopied:
    """A map that a stop is too short to copy: only its header was read."""

    header: Header


Copy = Snapshot | Uncopied | None
"""A map, as much of it as could be copied; None if the address holds no map."""

Judged = tuple[Claim, Snapshot, Judgement]


class Examiner:
    """Takes claims and gives what they turn out to be, in the same order; `strings` are counted too if asked for.

    `ways` lead to the claims that a walk found.
    """

    def __init__(self, run: Run, strings: bool = False) -> None:
        self.run, self.strings = run, strings
        self.most = math.inf if run.patience is None else run.patience
        self.too_large = self.failures = 0
        self.ways: Ways | None = None
        self.crowds = Crowds(run)

    def examine(self, claims: list[Claim]) -> Iterator[Examined]:
        """Copy and judge each; nothing is judged while the target is held."""
        together = self.run.still and not self.strings
        crowds = self.crowds.examine(claims, self._one) if together else {}
        rest = self._one_by_one([claim for at, claim in enumerate(claims) if at not in crowds])
        for at in range(len(claims)):
            yield crowds.pop(at) if at in crowds else next(rest)

    def _one_by_one(self, claims: list[Claim]) -> Iterator[Examined]:
        at = 0
        while at < len(claims):
            copies = self._copies(claims[at:])
            for claim, copy in zip(claims[at:], copies, strict=False):
                yield self._judged_or_failed(claim, copy)
            at += len(copies)

    # Memory is hostile: what one map defeats must not cost the answers about all others.

    def _copied(self, claim: Claim) -> Copy | Exception:
        try:
            return self._copy(claim)
        except Exception as error:
            if not _is_of_one_map(error):
                raise
            return error

    def _one(self, claim: Claim) -> Examined:
        return self._judged_or_failed(claim, self._copied(claim))

    def _judged_or_failed(self, claim: Claim, copy: Copy | Exception) -> Examined:
        if isinstance(copy, Exception):
            return self._failed(claim, None, copy)
        try:
            return self._judged(claim, copy)
        except Exception as error:
            if not _is_of_one_map(error):
                raise
            return self._failed(claim, copy.header if copy else None, error)

    def _failed(self, claim: Claim, header: Header | None, error: Exception) -> Examined:
        """A map that something named leads to is listed all the same; others are counted, as they may not be maps."""
        if claim.named:
            return Examined(claim, failed(claim, self.run.reader_of(claim.types[0]), header, self.run.types, error))
        self.failures += 1
        return Examined(claim, None)

    def _copies(self, claims: list[Claim]) -> list[Copy | Exception]:
        """Copies of the first claims, as many as one stop has time for, of one at least."""
        copies: list[Copy | Exception] = []
        kept, started = 0, time.perf_counter()
        try:
            with self.run.held():
                for claim in claims:
                    copy = self._copied(claim)
                    copies.append(copy)
                    kept += 0 if copy is None or isinstance(copy, (Uncopied, Exception)) else copy.bytes_read
                    if kept > BYTES_KEPT or time.perf_counter() - started > self.most / SHARE:
                        break
        except NotReadInTime:
            # What came too late gets a stop of its own, or is copied while the target runs.
            copies = copies or [self._uncopied(claims[0].address, claims[0].types[0])]
        return copies

    def _too_long(self, go_type: GoType, header: Header) -> bool:
        """Whether copying a map may take longer than a stop is allowed to."""
        return self.run.stops and not self.run.still and self._seconds(go_type, header) > self.most

    def _seconds(self, go_type: GoType, header: Header) -> float:
        """How long it takes to copy a map on a slow machine; 0 where its header cannot be a map's."""
        extent, layout = header.extent(go_type, self.run.release), go_type.layout
        if layout is None or not extent:
            return 0.0
        followed = layout.indirect_key or self.run.types.key(go_type).has_pointers
        return extent / COPIED_A_SECOND + (header.count / FOLLOWED_A_SECOND if followed else 0.0)

    def _uncopied(self, address: int, go_type: GoType) -> Uncopied | None:
        try:
            return Uncopied(header_at(self.run, address, go_type))
        except UnreadableMemory:
            return None

    def _copy(self, claim: Claim, bounded: bool = True) -> Copy:
        """The map; only its header if that would take too long and time is `bounded`; None if it is not there.

        Raises NotReadInTime.
        """
        run, go_type = self.run, claim.types[0]
        uncopied = self._uncopied(claim.address, go_type)
        if uncopied is None or (not claim.named and uncopied.header.blank):
            return None
        if bounded and self._too_long(go_type, uncopied.header):
            return uncopied
        if claim.damaged and not run.still and (run.heap is None or doubt_of_heap(run, claim.address)):
            # What was freed since is no damaged map.
            return None
        # Nobody waits for a target that stands still, but a list without end must not be followed without end.
        with self._patient(go_type, uncopied.header) if run.still else nullcontext():
            try:
                copy = run.reader_of(go_type).take_snapshot(run.source(), claim.address, go_type, 0)
            except UnreadableMemory:
                return None
            except NotReadInTime:
                if run.still:
                    return uncopied
                raise
        return uncopied if copy.late else copy

    def _patient(self, go_type: GoType, header: Header) -> AbstractContextManager[None]:
        """Read for as long as a map of its size can take, and no longer."""
        least = LEAST_PATIENCE_STILL if self.run.still else LEAST_PATIENCE
        return self.run.within(least + PATIENCE * self._seconds(go_type, header))

    def _copy_again(self, claim: Claim) -> Copy:
        """The map in a stop of its own, if it is still reached; its header where that took too long."""
        try:
            with self.run.held():
                return self._copy(claim) if self._still_reached(claim) else None
        except NotReadInTime:
            return self._uncopied(claim.address, claim.types[0])

    def _copy_unstopped(self, claim: Claim) -> Snapshot | None:
        """The map once more, if something still leads to it and it is there."""
        copy = self._copy_again(claim)
        return None if isinstance(copy, Uncopied) else copy

    def _judged(self, claim: Claim, copy: Copy) -> Examined:
        if copy is None:
            return Examined(claim, None)
        if isinstance(copy, Uncopied):
            return self._too_large(claim, copy.header)
        judgement = self._judge(copy)
        if claim.number is None:
            claim, copy, judgement = self._told_apart(claim, copy, judgement)
        elif judgement.verdict == "inconsistent":
            better = self._again(claim)
            if isinstance(better, Uncopied):
                return self._too_large(claim, better.header)
            if better is None:
                return Examined(claim, None)
            claim, copy, judgement = better
        if not claim.believed(judgement, copy) or (claim.damaged and not self.run.still and not _proves(judgement)):
            return Examined(claim, None, copy.header)
        judgement = settled(self.run, copy, judgement, partial(self._copy_unstopped, claim))
        return Examined(claim, listed(claim, copy, judgement, self.strings), copy.header)

    def _too_large(self, claim: Claim, header: Header) -> Examined:
        """A map that takes too long to copy in one stop is copied while the process runs: often that goes well.

        What is no longer reached may be any memory by now, and its size means nothing.
        """
        reached = self.run.copied(partial(self._still_reached, claim))
        if not reached and header.doubts(self.run.regions(), claim.types[0].layout, self.run.missing > 0):
            return Examined(claim, None)
        for attempt in [] if self.run.still else _by_layout(claim) * TRIES:
            with self._patient(attempt.types[0], header):
                copy = self._copy(attempt, bounded=False)
            if isinstance(copy, Uncopied):
                break
            if copy is not None:
                judgement = self._judge(copy)
                if judgement.verdict == "consistent" and attempt.believed(judgement, copy):
                    return Examined(attempt, listed(attempt, copy, judgement, self.strings), header)
        if not (claim.named and reached):
            return Examined(claim, None)
        self.too_large += 1
        return Examined(claim, unjudged(claim, header, self.run.types), header)

    def _judge(self, snapshot: Snapshot) -> Judgement:
        return judge(self.run, snapshot)

    def _told_apart(self, claim: Claim, copy: Snapshot, judgement: Judgement) -> Judged:
        """Rule out types of other layouts: in a small map nothing else may show how large the elements are."""
        judged: dict[Layout | None, Judged] = {claim.types[0].layout: (claim, copy, judgement)}
        for go_type in claim.types:
            large = copy.header.extent(copy.type, self.run.release) > MOST_TRIED
            if go_type.layout in judged or (large and any(one[0].believed(one[2], one[1]) for one in judged.values())):
                continue
            attempt = replace(claim, types=(go_type,))
            taken = self._copy_again(attempt)
            if taken is not None and not isinstance(taken, Uncopied):
                judged[go_type.layout] = attempt, taken, self._judge(taken)
        sound = {layout: one for layout, one in judged.items() if one[0].believed(one[2], one[1])}
        if not sound:
            return claim, copy, judgement
        types = tuple(each for each in claim.types if each.layout in sound or each.layout not in judged)
        first = next(each for each in types if each.layout in sound)
        _, copy, judgement = sound[first.layout]
        return replace(claim, types=(first, *(each for each in types if each is not first))), copy, judgement

    def _again(self, claim: Claim) -> Judged | Uncopied | None:
        """Look at an inconsistent map again: with its other types, and for a path that no longer leads to it.

        None if nothing leads to it any longer, or if it is not there; its header where a stop was too short for it.
        """
        tries = _by_layout(claim)
        tries += [claim] * (0 if self.run.stops else TRIES)
        first: Judged | Uncopied | None = None
        for attempt in tries:
            taken = self._copy_again(attempt)
            if taken is None:
                return None
            if isinstance(taken, Uncopied):
                first = first or taken
                continue
            judgement = self._judge(taken)
            first = first if isinstance(first, tuple) else (attempt, taken, judgement)
            if judgement.verdict != "inconsistent" and attempt.believed(judgement, taken):
                return attempt, taken, judgement
        return first

    def _still_reached(self, claim: Claim) -> bool:
        """Whether the way to a map still leads there; a core does not change. Raises NotReadInTime."""
        if claim.number is None or self.ways is None or self.run.still:
            return True
        return self.ways.lead_to(claim.number)


def _is_of_one_map(error: Exception) -> bool:
    """Whether an error says nothing about the target as a whole: that it is gone, or can no longer be read."""
    return isinstance(error, (BadType, TooLarge)) or not isinstance(error, InspectError)


def _proves(judgement: Judgement) -> bool:
    """Whether most keys of a map that may be damaged lie where they hash to, and are more than chance would give."""
    proof = judgement.proof
    return proof.matched >= LEAST_PROOF and 2 * proof.matched > proof.checked


def _by_layout(claim: Claim) -> list[Claim]:
    """The claim with a type of each layout first, in the order of its types."""
    firsts = {go_type.layout: go_type for go_type in reversed(claim.types)}
    return [claim.with_type(firsts[layout]) for layout in dict.fromkeys(go_type.layout for go_type in claim.types)]
