"""Finds the types that maps may have of which only the addresses are known, for one map and for thousands.

Of all map types in the executable only those with the right layout and the right keys explain where the entries lie: a
few keys of each map are hashed as keys of each type would be. Types whose keys hash alike are distinguished by what the
bytes of keys and elements can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.sizes import MALLOC_HEADER_SIZE
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.gotypes.names import SHAPE
from inspector.gotypes.plausible import Followable, Plausibility
from inspector.gotypes.reach import KEY_LIMITS, MAX_STRING, Reach
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.family import Arrays, Family, Headers, Mask, Sample, Source
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Rows
from inspector.memory.sets import is_among

SPREAD = 256
"""Buckets or groups of each array that are looked at to identify one map."""

FIRST = 6
"""Keys of one map that are hashed before all others: most types are wrong and fail at once."""

TOGETHER = 1 << 12
"""Maps that are looked at together: their buckets fill some megabytes."""

FEWER_TOGETHER = 1 << 8
"""The same where as many buckets of each are looked at as of one map."""

SPREAD_OF_MANY = 4
KEYS_OF_MANY = 3
"""Buckets or groups of each array, and keys of each map, that are looked at where there are thousands of maps."""

LONG = 1 << 16
"""Bytes of a string from which on it is long: keys with such a string are looked at while there is budget for them."""

TINY_BLOCK = 16
"""Bytes of the blocks that objects without pointers share (runtime.mallocgcTiny)."""

BUDGET = 1 << 23
"""Bytes behind other keys of one sample that are copied at most. The rest counts neither for nor against."""

BUDGET_FOR_LONG = 1 << 26
"""Bytes behind keys with long strings that are copied at most, of all maps that are looked at together.

Garbage may say of itself that it is such a key. A map of which no other keys were sampled is refused when nothing is
left of this: it is found where something leads to it.
"""


@dataclass(frozen=True)
class Identity:
    """Types that a map may have, the likeliest first, and how many keys prove their key's hash.

    `proven` is 0 when nothing could be proven: an empty map, NaN keys only, or unknown hash keys. `noted` says that the
    allocator noted the type of the map's buckets or groups, and that it is theirs.
    """

    candidates: tuple[GoType, ...]
    proven: int
    noted: bool = False


def noted_types(family: Family, source: Source, address: int) -> tuple[GoType, ...]:
    """The map types whose buckets or groups the allocator noted that a map at an address has; empty where it did not.

    It notes types of objects with pointers of more than 512 bytes, since Go 1.22 (see Storage).
    """
    header = read_headers(family, source, np.array([address], np.uint64))
    if source.heap is None or not len(header):
        return ()
    types = Storage(family, source, header).types
    noted = {int(each) for each in types[types != 0]}
    # Arrays of two types are damage.
    if len(noted) != 1:
        return ()
    return tuple(each for each in source.types.map_types if each.cells_address in noted and SHAPE not in each.name)


def read_headers(family: Family, source: Source, addresses: Addresses) -> Headers:
    """Read the headers at many addresses; those that cannot be read are left out."""
    dtype = family.header_dtype(source.release)
    rows, ok = gather(source.memory, source.regions, addresses, dtype.itemsize)
    return Headers(addresses[ok], rows[ok].view(dtype)[:, 0])


def identify(
    family: Family, source: Source, address: int, among: Iterable[GoType] | None = None, prove: bool = True
) -> Identity:
    """Find the types that fit the map at an address, of all or `among` some; nothing raises for bad memory.

    Without `prove` no key is hashed, as where `among` are known to be right by their keys.
    """
    header = read_headers(family, source, np.array([address], np.uint64))
    if not len(header):
        return Identity((), 0)
    every = source.types.map_types if among is None else tuple(among)
    storage = Storage(family, source, header)
    ranked = _ranked(family, source, header, storage, every, prove)
    noted = bool(ranked) and storage.noted
    if not ranked and source.heap is not None:
        # A map may be damaged so that its arrays are not where its numbers say.
        unknown = Storage(family, replace(source, heap=None), header)
        ranked = _ranked(family, source, header, unknown, every, prove)
    if not ranked:
        return Identity((), 0)
    best = max(proven for proven, _, _ in ranked)
    fit = [(bits, map_type) for proven, bits, map_type in ranked if proven == best]
    fit.sort(key=lambda pair: (-pair[0], pair[1].name))
    return Identity(tuple(map_type for _, map_type in fit), best, noted)


def _ranked(
    family: Family, source: Source, header: Headers, storage: Storage, among: Iterable[GoType], prove: bool
) -> list[tuple[int, int, GoType]]:
    """The types that fit one map: how many keys prove each, how specific what it asks of bytes is, the type."""
    matcher = _Matcher(family, source, source.functions if prove else None)
    judge = Plausibility(source.types, source.memory, source.regions)
    ranked: list[tuple[int, int, GoType]] = []
    for layout, alike in by_layout(among):
        sample = family.sample(source, header, layout, storage.may_have(layout), SPREAD)
        if not sample.possible[0]:
            continue
        for types in alike:
            proven = matcher.proven(types[0], sample, family.seeds(header.rows), FIRST)
            for map_type in types if proven[0] >= 0 else ():
                if not storage.may_be(map_type)[0]:
                    continue
                if _plausible(source, judge, map_type, sample)[0]:
                    ranked.append((int(proven[0]), specific(judge, map_type), map_type))
    return ranked


def identify_all(
    family: Family, source: Source, headers: Headers, lists: Sequence[Sequence[GoType]]
) -> list[tuple[GoType, ...]]:
    """Find which of the types in its list fit each of many maps, as `identify` does without proving any."""
    found: list[tuple[GoType, ...]] = [()] * len(headers)
    shared: dict[tuple[int, ...], tuple[GoType, ...]] = {}
    judge = Plausibility(source.types, source.memory, source.regions)
    for types, numbers in _with_equal_lists(lists):
        for first in range(0, len(numbers), FEWER_TOGETHER):
            some = numbers[first : first + FEWER_TOGETHER]
            fits = _fitting(family, source, judge, headers.where(np.array(some)), types)
            ranked = sorted(fits, key=lambda pair: (-specific(judge, pair[0]), pair[0].name))
            for at, number in enumerate(some):
                fit = tuple(map_type for map_type, good in ranked if good[at])
                # One tuple for all maps that are alike: there may be a million of them.
                found[number] = shared.setdefault(tuple(map_type.address for map_type in fit), fit)
    # A map may be damaged so that its arrays are not where its numbers say.
    for at in (at for at, types in enumerate(lists) if types and not found[at]):
        found[at] = identify(family, source, int(headers.addresses[at]), lists[at], prove=False).candidates
    return found


def _with_equal_lists(lists: Sequence[Sequence[GoType]]) -> Iterator[tuple[Sequence[GoType], list[int]]]:
    """Each list of types that is not empty, and the numbers of the maps that have it."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, types in enumerate(lists):
        if types:
            alike[tuple(map_type.address for map_type in types)].append(number)
    for numbers in alike.values():
        yield lists[numbers[0]], numbers


