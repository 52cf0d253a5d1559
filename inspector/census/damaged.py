"""Maps whose damage hides them: what looks like a header among all objects that are large enough to be one.

Only objects that the heap's metadata calls alive are looked at, and only in memory that stands still. Stacks are left
out: what a function left behind on one is no damaged map.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from inspector.census.model import Unproven
from inspector.census.territory import Territory
from inspector.gotypes.gotype import GoType
from inspector.gotypes.words import number_of
from inspector.heap.objects import Heap
from inspector.heap.pointers import pointer_words
from inspector.maps.damaged import SHAPE_BITS, Weighed, suspects, weigh
from inspector.maps.family import WORD, Headers, Mask
from inspector.maps.identify import read_headers
from inspector.memory.protocol import Addresses
from inspector.memory.sets import is_among
from inspector.target.run import Run

logger = logging.getLogger(__name__)

AT_ONCE = 1 << 17
"""Headers that are read together: some megabytes."""

SEVERAL = 3
"""So many pointers in their places are hardly any other type's."""

MANY = 3
"""Entries of which one at least would be right."""

MOST_SUSPECTS = 1 << 12
"""Headers that may be of damaged maps of which the keys are looked at."""


@dataclass(frozen=True)
class Suspect:
    """What may be a map at an address; `count` is what its header says.

    `typed` says that the words of the object that are pointers are those of a header, where a header has several;
    `writing` that a write may have been under way.
    """

    address: int
    count: int
    weighed: Weighed
    typed: bool
    writing: bool

    @property
    def evidence(self) -> bool:
        """Whether it is likely to be a damaged map, and not only possible: by its keys, its type, or its shape.

        What a write leaves half done is no damage.
        """
        if self.writing:
            return False
        if self.weighed.evidence:
            return True
        return self.count > 0 and self.weighed.hashable and (self.typed or self.weighed.shape >= SHAPE_BITS)

    @property
    def refuted(self) -> bool:
        """Whether it has so many entries that one of their keys would lie where it hashes to, if it were a map."""
        return not self.weighed.right and self.count >= MANY and self.weighed.shape < SHAPE_BITS


@dataclass(frozen=True)
class Search:
    """What was found; `left_out` objects that look alike were too many."""

    suspects: tuple[Suspect, ...] = ()
    left_out: int = 0


def as_unproven(suspect: Suspect, torn: bool) -> Unproven:
    """What a census says of a suspect that is not listed; `torn` says that it may have changed while it was copied."""
    names = tuple(go_type.name for go_type in suspect.weighed.types)
    why = _why(suspect) + (", and it may have changed while it was copied" if torn else "")
    return Unproven(suspect.address, names, suspect.count, why, suspect.evidence and not torn)


def _why(suspect: Suspect) -> str:
    weighed = suspect.weighed
    if not weighed.right:
        return "no key is where it hashes to" if suspect.count else "it claims to hold no entries, which prove maps"
    keys = f"{weighed.right:,} of {number_of(weighed.checked, 'key')}"
    place = "is where it hashes to" if weighed.right == 1 else "are where they hash to"
    changed = f" with another value of {weighed.put_right}" if weighed.put_right else ""
    if weighed.proven:
        return f"{keys} {place}{changed}"
    few = "too few to be sure" if 2 * weighed.right > weighed.checked else "which may be chance"
    return f"{keys} {place}{changed}: {few}"


def find_suspects(
    run: Run, territory: Territory, known: Iterable[int], reached: Mapping[int, tuple[GoType, ...]]
) -> Search:
    """Find what may be damaged maps, but for those that are `known`.

    `reached` are the types of what something typed leads to, and was not believed. Nothing is found where the hash
    functions or the heap's metadata are not known, or where the target runs.
    """
    source = run.source()
    if territory.heap is None or source.functions is None or not run.still:
        return Search()
    found: list[Suspect] = []
    done = np.array(sorted({*known, *reached}), np.uint64)
    some, left_out = _suspects(run, territory, done)
    for headers, among in ((some, None), _reached(run, territory, reached)):
        typed = _typed(run, territory.heap, headers)
        sound = run.family.plausible(headers.rows, territory.arena)
        for at, weighed in enumerate(weigh(run.family, territory.source(run), headers, among)):
            header = run.family.header_of(headers.rows[at])
            writing = header.writing and bool(sound[at])
            found.append(Suspect(int(headers.addresses[at]), header.count, weighed, bool(typed[at]), writing))
    logger.debug("%d possible headers looked at more closely", len(found))
    return Search(tuple(found), left_out)


def _suspects(run: Run, territory: Territory, done: Addresses) -> tuple[Headers, int]:
    family, parts = run.family, list[Headers]()
    assert territory.heap is not None
    source = territory.source(run)
    for slots in territory.heap.alive(territory.header_size, territory.header_size):
        addresses = slots.addresses[~slots.noscan]
        addresses = addresses[~is_among(addresses, done)]
        for first in range(0, len(addresses), AT_ONCE):
            headers = read_headers(family, source, addresses[first : first + AT_ONCE])
            near = family.nearly_plausible(headers.rows, territory.arena)
            near &= _may_be_headers(run, territory.heap, headers)
            parts.append(suspects(family, source, headers.where(near)))
    found = Headers.joined(parts, family.header_dtype(run.release))
    return found.where(slice(MOST_SUSPECTS)), max(0, len(found) - MOST_SUSPECTS)


def _reached(
    run: Run, territory: Territory, reached: Mapping[int, tuple[GoType, ...]]
) -> tuple[Headers, list[tuple[GoType, ...]]]:
    addresses = np.array(sorted(reached), np.uint64)
    headers = read_headers(run.family, territory.source(run), addresses)
    assert territory.heap is not None
    headers = headers.where(_may_be_headers(run, territory.heap, headers))
    return headers, [reached[int(address)] for address in headers.addresses]


def _may_be_headers(run: Run, heap: Heap, headers: Headers) -> Mask:
    """(n,) which objects have their pointers where a header has them, as far as the heap's metadata knows."""
    bits, known = pointer_words(run, heap, headers.addresses)
    return np.asarray(~known | (bits == _pointers_of(run)))


def _typed(run: Run, heap: Heap, headers: Headers) -> Mask:
    """(n,) which objects are known to have the pointers of a header, where a header has several."""
    if len(run.family.pointer_fields()) < SEVERAL:
        return np.zeros(len(headers), dtype=bool)
    bits, known = pointer_words(run, heap, headers.addresses)
    return np.asarray(known & (bits == _pointers_of(run)))


def _pointers_of(run: Run) -> np.uint64:
    """Bit i says whether word i of a header is a pointer."""
    fields = run.family.header_dtype(run.release).fields
    assert fields is not None
    return np.uint64(sum(1 << fields[name][1] // WORD for name in run.family.pointer_fields()))
