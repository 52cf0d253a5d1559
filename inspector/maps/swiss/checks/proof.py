"""The hash proof: every key hashed again as the runtime did, and rules K1, K2, K3 and K6 that rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import log2

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import Hasher, MemoryHash
from inspector.maps.binomial import upper_tail
from inspector.maps.family import Mask
from inspector.maps.findings import Finding, HashProof
from inspector.maps.hashed import HashedKeys, Repeats, hash_slots
from inspector.maps.slots import Numbers
from inspector.maps.swiss.checks.steps import CLEAR, SMALL_DELETE, TABLE_DELETE, Step
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.checks.window import H2_MASK, KeyWindow, entries_of, which
from inspector.maps.swiss.places import Where
from inspector.maps.windows import joined
from inspector.memory.sets import distinct

NO_KEYS = "the process's hash keys were not found"
NO_ALGORITHM = "the hash function of this Go release is not known here"

WORD = 8

LONG_PATHS_FROM = 32
"""Tables with more groups than this can show by a long path that their keys were chosen; others by one home group."""

BEYOND_CHANCE = 30
"""Groups of a path beyond log2(entries) that chance does not make: a path of n groups has a chance of about 2^-n."""

CHANCE_OF_HOME = 1e-15
"""So many keys of one home group, less likely than this in a whole table, are worth a warning."""

UNLIKELY_HOME = 24
"""Keys of one home group that are fewer than this are never worth one."""


@dataclass
class Paths:
    """What the paths of keys that are in the right table come to, of all windows together.

    `followed` counts them, `of_length` (longest + 1,) how many visit so many groups. `longest` is the first of the
    longest paths through several groups of a large table, and its key.
    """

    followed: int = 0
    of_length: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    longest: tuple[int, HashedKeys] = field(default_factory=lambda: (0, HashedKeys.none()))
    _behind: list[HashedKeys] = field(default_factory=list)
    _empty: list[Numbers] = field(default_factory=list)
    _wanted: list[Numbers] = field(default_factory=list)
    _crossing: list[Numbers] = field(default_factory=list)

    def add(self, window: KeyWindow) -> None:
        """Add what a window shows."""
        at, paths = window.strayed, window.paths
        followed = int(np.count_nonzero(window.followed))
        self.followed += followed
        lengths = np.bincount(paths.lengths, minlength=2)
        lengths[1] += followed - len(at)
        self.of_length = _sum(self.of_length, lengths)
        behind = np.flatnonzero(paths.crossed >= 0)
        self._behind.append(window.keys.of(at[behind]))
        self._empty.append(paths.crossed[behind])
        # A key that is not where its path leads (K3) says nothing of the length of paths.
        tables = window.view.groups.table[window.keys.rows[at]]
        large = (window.view.groups_of_tables[tables] > LONG_PATHS_FROM) & (paths.crossed < 0)
        lengths = np.where(large, paths.lengths, 0)
        if len(at) and lengths.max() > self.longest[0]:
            longest = lengths.argmax()
            self.longest = int(lengths[longest]), window.keys.of(at[longest : longest + 1])
        self._wanted.append(_wanted(window))
        self._crossing.append(window.crossing)

    @cached_property
    def crossed(self) -> HashedKeys:
        """Keys behind an empty slot."""
        return HashedKeys.joined(self._behind)

    @cached_property
    def crossed_at(self) -> Numbers:
        """Rows of the groups that have it, for each of those keys."""
        return joined(self._empty)

    @property
    def wanted(self) -> list[tuple[int, int, int]]:
        """Rows of groups that many paths begin at, how many do, and how many begin in the whole table."""
        return [(row, count, keys) for part in self._wanted for row, count, keys in part.tolist()]

    @property
    def needed(self) -> Numbers:
        """Rows of groups that paths go on from (see KeyWindow.crossing)."""
        return joined(self._crossing)


def _wanted(window: KeyWindow) -> Numbers:
    """(n, 3) rows of groups that many paths begin at, how many do, and how many begin in the whole table."""
    start, homes = window.groups.start, window.paths.homes
    # A group has room for some of them only, so that the others strayed.
    if np.bincount(homes - start).max(initial=0) <= UNLIKELY_HOME - GROUP_SLOTS:
        return np.empty((0, 3), np.int64)
    wanted = np.bincount(window.homes[window.followed] - start)
    rows = np.flatnonzero(wanted > UNLIKELY_HOME)
    keys = window.count(window.followed)[window.view.groups.table[rows + start]]
    return np.stack((rows + start, wanted[rows], keys), axis=1)


def _sum(one: Numbers, other: Numbers) -> Numbers:
    """The sum of two arrays, of which either may be longer."""
    long, short = (one, other) if len(one) > len(other) else (other, one)
    total = long.copy()
    total[: len(short)] += short
    return total


@dataclass
class Shown:
    """What the keys of all windows show: counts, and the few keys that something is wrong with.

    `checked` are keys with a known hash, `matched` those of them with the right control byte; `judged` are of groups
    that are judged. `wrong` are those that K1 reports, `misplaced` those that K2 does, `unknown` those without a hash.
    """

    lost: Mask
    paths: Paths
    checked: int = 0
    skipped: int = 0
    matched: int = 0
    judged: int = 0
    wrong: HashedKeys = field(default_factory=HashedKeys.none)
    misplaced: HashedKeys = field(default_factory=HashedKeys.none)
    unknown: HashedKeys = field(default_factory=HashedKeys.none)
    alike: HashedKeys = field(default_factory=HashedKeys.none)


class Proof:
    """What the keys of a snapshot show by their hashes, worked out once for all rules, window by window."""

    def __init__(self, view: MapView) -> None:
        self.view = view
        self.snapshot = view.snapshot

    @cached_property
    def functions(self) -> MemoryHash | None:
        """The process's hash functions, None when they are not known."""
        keys = self.snapshot.hash_keys
        return keys.functions(self.snapshot.release) if keys else None

    def window(self, rows: slice) -> KeyWindow:
        """The keys of some consecutive groups, hashed; the hash functions must be known."""
        assert self.functions is not None
        snapshot, groups = self.snapshot, self.view.groups.part(rows)
        hasher, full = Hasher(snapshot.types, snapshot.memory, self.functions), np.flatnonzero(groups.full)
        keys = hash_slots(hasher, snapshot.type, groups.keys, groups.ctrl, full, snapshot.header.seed)
        return KeyWindow(self.view, rows, keys.moved(rows.start))

    def windows(self) -> Iterator[KeyWindow]:
        """All keys."""
        return (self.window(rows) for rows in self.view.groups.windows())

    @cached_property
    def shown(self) -> Shown:
        """What all windows show."""
        count, repeats = len(self.view.tables), Repeats()
        shown = Shown(np.zeros(count, dtype=bool), Paths())
        wrong, misplaced, unknown = [], [], []
        for window in self.windows():
            keys, known = window.keys, window.keys.known
            checked = int(np.count_nonzero(known))
            shown.checked += checked
            shown.skipped += len(keys) - checked
            shown.matched += int(np.count_nonzero(window.h2_right & known))
            shown.judged += int(np.count_nonzero(window.judged))
            shown.lost |= window.lost
            wrong.append(keys.of(window.h2_wrong))
            misplaced.append(keys.of(window.table_wrong))
            unknown.append(keys.of(window.there & ~known))
            shown.paths.add(window)
            _compare(repeats, window)
        shown.wrong, shown.misplaced = HashedKeys.joined(wrong), HashedKeys.joined(misplaced)
        shown.unknown = HashedKeys.joined(unknown)
        shown.alike = repeats.all(self._led_to)
        if self._seed_wrong(shown):
            # What was said of places rests on hashes that are wrong.
            shown.lost, shown.paths = np.zeros(count, dtype=bool), Paths()
            shown.misplaced = HashedKeys.none()
        return shown

    def _led_to(self, hashes: Hashes) -> Iterator[HashedKeys]:
        """The keys at home in the windows that hashes lead to."""
        view = self.view
        if not view.tables_told:
            return
        wanted = np.zeros(len(view.tables), dtype=bool)
        wanted[view.tables.of_entry[entries_of(view, hashes)]] = True
        for rows in view.groups.windows():
            if wanted[view.groups.table[rows]].any():
                window = self.window(rows)
                yield window.keys.of(window.at_home)

    @staticmethod
    def _seed_wrong(shown: Shown) -> bool:
        return len(shown.wrong) > 1 and 2 * len(shown.wrong) > shown.judged

    @cached_property
    def seed_wrong(self) -> bool:
        """Whether most keys are wrong at once: then it is what they were hashed with, or no key lies there."""
        return self._seed_wrong(self.shown)

    @property
    def lost(self) -> Mask:
        """(t,) tables of which most keys are wrong, while those of others are right."""
        return self.shown.lost

    @property
    def paths(self) -> Paths:
        """The paths of all keys that are in the right table."""
        return self.shown.paths

    @property
    def checked(self) -> int:
        """Keys whose hash is known."""
        return self.shown.checked

    @cached_property
    def slots_at_fault(self) -> NDArray[np.int16]:
        """(g,) how many control bytes of each group may be wrong by their keys (K1, K3) or by rules G1 to G7."""
        found = self.view.slots_at_fault.copy()
        if self.functions is not None and not self.seed_wrong:
            np.add.at(found, self.shown.wrong.rows, 1)
            crossed = distinct(self.paths.crossed_at)
            found[crossed] = np.maximum(found[crossed], 1)
        return found

    def half_deleted(self, row: int, slot: int) -> tuple[Step, ...]:
        """Delete, if it may have cleared the key of a slot: keys with pointers are, before their control byte is."""
        snapshot = self.snapshot
        if snapshot.layout.indirect_key or not snapshot.types.key(snapshot.type).has_pointers:
            return ()
        cleared = not self.view.groups.keys[row, slot, :WORD].any()
        return (SMALL_DELETE if self.view.header.small else TABLE_DELETE) if cleared else ()

    def summary(self) -> HashProof:
        """Count what was proven."""
        if self.functions is None:
            reason = NO_ALGORITHM if self.snapshot.hash_keys else NO_KEYS
            return HashProof(0, 0, self.view.live_count, None, reason)
        shown = self.shown
        return HashProof(shown.checked, shown.matched, shown.skipped, self.functions.name, None)


