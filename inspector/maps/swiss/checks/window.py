"""What the hashes of the keys of a window of tables show: the control bytes, tables and paths that they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inspector.goruntime.swissgroup import GROUP_SLOTS, H2_BITS
from inspector.hashing.aes import Hashes
from inspector.hashing.kernel import away_from_home
from inspector.maps.family import Mask
from inspector.maps.hashed import HashedKeys
from inspector.maps.slots import Numbers
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import WORD_BITS
from inspector.maps.swiss.tables import MOST_GROUPS
from inspector.maps.windows import mask_of
from inspector.memory.sets import distinct

H2_MASK = np.uint64((1 << H2_BITS) - 1)


@dataclass(frozen=True)
class KeyWindow:
    """The k keys in some consecutive groups, which are those of whole tables, or of a small map.

    `groups` are the rows of these groups. Whether most keys of the whole map are wrong is not known here: what rests on
    places of keys is worked out as if they were not.
    """

    view: MapView
    groups: slice
    keys: HashedKeys

    @cached_property
    def tables(self) -> Numbers:
        """(k,) the table of each key."""
        return np.asarray(self.view.groups.table[self.keys.rows], np.int64)

    @cached_property
    def there(self) -> Mask:
        """(k,) keys of groups that are judged, as far as they can be read."""
        sound = self.view.groups_sound[self.groups]
        there = np.ones(len(self.keys), dtype=bool)
        if not sound.all():
            there = sound[self.keys.rows - self.groups.start]
        for part in self.view.apart_wrong:
            wrong = mask_of(part.wrong, self.groups, GROUP_SLOTS).reshape(-1)
            there &= ~wrong[self.keys.places - self.groups.start * GROUP_SLOTS]
        return there

    @cached_property
    def judged(self) -> Mask:
        """(k,) those of them whose key has a hash that is known."""
        return self.there & self.keys.known

    @cached_property
    def h2_right(self) -> Mask:
        """(k,) whether the control byte is the low 7 bits of the hash."""
        return np.asarray(self.keys.hashes.astype(np.uint8) & np.uint8(H2_MASK) == self.keys.seen)

    @cached_property
    def h2_wrong(self) -> Mask:
        """(k,) keys that K1 reports."""
        return np.asarray(self.judged & ~self.h2_right)

    def count(self, which: Mask) -> Numbers:
        """(t,) how many of some keys each of all tables has."""
        return np.bincount(self.tables[which], minlength=len(self.view.tables))

    @cached_property
    def lost(self) -> Mask:
        """(t,) tables of which most keys are wrong."""
        if not len(self.view.tables) or not self.h2_wrong.any():
            return np.zeros(len(self.view.tables), dtype=bool)
        wrong = self.count(self.h2_wrong)
        return np.asarray((wrong > 1) & (2 * wrong > self.count(self.judged)))

    @cached_property
    def placed(self) -> Mask:
        """(k,) keys whose place in the directory and in their table can be asked for: their control byte is right."""
        if self.view.header.small:
            return np.zeros(len(self.keys), dtype=bool)
        right = self.judged & self.h2_right
        return np.asarray(right & ~self.lost[self.tables]) if self.lost.any() else right

    @cached_property
    def homes(self) -> Numbers:
        """(k,) rows of the groups that lookups begin at, in the table that the hash leads to: H1 & lengthMask.

        It is the key's own table where the directory says nothing. No group has the row if groups of the table are
        missing.
        """
        view, hashes = self.view, self.keys.hashes
        at = view.tables.of_entry[entries_of(view, hashes)] if view.tables_told else self.tables
        first, mask = view.starts
        homes = (hashes >> np.uint64(H2_BITS)).view(np.int64)
        homes &= mask[at]
        homes += first[at]
        return homes

    @cached_property
    def away(self) -> Numbers:
        """The numbers of the placed keys that are not in that group: all others are in the right table, too."""
        if self.view.header.small:
            return np.empty(0, np.int64)
        keys, view, away = self.keys, self.view, None
        if view.tables_told:
            away = away_from_home(keys.hashes, keys.places, view.tables.of_entry, *view.starts, H2_BITS)
        if away is None:
            away = np.flatnonzero(self.homes != keys.rows)
        return away if self.placed.all() else away[self.placed[away]]

    @cached_property
    def table_wrong(self) -> Mask:
        """(k,) keys that K2 reports: their hash leads to another table."""
        wrong = np.zeros(len(self.keys), dtype=bool)
        if self.view.tables_told:
            at = self.away
            right = self.view.tables.of_entry[entries_of(self.view, self.keys.hashes[at])]
            wrong[at] = right != self.view.groups.table[self.keys.rows[at]]
        return wrong

    @cached_property
    def at_home(self) -> Mask:
        """(k,) keys that are in the table that their hash leads to."""
        if not self.view.tables_told:
            return np.zeros(len(self.keys), dtype=bool)
        return np.asarray(self.placed & ~self.table_wrong)

    @cached_property
    def followed(self) -> Mask:
        """(k,) keys that are in the right table, as far as is known, and whose paths are followed."""
        followed = self.placed & ~self.table_wrong
        if not self.view.counted.all():
            followed &= self.view.counted[self.tables]
        return followed

    @cached_property
    def strayed(self) -> Numbers:
        """The numbers of those whose paths go on from the first group."""
        return np.asarray(self.away[self.followed[self.away]])

    @cached_property
    def paths(self) -> Followed:
        """The paths of those that strayed."""
        view, rows, at = self.view, self.keys.rows, self.strayed
        table = view.groups.table[rows[at]]
        first, mask = view.first_row[table], view.groups_of_tables[table] - 1
        return follow(rows[at], first, mask, self.keys.hashes[at], view.with_empty)

    def beginnings(self, hashes: Hashes) -> Numbers:
        """(k,) the table and the group that lookups begin at, in the order in which groups were read, from 0 on."""
        if not self.view.tables_told:
            return np.zeros(len(hashes), np.int64)
        group = (hashes >> np.uint64(H2_BITS)).view(np.int64) & (MOST_GROUPS - 1)
        group |= entries_of(self.view, hashes) << (MOST_GROUPS.bit_length() - 1)
        return group - group.min() if len(group) else group

    @cached_property
    def crossing(self) -> Numbers:
        """Rows of groups that paths go on from, in tables of which tombstones may be pruned."""
        view = self.view
        if not view.prunable.any():
            return np.empty(0, np.int64)
        rows, homes = self.keys.rows[self.strayed], self.paths.homes
        table = view.groups.table[rows]
        left = np.flatnonzero(view.prunable[table])
        first, mask = view.first_row[table], view.groups_of_tables[table] - 1
        here, step, found = homes - first, 1, [np.empty(0, np.int64)]
        while len(left):
            found.append(distinct(first[left] + here[left]))
            here[left] = (here[left] + step) & mask[left]
            left = left[(first[left] + here[left] != rows[left]) & (step <= mask[left])]
            step += 1
        return np.concatenate(found)


def entries_of(view: MapView, hashes: Hashes) -> Numbers:
    """(k,) directory entries that hashes lead to (Map.directoryIndex)."""
    depth = view.header.global_depth
    if not depth:
        return np.zeros(len(hashes), np.int64)
    return (hashes >> np.uint64(WORD_BITS - depth)).view(np.int64)


@dataclass(frozen=True)
class Followed:
    """The groups that lookups of k keys visit (probeSeq), (k,) each.

    `lengths` are the groups on the path of each, its own among them; `crossed` the row of the first group before its
    own with an empty slot, -1 for none; `homes` the rows of the groups that the paths begin at.
    """

    homes: Numbers
    lengths: Numbers
    crossed: Numbers


def follow(rows: Numbers, first: Numbers, mask: Numbers, hashes: Hashes, has_empty: Mask) -> Followed:
    """Follow the paths of k keys, each to the group that it is in, of all groups that there are.

    For each key (k,): `rows` the row of its group, `first` the row of the first group of its table, `mask` how many its
    table has, less one. `has_empty` says of all groups which have an empty slot.
    """
    here = (hashes >> np.uint64(H2_BITS)).view(np.int64) & mask
    homes = first + here
    lengths, crossed = np.ones(len(rows), np.int64), np.full(len(rows), -1, np.int64)
    left = np.flatnonzero(homes != rows)
    here, first, mask, step = here[left], first[left], mask[left], 1
    while len(left):
        blocked = has_empty[first + here] & (crossed[left] < 0)
        crossed[left[blocked]] = (first + here)[blocked]
        here = (here + step) & mask
        lengths[left] += 1
        on = (first + here != rows[left]) & (step <= mask)
        left, here, first, mask, step = left[on], here[on], first[on], mask[on], step + 1
    return Followed(homes, lengths, crossed)


def which(mask: Mask) -> slice | Numbers:
    """What a mask chooses, as an index: of all, which it is in nearly every map, nothing is copied."""
    return slice(None) if mask.all() else np.flatnonzero(mask)
