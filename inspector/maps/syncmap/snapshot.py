"""Copying one sync.Map while its process stands still, and judging it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError, NotReadInTime
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.scalars import interface_header
from inspector.goruntime.syncmap import CHILDREN_BITS, LEVELS
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Reach
from inspector.gotypes.syncmaps import map_beneath
from inspector.gotypes.table import TypeTable
from inspector.hashing.hasher import Hasher
from inspector.hashing.keys import HashKeys
from inspector.maps.decoding import SlotDecoder
from inspector.maps.family import Account, Entry, Slots, Snapshot, Source
from inspector.maps.findings import NOTHING_HASHED, Finding, HashProof, Judgement, Verdict
from inspector.maps.judging import Explanation, judged
from inspector.maps.liverows import LiveRows
from inspector.maps.strings import string_bytes
from inspector.maps.syncmap.account import account_of
from inspector.maps.syncmap.contents import Contents, no_contents
from inspector.maps.syncmap.header import SyncHeader, header_size, read_header
from inspector.maps.syncmap.pair import read_pair
from inspector.maps.syncmap.places import Where, Wheres
from inspector.maps.syncmap.trie import read_trie
from inspector.maps.values import Values
from inspector.memory.counting import CountingMemory
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import RegionMap, Rows

WORST: tuple[Verdict, ...] = ("inconsistent", "unreadable", "not-read", "write-in-progress", "consistent")


@dataclass(frozen=True)
class SyncSnapshot:
    """Everything of one sync.Map, copied: immutable, picklable, independent of the target. See Snapshot."""

    address: int
    type: GoType
    types: TypeTable
    header: SyncHeader
    contents: Contents
    memory: FrozenMemory
    regions: RegionMap
    hash_keys: HashKeys | None
    late: tuple[str, ...]
    bytes_read: int

    def judge(self, incomplete: bool = False) -> Judgement:
        """See Snapshot.judge. A sync.Map is changed without a lock that would show: no half-done step is a fault.

        The two maps of before Go 1.24 are judged by the rules of maps.
        """
        where = Where(address=self.address)
        own = [list(self.contents.findings), list(self._misplaced())]
        judgement = judged(own, _unexplained, self._proof, where, incomplete, bool(self.late))
        inner = [(part, snapshot.judge(incomplete)) for part, snapshot in self.contents.maps]
        findings = [
            replace(finding, message=f"in the {part} map: {finding.message}")
            for part, each in inner
            for finding in each.findings
        ]
        verdicts = [judgement.verdict, *(each.verdict for _, each in inner)]
        proofs = [judgement.proof, *(each.proof for _, each in inner)]
        return replace(
            judgement,
            verdict=min(verdicts, key=WORST.index),
            findings=(*judgement.findings, *findings),
            proof=next((proof for proof in proofs if proof.algorithm or proof.reason), NOTHING_HASHED),
        )

    def shows_the_same(self, later: Snapshot) -> bool:
        """See Snapshot.shows_the_same."""
        return (
            isinstance(later, SyncSnapshot)
            and (self.address, self.header) == (later.address, later.header)
            and self.contents.same_keys(later.contents)
        )

    def account(self) -> Account:
        """See Snapshot.account."""
        return account_of(self.types.release, self.header, self.contents, self.type_counts)

    def row(self) -> Account:
        """See Snapshot.row."""
        return self.account()

    def values(self) -> tuple[Values, Values]:
        """See Snapshot.values: interfaces."""
        any_type, known = self.types.key(self.type), np.ones(len(self.contents), bool)
        return Values(any_type, self.contents.keys, known), Values(any_type, self.contents.values, known)

    def entries(self, chosen: NDArray[np.int64] | None = None) -> Iterator[Entry]:
        """See Snapshot.entries: in the order of Range for a trie; those of the read map first for two maps."""
        decoder, contents = SlotDecoder(self.types, self.type, self.memory), self.contents
        for at in range(len(contents)) if chosen is None else chosen.tolist():
            key, value = decoder.key(contents.keys[at].tobytes()), decoder.elem(contents.values[at].tobytes())
            yield Entry(key, value, contents.where(at))

    def live(self) -> Iterator[LiveRows]:
        """See Snapshot.live: the slots are interfaces."""
        numbers = np.arange(len(self.contents))
        keys, values = self.contents.keys[:, None], self.contents.values[:, None]
        yield LiveRows(keys, values, numbers, np.zeros_like(numbers), self._wheres)

    def _wheres(self, rows: NDArray[np.int64], _: NDArray[np.int64]) -> Wheres:
        return Wheres([self.contents.where(at) for at in rows.tolist()], self.contents.addresses[rows])

    def slots(self) -> Slots:
        """See Snapshot.slots."""
        return Slots(self.contents.key_places, self.contents.key_places, self.contents.value_places)

    def string_bytes(self) -> int:
        """See Snapshot.string_bytes: those in interfaces are not counted, as for any map."""
        any_type = self.types.key(self.type)
        return string_bytes(
            self.types, self.regions, [(any_type, self.contents.keys), (any_type, self.contents.values)]
        )

    def proven_without_keys(self) -> bool:
        """See Snapshot.proven_without_keys: a trie by the hash function that it was given, or by what led to it."""
        return self.header.is_trie and not self.contents.findings

    @cached_property
    def type_counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many keys, and how many values, are of each type; the most frequent first."""
        return self._types_of(self.contents.keys), self._types_of(self.contents.values)

    def _types_of(self, rows: Rows) -> dict[str, int]:
        tabs = np.ascontiguousarray(rows).view(dtype_of(interface_header))[:, 0]["tab"]
        found: Counter[str] = Counter()
        for tab, count in zip(*(part.tolist() for part in np.unique(tabs, return_counts=True)), strict=True):
            try:
                found[self.types.get(tab).name if tab else "nil"] += count
            except InspectError:
                found["?"] += count
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    # Where keys belong

    @cached_property
    def _hashed(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which keys have a hash that is known, and which of them lie where it leads (HashTrieMap.Load)."""
        contents, beneath = self.contents, map_beneath(self.types)
        functions = self.hash_keys.functions(self.types.release) if self.hash_keys else None
        if not self.header.is_trie or beneath is None or functions is None or not len(contents):
            none = np.zeros(len(contents), dtype=bool)
            return none, none
        hashed = Hasher(self.types, self.memory, functions).map_keys(beneath, contents.keys, self.header.seed)
        shift = (CHILDREN_BITS * (LEVELS - contents.depth)).astype(np.uint64)
        return hashed.known, hashed.known & (hashed.hashes >> shift == contents.prefix)

    def _misplaced(self) -> Iterator[Finding]:
        known, right = self._hashed
        for at in np.flatnonzero(known & ~right).tolist():
            yield Finding(
                "S4", "a key does not lie on the path that its hash selects", "another path", "the path of its hash",
                "internal/sync.(*HashTrieMap).Load", self.contents.where(at),
            )  # fmt: skip

    def _proof(self) -> HashProof:
        if not self.header.is_trie or not len(self.contents):
            return NOTHING_HASHED
        functions = self.hash_keys.functions(self.types.release) if self.hash_keys else None
        if functions is None:
            return HashProof(0, 0, len(self.contents), None, "the hash keys of the process were not found")
        known, right = self._hashed
        return HashProof(int(known.sum()), int(right.sum()), int((~known).sum()), functions.name, None)


def take_snapshot(source: Source, address: int, go_type: GoType, shown: int | None) -> SyncSnapshot:
    """See Reader.take_snapshot."""
    reader = CountingMemory(source.memory)
    source = replace(source, memory=reader)
    header = read_header(reader, address, source.release)
    frozen, late = FrozenMemory(), []
    try:
        contents = read_trie(source, header) if header.is_trie else read_pair(source, header, whole=True)
    except NotReadInTime:
        sizes = {"nodes": 0, "entries": 0, "maps": 0, "header": header_size(source.release)}
        contents, late = no_contents(sizes), ["its entries"]
    try:
        _copy_pointed_to(source, go_type, frozen, contents, shown)
    except NotReadInTime:
        late.append("what keys and values lead to")
    return SyncSnapshot(
        address, go_type, source.types, replace(header, count=len(contents)), contents, frozen, source.regions,
        source.hash_keys, tuple(late), reader.count,
    )  # fmt: skip


def _copy_pointed_to(
    source: Source, go_type: GoType, frozen: FrozenMemory, contents: Contents, shown: int | None
) -> None:
    reach = Reach(source.types, source.memory, source.regions, frozen)
    any_type = source.types.key(go_type)
    reach.copy(any_type, np.ascontiguousarray(contents.keys), KEY_LIMITS)
    reach.copy(any_type, np.ascontiguousarray(contents.keys[:shown]), VALUE_LIMITS)
    reach.copy(any_type, np.ascontiguousarray(contents.values[:shown]), VALUE_LIMITS)


def _unexplained(errors: list[Finding]) -> Explanation | None:
    return None
