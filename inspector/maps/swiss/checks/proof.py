"""The hash proof: every key hashed again as the runtime did, and rules K1, K2, K3 and K6 that rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import log2

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import H2_BITS
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import Hashed, Hasher, MemoryHash
from inspector.maps.binomial import upper_tail
from inspector.maps.family import Mask
from inspector.maps.findings import Finding, HashProof
from inspector.maps.swiss.checks.steps import CLEAR, SMALL_DELETE, TABLE_DELETE, Step
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import WORD_BITS
from inspector.maps.swiss.places import Where

NO_KEYS = "the process's hash keys were not found"
NO_ALGORITHM = "the hash function of this Go release is not known here"

H2_MASK = np.uint64((1 << H2_BITS) - 1)
WORD = 8

LONG_PATHS_FROM = 32
"""Tables with more groups than this can show by a long path that their keys were chosen; others by one home group."""

BEYOND_CHANCE = 30
"""Groups of a path beyond log2(entries) that chance does not make: a path of n groups has a chance of about 2^-n."""

CHANCE_OF_HOME = 1e-15
"""So many keys of one home group, less likely than this in a whole table, are worth a warning."""

UNLIKELY_HOME = 24
"""Keys of one home group that are fewer than this are never worth one."""

Numbers = NDArray[np.int64]


class Proof:
    """The hashes of a snapshot's keys, worked out once for all rules: of the n full slots in the order of places."""

    def __init__(self, view: MapView) -> None:
        self.view = view
        self.snapshot = view.snapshot

    @cached_property
    def functions(self) -> MemoryHash | None:
        """The process's hash functions, None when they are not known."""
        keys = self.snapshot.hash_keys
        return keys.functions(self.snapshot.release) if keys else None

    @cached_property
    def hashed(self) -> Hashed:
        """The hashes of all live keys, in the order of their places; the hash functions must be known."""
        assert self.functions is not None
        snapshot, groups = self.snapshot, self.view.groups
        hasher = Hasher(snapshot.types, snapshot.memory, self.functions)
        return hasher.map_keys(snapshot.type, groups.keys[groups.full], snapshot.header.seed)

    @cached_property
    def alike(self) -> Mask:
        """(n,) whether another key has the same hash: equal keys do."""
        hashes = self.hashed.hashes
        ordered = np.sort(hashes)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        return np.asarray(np.isin(hashes, repeated)) if len(repeated) else np.zeros(len(hashes), dtype=bool)

    @cached_property
    def h2_right(self) -> Mask:
        """(n,) whether the control byte is the low 7 bits of the hash."""
        groups = self.view.groups
        return np.asarray(self.hashed.hashes & H2_MASK == groups.ctrl[groups.full])

    @cached_property
    def judged(self) -> Mask:
        """(n,) slots of groups that are judged, whose key has a hash that is known."""
        judged = self.view.all_full[self.view.groups.full] & self.hashed.known
        for part in self.view.apart_wrong:
            judged &= ~part.wrong[self.view.groups.full]
        return judged

    @cached_property
    def h2_wrong(self) -> Mask:
        """(n,) keys that K1 reports."""
        return np.asarray(self.judged & ~self.h2_right)

    @cached_property
    def seed_wrong(self) -> bool:
        """Whether most keys are wrong at once: then it is what they were hashed with, or no key lies there."""
        wrong = int(np.count_nonzero(self.h2_wrong))
        return wrong > 1 and 2 * wrong > int(np.count_nonzero(self.judged))

    @cached_property
    def lost(self) -> Mask:
        """(t,) tables of which most keys are wrong, while those of others are right."""
        count = len(self.view.tables)
        if self.seed_wrong or not count or not self.h2_wrong.any():
            return np.zeros(count, dtype=bool)
        wrong = np.bincount(self.tables[self.h2_wrong], minlength=count)
        return np.asarray((wrong > 1) & (2 * wrong > np.bincount(self.tables[self.judged], minlength=count)))

    @cached_property
    def placed(self) -> Mask:
        """(n,) keys whose place in the directory and in their table can be asked for: their control byte is right."""
        if self.seed_wrong or self.view.header.small:
            return np.zeros(len(self.hashed.known), dtype=bool)
        return np.asarray(self.judged & self.h2_right & ~self.lost[self.tables])

    @cached_property
    def tables(self) -> Numbers:
        """(n,) the table of each slot."""
        return self.view.groups.table[self.view.groups.live[0]]

    @cached_property
    def table_wrong(self) -> Mask:
        """(n,) keys that K2 reports: their hash leads to another table."""
        view, wrong = self.view, np.zeros(len(self.hashed.known), dtype=bool)
        if view.header.small or not view.directory_judged or view.tables_exchanged:
            return wrong
        at = np.flatnonzero(self.placed)
        wrong[at] = view.tables.of_entry[self.entries[at]] != self.tables[at]
        return wrong

    @cached_property
    def entries(self) -> Numbers:
        """(n,) directory entries that the hashes lead to (Map.directoryIndex)."""
        depth = self.view.header.global_depth
        if not depth:
            return np.zeros(len(self.hashed.hashes), np.int64)
        return (self.hashed.hashes >> np.uint64(WORD_BITS - depth)).astype(np.int64)

    @cached_property
    def paths(self) -> Paths:
        """The paths of all keys that are in the right table."""
        at = np.flatnonzero(self.placed & ~self.table_wrong)
        return Paths(self.view, at[self.view.counted[self.tables[at]]], self.hashed.hashes)

    @cached_property
    def slots_at_fault(self) -> NDArray[np.int64]:
        """(g,) how many control bytes of each group may be wrong by their keys (K1, K3) or by rules G1 to G7."""
        found = self.view.slots_at_fault.copy()
        if self.functions is not None and not self.seed_wrong:
            np.add.at(found, self.view.groups.live[0][self.h2_wrong], 1)
            crossed = np.unique(self.paths.crossed[self.paths.crossed >= 0])
            found[crossed] = np.maximum(found[crossed], 1)
        return found

    def half_deleted(self, at: int) -> tuple[Step, ...]:
        """Delete, if it may have cleared the key of a slot: keys with pointers are, before their control byte is."""
        snapshot = self.snapshot
        if snapshot.layout.indirect_key or not snapshot.types.key(snapshot.type).has_pointers:
            return ()
        rows, slots = self.view.groups.live
        cleared = not self.view.groups.keys[rows[at], slots[at], :WORD].any()
        return (SMALL_DELETE if self.view.header.small else TABLE_DELETE) if cleared else ()

    def where(self, at: int) -> Where:
        """The place of a slot."""
        rows, slots = self.view.groups.live
        return self.view.where(int(rows[at]), int(slots[at]))

    def summary(self) -> HashProof:
        """Count what was proven."""
        if self.functions is None:
            reason = NO_ALGORITHM if self.snapshot.hash_keys else NO_KEYS
            return HashProof(0, 0, self.view.live_count, None, reason)
        known = self.hashed.known
        checked = int(np.count_nonzero(known))
        matched = int(np.count_nonzero(self.h2_right & known))
        return HashProof(checked, matched, len(known) - checked, self.functions.name, None)