def _fitting(
    family: Family, source: Source, judge: Plausibility, headers: Headers, types: Sequence[GoType]
) -> list[tuple[GoType, Mask]]:
    """For each of some types which of many maps it fits, by what their keys and elements can be."""
    storage, fits = Storage(family, source, headers), []
    for layout, alike in by_layout(types):
        sample = family.sample(source, headers, layout, storage.may_have(layout), SPREAD)
        for map_type in (each for together in alike for each in together):
            good = sample.possible & storage.may_be(map_type) & _plausible(source, judge, map_type, sample)
            fits.append((map_type, good))
    return fits


def shortlist(family: Family, source: Source, headers: Headers) -> list[list[GoType]]:
    """Find the types that each of many candidates may have: those whose keys hash to the places where they lie.

    Of hundreds of types one or two are left, and of words that only look like a header none. The hash functions must be
    known.
    """
    found: list[list[GoType]] = [[] for _ in range(len(headers))]
    matcher = _Matcher(family, source, source.functions)
    layouts = list(by_layout(source.types.map_types))
    for first in range(0, len(headers), TOGETHER):
        some = slice(first, first + TOGETHER)
        seeds = family.seeds(headers.rows[some])
        storage = Storage(family, source, headers.where(some))
        for layout, alike in layouts:
            sample = family.sample(source, headers.where(some), layout, storage.may_have(layout), SPREAD_OF_MANY)
            if not sample.possible.any():
                continue
            sample = sample.first(KEYS_OF_MANY)
            for types in alike:
                proven = matcher.proven(types[0], sample, seeds, 1) >= 0
                for map_type in types if proven.any() else ():
                    for at in np.flatnonzero(proven & storage.may_be(map_type)).tolist():
                        found[first + at].append(map_type)
    return found


