"""A few entries of many maps at once: what identifies a map of which only the address is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import roundup_size
from inspector.goruntime.swissgroup import EMPTY, GROUP_SLOTS, H2_BITS
from inspector.goruntime.swisstable import MAX_TABLE_CAPACITY, SMALLEST_CAPACITY, swisstable
from inspector.gotypes.layouts import Layout, SwissLayout
from inspector.hashing.aes import Hashes
from inspector.maps.family import Arrays, Headers, Mask, Sample, Source
from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.header import POINTER_SIZE, WORD_BITS
from inspector.maps.swiss.layout import LARGEST_DEPTH, swiss
from inspector.maps.swiss.tables import MOST_GROUPS
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses

SEAT = np.dtype([("h2", "u1"), ("group", "<i8"), ("groups", "<i8"), ("block", "<u8"), ("bits", "u1")])
"""Where an entry is: its H2, its group and how many its table has, and the top `bits` bits of its hash as `block`."""

ENTRIES_LOOKED_AT = 16
"""Directory entries that are read for each group: many may lead to one table, and most tables may be empty."""

Numbers = NDArray[np.int64]
H2_MASK = np.uint64((1 << H2_BITS) - 1)


def arrays(source: Source, headers: Headers) -> Arrays:
    """See Family.arrays: the only group of a small map, the groups of the first table of any other."""
    rows, memory, regions = headers.rows, source.memory, source.regions
    small = np.flatnonzero((rows["dirLen"] == 0) & (rows["dirPtr"] != 0))
    large = np.flatnonzero(rows["dirLen"] != 0)
    first, ok = gather(memory, regions, rows["dirPtr"][large], POINTER_SIZE)
    table, found = gather(memory, regions, np.where(ok, first.view(np.uint64)[:, 0], 0), swisstable.sizeof())
    tables = table.view(dtype_of(swisstable))[:, 0]
    found &= tables["lengthMask"] < MOST_GROUPS
    groups = tables["lengthMask"][found].astype(np.int64) + 1
    return Arrays(
        np.concatenate([small, large[found]]),
        np.concatenate([rows["dirPtr"][small], tables["groups"][found]]),
        np.concatenate([np.ones(len(small), np.int64), groups]),
    )


def array_size(release: Release, layout: Layout, scale: int) -> int:
    """See Family.array_size: so many groups."""
    return roundup_size(release, scale * swiss(layout).group_size, not layout.has_pointers)


def sample(
    source: Source, headers: Headers, layout: Layout, possible: Mask, most: int, lenient: bool = False
) -> Sample:
    """See Family.sample: entries of up to `most` groups of each map.

    A layout is impossible where groups are not mapped, where a table or a control byte cannot be one, where a small map
    does not have as many entries as it says, and where bytes are not zero that no key and no element covers.
    """
    return _Sampler(source, headers, swiss(layout), possible, lenient).take(most)


def agrees(sample: Sample, hashes: Hashes) -> Mask:
    """See Family.agrees: H2 is the low 7 bits of the hash, and its top bits lead to the table."""
    seats = sample.seats
    bits = seats["bits"].astype(np.uint64)
    # A shift by 64 is not defined: it stands for a directory of one entry, which needs no bits.
    block = np.where(bits > 0, hashes >> (np.uint64(WORD_BITS) - np.maximum(bits, 1)), 0)
    return np.asarray((hashes & H2_MASK == seats["h2"]) & (block == seats["block"]))


@dataclass(frozen=True)
class _Chosen:
    """Groups that are looked at, k of them: `owner` (k,) which map each is of, and where it lies."""

    owner: Numbers
    addresses: Addresses
    number: Numbers
    groups: Numbers
    block: NDArray[np.uint64]
    bits: NDArray[np.uint8]


class _Sampler:
    """Samples many maps as if all had one layout; `possible` says which of them still may."""

    def __init__(
        self, source: Source, headers: Headers, layout: SwissLayout, possible: Mask, lenient: bool = False
    ) -> None:
        self.source, self.rows, self.layout, self.lenient = source, headers.rows, layout, lenient
        self.small: Mask = self.rows["dirLen"] == 0
        self.possible: Mask = possible & (self.rows["dirPtr"] % np.uint64(POINTER_SIZE) == 0)

    def take(self, most: int) -> Sample:
        """Narrow down which maps are possible, and read entries of those."""
        parts = [self._small_groups(most), self._groups_of_tables(most)]
        chosen = _Chosen(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
        raw, ok = gather(self.source.memory, self.source.regions, chosen.addresses, self.layout.group_size)
        if self.lenient:
            raw[~ok, :GROUP_SLOTS] = EMPTY
        self.possible[chosen.owner[~ok]] &= self.lenient
        groups = Groups.at(self.layout, raw, chosen.addresses, chosen.owner, chosen.number)
        if not self.lenient:
            self._check_groups(groups)
        return self._sample(chosen, groups)

    def _sample(self, chosen: _Chosen, groups: Groups) -> Sample:
        rows, slots = groups.live
        order = np.argsort(chosen.owner[rows], kind="stable")
        order = order[self.possible[chosen.owner[rows[order]]]]
        rows, slots = rows[order], slots[order]
        seats = np.zeros(len(rows), SEAT)
        seats["h2"] = groups.ctrl[rows, slots]
        for name in ("groups", "block", "bits"):
            seats[name] = getattr(chosen, name)[rows]
        seats["group"] = chosen.number[rows]
        keys, elems = groups.keys[rows, slots], groups.elems[rows, slots]
        return Sample(chosen.owner[rows], keys, elems, seats, self.possible)

    # Which groups

    def _small_groups(self, most: int) -> _Chosen:
        """The one group of each small map; one that has none yet is possible with any layout.

        What has more entries than a group is a table whose own words are not known (see damage.py): its entries fill so
        many groups at least.
        """
        which = np.flatnonzero(self.small & (self.rows["dirPtr"] != 0) & self.possible)
        each = np.ones(len(which), np.int64)
        if self.lenient:
            used = np.minimum(self.rows["used"][which], np.uint64(most * GROUP_SLOTS)).astype(np.int64)
            each = np.maximum(used // GROUP_SLOTS, 1)
        number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        which = np.repeat(which, each)
        zeros = np.zeros(len(which), np.int64)
        addresses = self.rows["dirPtr"][which] + number.astype(np.uint64) * np.uint64(self.layout.group_size)
        return _Chosen(which, addresses, number, zeros + 1, zeros.astype(np.uint64), zeros.astype(np.uint8))

    def _groups_of_tables(self, most: int) -> _Chosen:
        """Some groups of some tables of each map, spread over directory and tables."""
        depth = self.rows["globalDepth"].astype(np.int64)
        sound = (depth <= LARGEST_DEPTH) & (self.rows["dirLen"] == np.left_shift(1, np.minimum(depth, LARGEST_DEPTH)))
        self.possible &= self.small | sound
        owner, entry, pointers = self._entries(most)
        table, good = self._tables(owner, entry, pointers)
        if self.lenient:
            owner, entry, table = owner[good], entry[good], table[good]
        else:
            self.possible[owner[~good]] = False
        kept = self._worth_looking(owner, table, most)
        owner, entry, table = owner[kept], entry[kept], table[kept]
        groups = (table["lengthMask"] + np.uint64(1)).astype(np.int64)
        each = np.minimum(groups, np.maximum(most // np.maximum(np.bincount(owner, minlength=len(depth)), 1)[owner], 1))
        at = np.repeat(np.arange(len(owner)), each)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(each) - each, each)
        number = nth * (groups[at] - 1) // np.maximum(each[at] - 1, 1)
        addresses = table["groups"][at] + number.astype(np.uint64) * np.uint64(self.layout.group_size)
        local = table["localDepth"].astype(np.int64)
        block = (entry >> np.maximum(depth[owner] - local, 0)).astype(np.uint64)
        return _Chosen(owner[at], addresses, number, groups[at], block[at], local[at].astype(np.uint8))

    def _worth_looking(self, owner: Numbers, table: NDArray[np.void], most: int) -> Numbers:
        """Up to `most` tables of each map, spread over it: those with entries, if any has some."""
        busy = table["used"] > 0
        some = np.bincount(owner, weights=busy, minlength=len(self.possible)) > 0
        rows = np.flatnonzero(self.possible[owner] & (busy | ~some[owner]))
        counts = np.bincount(owner[rows], minlength=len(self.possible))[owner[rows]]
        nth = np.arange(len(rows)) - np.searchsorted(owner[rows], owner[rows])
        # The rows at which nth * most // counts takes a value for the first time.
        return np.asarray(rows[(nth == 0) | (nth * most // counts != (nth - 1) * most // counts)])

    def _entries(self, most: int) -> tuple[Numbers, Numbers, Addresses]:
        """Directory entries of each map, spread over it, one a table: their map, their number, what they hold."""
        which = np.flatnonzero(self.possible & ~self.small)
        lengths = self.rows["dirLen"][which]
        each = np.minimum(lengths, most * ENTRIES_LOOKED_AT)
        at = np.repeat(np.arange(len(which)), each)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(each) - each, each)
        entry = nth * (lengths[at] - 1) // np.maximum(each[at] - 1, 1)
        owner = which[at]
        places = self.rows["dirPtr"][owner] + entry.astype(np.uint64) * np.uint64(POINTER_SIZE)
        raw, ok = gather(self.source.memory, self.source.regions, places, POINTER_SIZE)
        self.possible[owner[~ok]] &= self.lenient
        tables = raw.view(np.uint64)[:, 0]
        # Those of one table follow one another.
        new = np.ones(len(owner), dtype=bool)
        new[1:] = (owner[1:] != owner[:-1]) | (tables[1:] != tables[:-1])
        return owner[new], entry[new], tables[new]

    def _tables(self, owner: Numbers, entry: Numbers, pointers: Addresses) -> tuple[NDArray[np.void], Mask]:
        """The tables that entries lead to, and which of them can be tables."""
        aligned = np.where(pointers % np.uint64(POINTER_SIZE) == 0, pointers, 0)
        raw, good = gather(self.source.memory, self.source.regions, aligned, swisstable.sizeof())
        table = raw.view(dtype_of(swisstable))[:, 0]
        capacity, local = table["capacity"].astype(np.uint64), table["localDepth"].astype(np.int64)
        good &= (capacity >= SMALLEST_CAPACITY) & (capacity <= MAX_TABLE_CAPACITY)
        good &= (capacity & (capacity - np.uint64(1)) == 0) & (table["padding"] == 0)
        good &= table["lengthMask"] == capacity // np.uint64(GROUP_SLOTS) - np.uint64(1)
        depth = self.rows["globalDepth"][owner].astype(np.int64)
        length = np.left_shift(1, np.clip(depth - local, 0, LARGEST_DEPTH))
        good &= (local <= depth) & (table["index"] == entry // length * length)
        size = capacity // np.uint64(GROUP_SLOTS) * np.uint64(self.layout.group_size)
        good &= (table["groups"] % np.uint64(POINTER_SIZE) == 0) & self.source.regions.contains(table["groups"], size)
        return table, good

    # What they hold

    def _check_groups(self, groups: Groups) -> None:
        """Maps with a group that no map of this layout can have are not possible."""
        owner, layout = groups.table, self.layout
        bad = ~(groups.full | groups.empty | groups.deleted).all(axis=1)
        bad |= groups.empty.any(axis=1) & groups.deleted.any(axis=1)
        unused = ~groups.full
        bad |= (unused & groups.elems.any(axis=2)).any(axis=1)
        if layout.key_has_pointers or layout.indirect_key:
            bad |= (unused & groups.keys.any(axis=2)).any(axis=1)
        bad |= groups.padding.any(axis=1)
        # A write may be under way in one slot: the rules judge such a map.
        resting = self.rows["writing"] == 0
        self.possible[owner[bad & resting[owner]]] = False
        full = np.bincount(owner, weights=groups.full.sum(axis=1), minlength=len(self.rows))
        used = self.rows["used"].astype(np.float64)
        looked_at = np.bincount(owner, minlength=len(self.rows)) > 0
        # Of a small map all entries were looked at, of one with tables some.
        self.possible &= ~(looked_at & resting) | np.where(self.small, full == used, full <= used)