class Paths:
    """The groups that lookups of keys visit (probeSeq): of some full slots, `at` among all of them.

    `lengths` are the groups on the path of each, its own among them; `crossed` the row of the first group before its
    own with an empty slot, -1 for none; `homes` the rows of the groups that the paths begin at.
    """

    def __init__(self, view: MapView, at: Numbers, hashes: Hashes) -> None:
        self.at = at
        groups = view.groups
        rows = groups.live[0][at]
        table = groups.table[rows]
        first = view.first_row[table]
        mask = view.groups_of_tables[table] - 1
        has_empty: Mask = np.asarray(view.all_empty.any(axis=1))
        here = (hashes[at] >> np.uint64(H2_BITS)).astype(np.int64) & mask
        self.homes = first + here
        self.lengths = np.ones(len(at), np.int64)
        self.crossed = np.full(len(at), -1, np.int64)
        left = np.flatnonzero(self.homes != rows)
        here, first, mask, step = here[left], first[left], mask[left], 1
        while len(left):
            blocked = has_empty[first + here] & (self.crossed[left] < 0)
            self.crossed[left[blocked]] = (first + here)[blocked]
            here = (here + step) & mask
            self.lengths[left] += 1
            on = (first + here != rows[left]) & (step <= mask)
            left, here, first, mask, step = left[on], here[on], first[on], mask[on], step + 1


def k1_control_bytes_are_of_the_hash(proof: Proof) -> Iterator[Finding]:
    """A control byte is the low 7 bits of its key's hash."""
    faults = np.flatnonzero(proof.h2_wrong)
    source = "maps.Map.PutSlot"
    if proof.seed_wrong:
        yield Finding(
            rule="K1",
            message=f"{len(faults)} of {np.count_nonzero(proof.judged)} keys do not hash to their control bytes: "
            "seed is not what they were stored with, or dirPtr leads to other entries",
            observed=f"seed {proof.snapshot.header.seed:#018x}, dirPtr {proof.snapshot.header.dir_ptr:#x}",
            expected="the seed that the map had when they were stored, and its own memory",
            source=source,
            where=Where(address=proof.snapshot.address),
        )
        return
    for table in np.flatnonzero(proof.lost).tolist():
        yield Finding(
            rule="K1",
            message=f"most keys of table {proof.view.number(table)} do not hash to their control bytes: "
            "its groups are not its own",
            observed=f"groups {int(proof.view.tables.rows['groups'][table]):#x}",
            expected="groups with the keys that were stored in this table",
            source=source,
            where=proof.view.table_where(table),
        )
    if proof.lost.any():
        faults = faults[~proof.lost[proof.tables[faults]]]
    ctrl = proof.view.groups.ctrl[proof.view.groups.full]
    for at in faults.tolist():
        hash_ = int(proof.hashed.hashes[at])
        yield Finding(
            rule="K1",
            message="a key does not hash to its control byte",
            observed=f"{ctrl[at]:#04x}",
            expected=f"{hash_ & int(H2_MASK):#04x} (hash {hash_:#018x})",
            source=source,
            where=proof.where(at),
            in_flight=proof.half_deleted(at) if len(faults) == 1 else (),
        )