def fit_storage(
    family: Family, source: Source, headers: Headers, lists: Sequence[tuple[GoType, ...]]
) -> list[tuple[GoType, ...]]:
    """Those of its types whose buckets or groups can be in the heap objects that each of many maps leads to."""
    found = list(lists)
    shared: dict[tuple[int, ...], tuple[GoType, ...]] = {}
    for types, numbers in _with_equal_lists(lists):
        for first in range(0, len(numbers), TOGETHER):
            some = numbers[first : first + TOGETHER]
            storage = Storage(family, source, headers.where(np.array(some)))
            fits = [storage.may_have(each.layout) & storage.may_be(each) for each in types if each.layout is not None]
            if all(good.all() for good in fits):
                continue
            for at, number in enumerate(some):
                fit = tuple(each for each, good in zip(types, fits, strict=True) if good[at])
                found[number] = shared.setdefault(tuple(each.address for each in fit), fit)
    return found


def by_layout(map_types: Iterable[GoType]) -> Iterator[tuple[Layout, list[list[GoType]]]]:
    """Each layout with its types, those together whose keys are of one type. Generic shapes are left out."""
    groups: dict[Layout, dict[int, list[GoType]]] = defaultdict(lambda: defaultdict(list))
    for map_type in map_types:
        if map_type.layout is not None and SHAPE not in map_type.name:
            groups[map_type.layout][map_type.key_address].append(map_type)
    for layout, alike in groups.items():
        yield layout, list(alike.values())


class Storage:
    """The heap objects that arrays of many maps are in, which rule layouts out before any key is read."""

    def __init__(self, family: Family, source: Source, headers: Headers) -> None:
        self.family, self.release, self.count = family, source.release, len(headers)
        self.arrays: Arrays | None = None
        if source.heap is not None:
            self.arrays = family.arrays(source, headers)
            self.objects = source.heap.about(self.arrays.addresses).objects(self.arrays.addresses)
            self.room = self.objects.size - (self.arrays.addresses - self.objects.base)
            self.types = self._types(source)

    def may_have(self, layout: Layout) -> Mask:
        """(n,) whether the array of each map is in an object that one of the layout would be in.

        What is in no object may be on a stack.
        """
        possible = np.ones(self.count, dtype=bool)
        if self.arrays is None or not len(self.arrays.owner):
            return possible
        scales, which = np.unique(self.arrays.scale, return_inverse=True)
        sizes = np.array([self.family.array_size(self.release, layout, scale) for scale in scales.tolist()], np.uint64)
        fits = (self.room == sizes[which]) & (self.objects.noscan != layout.has_pointers)
        # Small objects without pointers share a block, so that it says nothing of them.
        shared = self.objects.noscan & (self.objects.size == TINY_BLOCK)
        possible[self.arrays.owner[(self.objects.size > 0) & ~fits & ~shared]] = False
        return possible

    def may_be(self, map_type: GoType) -> Mask:
        """(n,) whether the array of each map has the type's buckets or groups, as far as the allocator noted it."""
        possible = np.ones(self.count, dtype=bool)
        if self.arrays is not None:
            possible[self.arrays.owner[(self.types != 0) & (self.types != map_type.cells_address)]] = False
        return possible

    @property
    def noted(self) -> bool:
        """Whether the allocator noted the type of any array."""
        return self.arrays is not None and bool((self.types != 0).any())

    def _types(self, source: Source) -> Addresses:
        """(k,) addresses of the types of buckets or groups that malloc headers and spans name; 0 where none is."""
        assert self.arrays is not None
        types, objects = self.objects.types.copy(), self.objects
        headed = np.flatnonzero(objects.base + np.uint64(MALLOC_HEADER_SIZE) == self.arrays.addresses)
        headers, ok = gather(source.memory, source.regions, objects.base[headed], MALLOC_HEADER_SIZE)
        types[headed[ok]] = headers[ok].view(np.uint64)[:, 0]
        # What is no type of cells says nothing: that of a generic shape, or damage.
        known = {map_type.cells_address for map_type in source.types.map_types if SHAPE not in map_type.name}
        return np.where(is_among(types, np.array(list(known), np.uint64)), types, np.uint64(0))


