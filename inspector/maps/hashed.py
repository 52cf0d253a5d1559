"""The hashes of the keys of one map, window by window, and which keys of all windows have the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.gotypes.gotype import GoType
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import Hasher
from inspector.hashing.kernel import SLOTS
from inspector.hashing.repeated import Places, repeated
from inspector.maps.slots import Numbers, pick
from inspector.memory.protocol import Rows

Mask = NDArray[np.bool_]

SLOT_BITS = 3
"""Bits that number them."""


@dataclass(frozen=True)
class HashedKeys:
    """The keys of k slots, (k,) each: flat numbers, the tophash or control byte, hash, whether that is known."""

    places: Numbers
    seen: NDArray[np.uint8]
    hashes: Hashes
    known: Mask

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def rows(self) -> Numbers:
        """The bucket or group of each."""
        return self.places >> SLOT_BITS

    @property
    def columns(self) -> Numbers:
        """The number of each cell or slot in it."""
        return self.places & (SLOTS - 1)

    def of(self, which: Mask | Numbers | slice) -> HashedKeys:
        """Some of them."""
        if isinstance(which, np.ndarray) and which.dtype == np.bool_:
            # Few are chosen, as a rule: then four arrays need not be gone through.
            which = np.flatnonzero(which)
        return HashedKeys(*(getattr(self, part.name)[which] for part in fields(self)))

    def moved(self, rows: int) -> HashedKeys:
        """The same in rows that are numbered from elsewhere on."""
        return replace(self, places=self.places + rows * SLOTS) if rows else self

    def each(self) -> Iterator[tuple[int, int, int, int]]:
        """Row, column, tophash or control byte, and hash of each."""
        return zip(*(part.tolist() for part in (self.rows, self.columns, self.seen, self.hashes)), strict=True)

    @staticmethod
    def none() -> HashedKeys:
        """No key at all."""
        numbers, byte = np.empty(0, np.int64), np.empty(0, np.uint8)
        return HashedKeys(numbers, byte, np.empty(0, np.uint64), np.empty(0, bool))

    @staticmethod
    def joined(parts: Iterable[HashedKeys]) -> HashedKeys:
        """Those of several windows, in the order of rows, and each slot once."""
        every = [HashedKeys.none(), *(part for part in parts if len(part))]
        keys = HashedKeys(*(np.concatenate([getattr(part, each.name) for part in every]) for each in fields(every[0])))
        places = keys.places
        if (places[1:] > places[:-1]).all():
            return keys
        return keys.of(np.unique(places, return_index=True)[1])

    def among(self, others: HashedKeys) -> Mask:
        """(k,) which of them are in slots of others."""
        return np.isin(self.places, others.places)


def hash_slots(
    hasher: Hasher, map_type: GoType, slots: Rows, marks: NDArray[np.uint8], places: Numbers, seed: int
) -> HashedKeys:
    """Hash the keys of k slots, given by their flat numbers: of `slots` (n, 8, size) and `marks` (n, 8)."""
    done = hasher.in_slots(map_type, slots, places, seed)
    if done is None:
        done = hasher.map_keys(map_type, pick(slots, places >> SLOT_BITS, places & (SLOTS - 1)), seed)
    return HashedKeys(places, marks.reshape(-1)[places], done.hashes, done.known)


class Repeats:
    """Finds keys with the same hash, as equal keys have.

    A key is at home in the window that its hash leads to: others with that hash, as far as they are at home, are in
    the same window. Only those that are not have to be held against all windows.
    """

    def __init__(self) -> None:
        self._alike: list[HashedKeys] = []
        self._astray: list[HashedKeys] = []

    def add(self, places: Places, *parts: tuple[HashedKeys, Mask]) -> None:
        """Add the keys of a window, of one array or several: of each its keys, and which of them are at home.

        `places` gives the buckets or groups that hashes lead to, counted from the window's first. Keys whose hash is
        not known are left out.
        """
        every: list[HashedKeys] = []
        for keys, at_home in parts:
            home = keys.known & at_home
            if not home.all():
                self._astray.append(keys.of(keys.known & ~home))
                keys = keys.of(home)
            every.append(keys)
        hashes = every[0].hashes if len(every) == 1 else np.concatenate([keys.hashes for keys in every])
        some = repeated(hashes, places)
        if some.any():
            ends = np.cumsum([len(keys) for keys in every])[:-1]
            self._alike += [keys.of(which) for keys, which in zip(every, np.split(some, ends), strict=True)]

    def all(self, look_again: Callable[[Hashes], Iterator[HashedKeys]]) -> HashedKeys:
        """All keys of which another has the same hash.

        `look_again` gives the keys at home in the windows that hashes lead to, and may give others.
        """
        astray, alike = HashedKeys.joined(self._astray), self._alike
        if not len(astray):
            return HashedKeys.joined(alike)
        found = [keys.of(np.isin(keys.hashes, astray.hashes)) for keys in look_again(astray.hashes)]
        among = repeated(astray.hashes) | np.isin(astray.hashes, HashedKeys.joined(found).hashes)
        return HashedKeys.joined([*alike, *found, astray.of(among)])
