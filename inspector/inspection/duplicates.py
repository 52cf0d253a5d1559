"""Strings that maps hold more than once, and what keeping each text once would give back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.gotypes.reach import MAX_STRING
from inspector.gotypes.stringheaders import string_headers
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import GoString
from inspector.inspection.one_map import Inspection
from inspector.maps.values import Values
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Memory, RegionMap
from inspector.memory.sets import distinct

BYTES_AT_ONCE = 1 << 24
READ_AGAIN = 2
"""How many times the bytes of all mapped memory are read at most: strings that overlap could ask for any number."""

DIGEST = 16

Pairs = np.dtype([("data", np.uint64), ("len", np.int64)])
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Duplicate:
    """A text that is held at `copies` addresses, and `times` in all."""

    text: GoString
    times: int
    copies: int

    @property
    def gives_back(self) -> int:
        """Bytes of all copies but one."""
        return (self.copies - 1) * self.text.length


@dataclass(frozen=True)
class Duplicates:
    """All texts that are held at two addresses or more: `top` are those that would give back most.

    `strings` counts those that were found in keys and elements, `addresses` where they lie. `texts`, `copies` and
    `bytes` are those of all texts that are held more than once. `not_read` counts strings that could not be read.
    """

    top: tuple[Duplicate, ...]
    strings: int
    addresses: int
    texts: int
    copies: int
    bytes: int
    not_read: int


@dataclass
class StringCounter:
    """Counts the strings in values that are given part by part; they are read from `memory` in the end."""

    types: TypeTable
    memory: Memory
    regions: RegionMap
    _parts: list[NDArray[np.void]] = field(default_factory=list)
    _times: list[Numbers] = field(default_factory=list)

    def add(self, values: Values) -> None:
        """Note the strings in some values."""
        rows = values.rows[values.known]
        for headers in string_headers(self.types, self.memory, self.regions, values.type, rows):
            pairs = np.empty(len(headers), Pairs)
            pairs["data"], pairs["len"] = headers["data"], headers["len"]
            # One string may be there a million times.
            pairs, times = np.unique(pairs[pairs["len"] > 0], return_counts=True)
            self._parts.append(pairs)
            self._times.append(times)

    def duplicates(self, most: int | None) -> Duplicates:
        """Read the strings and find those that are the same; `most` of them are kept."""
        pairs, times = self._all()
        strings, addresses = int(times.sum()), len(distinct(pairs["data"]))
        readable = self.regions.contains(pairs["data"], pairs["len"].astype(np.uint64))
        not_read = int(np.count_nonzero(~readable))
        pairs, times = pairs[readable], times[readable]
        _, which, many = np.unique(pairs["len"], return_inverse=True, return_counts=True)
        # What is as long as no other string is the same as none.
        order = np.flatnonzero(many[which] > 1)
        order = order[np.argsort(pairs["len"][order], kind="stable")]
        mapped = int((self.regions.ends - self.regions.starts).sum())
        affordable = np.cumsum(pairs["len"][order]) <= READ_AGAIN * mapped
        not_read += int(np.count_nonzero(~affordable))
        pairs, times = pairs[order[affordable]], times[order[affordable]]
        found = _Found()
        for length in distinct(pairs["len"]).tolist():
            here = pairs["len"] == length
            not_read += self._of_length(length, pairs["data"][here], times[here], found)
        found.sort()
        top = tuple(self._duplicate(found, at) for at in range(len(found.data))[:most])
        copies = np.array(found.copies, np.int64)
        given_back = int(((copies - 1) * np.array(found.length, np.int64)).sum())
        return Duplicates(top, strings, addresses, len(found.data), int(copies.sum()), given_back, not_read)

    def _all(self) -> tuple[NDArray[np.void], Numbers]:
        """Each string once, and how often it is there."""
        if not self._parts:
            return np.empty(0, Pairs), np.empty(0, np.int64)
        pairs, which = np.unique(np.concatenate(self._parts), return_inverse=True)
        times = np.zeros(len(pairs), np.int64)
        np.add.at(times, which, np.concatenate(self._times))
        return pairs, times

    def _of_length(self, length: int, data: Addresses, times: Numbers, found: _Found) -> int:
        """Find the texts of one length that are at several addresses; returns how many could not be read."""
        digests = np.zeros((len(data), DIGEST), np.uint8)
        known = np.zeros(len(data), bool)
        step = max(1, BYTES_AT_ONCE // length)
        for at in range(0, len(data), step):
            rows, ok = gather(self.memory, self.regions, data[at : at + step], length)
            known[at : at + step] = ok
            for number in np.flatnonzero(ok).tolist():
                digest = hashlib.blake2b(rows[number].data, digest_size=DIGEST).digest()
                digests[at + number] = np.frombuffer(digest, np.uint8)
        data, times = data[known], times[known]
        keys = np.ascontiguousarray(digests[known]).view(f"V{DIGEST}").reshape(-1)
        _, first, which, copies = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        in_all = np.zeros(len(first), np.int64)
        np.add.at(in_all, which, times)
        for text in np.flatnonzero(copies > 1).tolist():
            found.add(int(data[first[text]]), length, int(in_all[text]), int(copies[text]))
        return int(np.count_nonzero(~known))

    def _duplicate(self, found: _Found, at: int) -> Duplicate:
        length = found.length[at]
        text = GoString(bytes(self.memory.read(found.data[at], min(length, MAX_STRING))), length)
        return Duplicate(text, found.times[at], found.copies[at])


class _Found:
    """Texts that are held more than once, as columns: there may be millions."""

    def __init__(self) -> None:
        self.data: list[int] = []
        self.length: list[int] = []
        self.times: list[int] = []
        self.copies: list[int] = []

    def add(self, data: int, length: int, times: int, copies: int) -> None:
        self.data.append(data)
        self.length.append(length)
        self.times.append(times)
        self.copies.append(copies)

    def sort(self) -> None:
        """Put those first that would give back most; of equal ones the one at the lowest address."""
        given_back = (np.array(self.copies, np.int64) - 1) * np.array(self.length, np.int64)
        order = np.lexsort((np.array(self.data, np.uint64), -given_back)).tolist()
        for name, column in vars(self).items():
            setattr(self, name, [column[at] for at in order])


def duplicates_of(inspection: Inspection, most: int | None) -> Duplicates:
    """The strings that one map holds more than once; it has to be inspected with all of its entries."""
    snapshot = inspection.snapshot
    if snapshot is None:
        return Duplicates((), 0, 0, 0, 0, 0, 0)
    counter = StringCounter(snapshot.types, snapshot.memory, snapshot.regions)
    for values in snapshot.values():
        counter.add(values)
    return counter.duplicates(most)