class _Matcher:
    """Holds samples of many maps against map types by hashing their keys; without hash functions nothing is proven."""

    def __init__(self, family: Family, source: Source, functions: MemoryHash | None) -> None:
        self.family, self.source, self.functions = family, source, functions
        self.left_for_long = BUDGET_FOR_LONG

    def proven(self, map_type: GoType, sample: Sample, seeds: Addresses, first: int) -> NDArray[np.int64]:
        """(n,) how many keys of each map hash to where they lie as keys of the type; -1 where one does not.

        The `first` keys of each map are looked at before all others, so that most types cost little.
        """
        proven = np.where(sample.possible, 0, -1)
        if self.functions is None:
            return proven
        for part in (sample.first(first), sample):
            part = part.where(proven[part.owner] >= 0)
            if len(part.owner):
                proven = self._matched(map_type, part, seeds, proven)
        return proven

    def _matched(
        self, map_type: GoType, sample: Sample, seeds: Addresses, before: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        assert self.functions is not None
        assert map_type.layout is not None
        types, memory, regions = self.source.types, self.source.memory, self.source.regions
        key, frozen = types.key(map_type), FrozenMemory()
        values = sample.keys
        can = np.ones(len(values), dtype=bool)
        if map_type.layout.indirect_key:
            # As many as fit into the budget; the keys of others are not held, and so have no hash.
            words = np.ascontiguousarray(values).view(np.uint64)[:, 0]
            few = slice(max(1, BUDGET // max(key.size, 1)))
            values = np.zeros((len(words), key.size), np.uint8)
            values[few], can[few] = gather(memory, regions, words[few], key.size)
            frozen.add_rows(words[few][can[few]], values[few][can[few]])
        judge = Followable(types, memory, regions, key, values)
        proven = before.copy()
        proven[sample.owner[~(can & judge.can)]] = -1
        # What cannot be a key is left out before anything behind keys is copied.
        left = proven[sample.owner] >= 0
        short = left & (judge.longest < LONG)
        wanted = left & (short | self._affordable(np.where(left, judge.longest, 0)))
        with_some = np.bincount(sample.owner[wanted], minlength=len(proven)) > 0
        proven[sample.owner[left & ~with_some[sample.owner]]] = -1
        sample = sample.where(wanted)
        Reach(types, memory, regions, frozen, BUDGET, LONG).copy(key, values[short], KEY_LIMITS)
        Reach(types, memory, regions, frozen, BUDGET_FOR_LONG).copy(key, values[wanted & ~short], KEY_LIMITS)
        hashed = Hasher(types, frozen, self.functions).map_keys(map_type, sample.keys, seeds[sample.owner])
        right = self.family.agrees(sample, hashed.hashes)
        proven = np.where(proven >= 0, np.bincount(sample.owner[hashed.known], minlength=len(proven)), -1)
        proven[sample.owner[hashed.known & ~right]] = -1
        return proven

    def _affordable(self, longest: NDArray[np.int64]) -> Mask:
        """Which keys with long strings the budget is spent on, the shortest first."""
        # What is longer than that is never copied whole, and so has no hash.
        long = np.flatnonzero((longest >= LONG) & (longest <= MAX_STRING))
        long = long[np.argsort(longest[long], kind="stable")]
        spent = np.cumsum(longest[long])
        chosen = long[spent <= self.left_for_long]
        self.left_for_long -= int(spent[len(chosen) - 1]) if len(chosen) else 0
        mask = np.zeros(len(longest), dtype=bool)
        mask[chosen] = True
        return mask


def specific(judge: Plausibility, map_type: GoType) -> int:
    """How much the keys and elements of a map have to satisfy to be of a type."""
    return judge.specific(judge.types.key(map_type)) + judge.specific(judge.types.elem(map_type))


def _plausible(source: Source, judge: Plausibility, map_type: GoType, sample: Sample) -> Mask:
    """(n,) whether all keys and elements that were sampled of each map can be of a type."""
    layout = map_type.layout
    assert layout is not None
    parts = (
        (source.types.key(map_type), sample.keys, layout.indirect_key),
        (source.types.elem(map_type), sample.elems, layout.indirect_elem),
    )
    good = np.ones(len(sample.owner), dtype=bool)
    for part in parts:
        good &= which_hold(source, judge, *part)
    return np.asarray(np.bincount(sample.owner[~good], minlength=len(sample.possible)) == 0)


def which_hold(source: Source, judge: Plausibility, part: GoType, slots: Rows, indirect: bool) -> Mask:
    """(k,) which slots can hold values of a type; `indirect` says that they hold pointers to them."""
    if not indirect or not len(slots):
        return judge.of(part, slots)
    words = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
    few = slice(max(1, BUDGET // max(part.size, 1)))
    rows, ok = gather(source.memory, source.regions, words[few], part.size)
    good = np.ones(len(words), dtype=bool)
    good[few] = ok & judge.of(part, rows)
    return good