def k2_keys_are_in_their_table(proof: Proof) -> Iterator[Finding]:
    """The upper bits of a key's hash lead to the directory entries of the table that it is in."""
    view, faults = proof.view, np.flatnonzero(proof.table_wrong)
    for at in faults.tolist():
        entry = int(proof.entries[at])
        right = view.number(int(view.tables.of_entry[entry]))
        yield Finding(
            rule="K2",
            message="a key is in another table than its hash says",
            observed=f"table {view.number(int(proof.tables[at]))}",
            expected=f"table {right}, by directory entry {entry} (hash {int(proof.hashed.hashes[at]):#018x})",
            source="maps.Map.directoryIndex",
            where=proof.where(at),
            in_flight=proof.half_deleted(at) if len(faults) == 1 else (),
        )


def k3_nothing_ends_a_path_before_its_key(proof: Proof) -> Iterator[Finding]:
    """No group on a key's path before its own has an empty slot, where a lookup would give up."""
    view, paths = proof.view, proof.paths
    # Where a control byte of that group is known to be wrong, this follows from it.
    faults = np.flatnonzero((paths.crossed >= 0) & ~view.doubtful[paths.crossed])
    for row in np.unique(paths.crossed[faults]).tolist():
        lost = paths.at[faults[paths.crossed[faults] == row]]
        table, number = int(view.groups.table[row]), int(view.groups.number[row])
        one = len(lost) == 1
        steps = proof.half_deleted(int(lost[0])) if len(faults) == 1 else ()
        if view.table_being_cleared == table and number < view.cleared_before[table]:
            steps += CLEAR
        yield Finding(
            rule="K3",
            message=f"group {number} of table {view.number(table)} has an empty slot, "
            f"so {len(lost)} keys behind it are not found",
            observed=f"control bytes {view.groups.ctrl[row].tobytes().hex(' ')}",
            expected=f"no empty slot on the path to the key (hash {int(proof.hashed.hashes[lost[0]]):#018x})",
            source="maps.table.PutSlot, maps.table.pruneTombstones",
            where=proof.where(int(lost[0])) if one else view.where(row),
            in_flight=steps,
        )


def k6_paths_are_as_short_as_chance_makes_them(proof: Proof) -> Iterator[Finding]:
    """No path is longer, no home group more wanted, and no three hashes more equal than chance makes them."""
    yield from _long_paths(proof)
    yield from _crowded_homes(proof)
    yield from _equal_hashes(proof)


def _long_paths(proof: Proof) -> Iterator[Finding]:
    view, paths = proof.view, proof.paths
    if not len(paths.at):
        return
    # A key that is not where its path leads (K3) says nothing of the length of paths.
    large = (view.groups_of_tables[proof.tables[paths.at]] > LONG_PATHS_FROM) & (paths.crossed < 0)
    lengths = np.where(large, paths.lengths, 0)
    most = BEYOND_CHANCE + log2(len(paths.at))
    if lengths.max() >= most:
        at = int(lengths.argmax())
        yield _chosen(
            f"a lookup of a key visits {lengths[at]} groups: many keys share the hash bits that choose the group",
            f"{lengths[at]} groups",
            f"less than {most:.0f}",
            proof.where(int(paths.at[at])),
        )


def _crowded_homes(proof: Proof) -> Iterator[Finding]:
    view, paths = proof.view, proof.paths
    wanted = np.bincount(paths.homes, minlength=len(view.groups))
    entries = np.bincount(proof.tables[paths.at], minlength=len(view.tables))
    for row in np.flatnonzero(wanted > UNLIKELY_HOME).tolist():
        table = int(view.groups.table[row])
        groups = int(view.groups_of_tables[table])
        chance = upper_tail(int(wanted[row]), int(entries[table]), 1 / groups) * groups
        if groups <= LONG_PATHS_FROM and chance < CHANCE_OF_HOME:
            yield _chosen(
                f"{wanted[row]} of {entries[table]} keys of a table have the same home group: their hashes are alike",
                f"{wanted[row]} keys",
                f"about {entries[table] / groups:.0f}",
                view.where(row),
            )


def _equal_hashes(proof: Proof) -> Iterator[Finding]:
    if proof.seed_wrong or not proof.alike.any():
        return
    at = np.flatnonzero(proof.judged & proof.h2_right)
    hashes = np.sort(proof.hashed.hashes[at])
    same = np.flatnonzero(hashes[2:] == hashes[:-2])
    if len(same) and not proof.view.tables_exchanged:
        value = hashes[same[0]]
        alike = at[proof.hashed.hashes[at] == value]
        yield _chosen(
            f"{len(alike)} keys have one hash",
            f"hash {int(value):#018x}",
            "hashes that differ",
            proof.where(int(alike[0])),
        )


def _chosen(message: str, observed: str, expected: str, where: Where) -> Finding:
    return Finding("K6", message, observed, expected, "maps.probeSeq", where, severity="warning")