def _compare(repeats: Repeats, window: KeyWindow) -> None:
    """Add the keys of a window whose control byte is right: any other was not stored there."""
    right = which(window.judged & window.h2_right)
    repeats.add(window.beginnings, (window.keys.of(right), window.at_home[right]))


def k1_control_bytes_are_of_the_hash(proof: Proof) -> Iterator[Finding]:
    """A control byte is the low 7 bits of its key's hash."""
    faults, source = proof.shown.wrong, "maps.Map.PutSlot"
    if proof.seed_wrong:
        yield Finding(
            rule="K1",
            message=f"{len(faults)} of {proof.shown.judged} keys do not hash to their control bytes: "
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
        faults = faults.of(~proof.lost[proof.view.groups.table[faults.rows]])
    for row, slot, seen, hash_ in faults.each():
        yield Finding(
            rule="K1",
            message="a key does not hash to its control byte",
            observed=f"{seen:#04x}",
            expected=f"{hash_ & int(H2_MASK):#04x} (hash {hash_:#018x})",
            source=source,
            where=proof.view.where(row, slot),
            in_flight=proof.half_deleted(row, slot) if len(faults) == 1 else (),
        )


def k2_keys_are_in_their_table(proof: Proof) -> Iterator[Finding]:
    """The upper bits of a key's hash lead to the directory entries of the table that it is in."""
    view, faults = proof.view, proof.shown.misplaced
    if not len(faults):
        return
    for (row, slot, _, hash_), entry in zip(faults.each(), entries_of(view, faults.hashes).tolist(), strict=True):
        right = view.number(int(view.tables.of_entry[entry]))
        yield Finding(
            rule="K2",
            message="a key is in another table than its hash says",
            observed=f"table {view.number(int(view.groups.table[row]))}",
            expected=f"table {right}, by directory entry {entry} (hash {hash_:#018x})",
            source="maps.Map.directoryIndex",
            where=view.where(row, slot),
            in_flight=proof.half_deleted(row, slot) if len(faults) == 1 else (),
        )


def k3_nothing_ends_a_path_before_its_key(proof: Proof) -> Iterator[Finding]:
    """No group on a key's path before its own has an empty slot, where a lookup would give up."""
    view, paths = proof.view, proof.paths
    # Where a control byte of that group is known to be wrong, this follows from it.
    faults = np.flatnonzero(~view.doubtful(paths.crossed_at))
    for row in distinct(paths.crossed_at[faults]).tolist():
        lost = paths.crossed.of(faults[paths.crossed_at[faults] == row])
        table, (number, _) = int(view.groups.table[row]), view.groups.place_of(row)
        key = int(lost.rows[0]), int(lost.columns[0])
        steps = proof.half_deleted(*key) if len(faults) == 1 else ()
        if view.table_being_cleared == table and number < view.cleared_before[table]:
            steps += CLEAR
        yield Finding(
            rule="K3",
            message=f"group {number} of table {view.number(table)} has an empty slot, "
            f"so {len(lost)} keys behind it are not found",
            observed=f"control bytes {view.groups.ctrl[row].tobytes().hex(' ')}",
            expected=f"no empty slot on the path to the key (hash {int(lost.hashes[0]):#018x})",
            source="maps.table.PutSlot, maps.table.pruneTombstones",
            where=view.where(*key) if len(lost) == 1 else view.where(row),
            in_flight=steps,
        )


def k6_paths_are_as_short_as_chance_makes_them(proof: Proof) -> Iterator[Finding]:
    """No path is longer, no home group more wanted, and no three hashes more equal than chance makes them."""
    yield from _long_paths(proof)
    yield from _crowded_homes(proof)
    yield from _equal_hashes(proof)


def _long_paths(proof: Proof) -> Iterator[Finding]:
    paths = proof.paths
    if not paths.followed:
        return
    most, (longest, key) = BEYOND_CHANCE + log2(paths.followed), paths.longest
    if longest >= most:
        yield _chosen(
            f"a lookup of a key visits {longest} groups: many keys share the hash bits that choose the group",
            f"{longest} groups",
            f"less than {most:.0f}",
            proof.view.where(int(key.rows[0]), int(key.columns[0])),
        )


def _crowded_homes(proof: Proof) -> Iterator[Finding]:
    view = proof.view
    for row, wanted, keys in proof.paths.wanted:
        table = int(view.groups.table[row])
        groups = int(view.groups_of_tables[table])
        chance = upper_tail(wanted, keys, 1 / groups) * groups
        if groups <= LONG_PATHS_FROM and chance < CHANCE_OF_HOME:
            yield _chosen(
                f"{wanted} of {keys} keys of a table have the same home group: their hashes are alike",
                f"{wanted} keys",
                f"about {keys / groups:.0f}",
                view.where(row),
            )


def _equal_hashes(proof: Proof) -> Iterator[Finding]:
    alike = proof.shown.alike
    if proof.seed_wrong or not len(alike):
        return
    hashes = np.sort(alike.hashes)
    same = np.flatnonzero(hashes[2:] == hashes[:-2])
    if len(same) and not proof.view.tables_exchanged:
        value = hashes[same[0]]
        found = alike.of(alike.hashes == value)
        yield _chosen(
            f"{len(found)} keys have one hash",
            f"hash {int(value):#018x}",
            "hashes that differ",
            proof.view.where(int(found.rows[0]), int(found.columns[0])),
        )


def _chosen(message: str, observed: str, expected: str, where: Where) -> Finding:
    return Finding("K6", message, observed, expected, "maps.probeSeq", where, severity="warning")
