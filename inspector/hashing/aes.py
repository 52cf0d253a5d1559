"""memhash with AES instructions (runtime/asm_amd64.s: aeshashbody, memhash32, memhash64), vectorised.

A state is 16 bytes, kept as four columns of 32 bits: an array of shape (4, n). One AESENC is a look-up of
each byte in a table for its row (SubBytes, ShiftRows and MixColumns in one) and an exclusive or.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import grouped
from inspector.hashing.ranges import Numbers, check_ranges, windows
from inspector.memory.protocol import Rows

State: TypeAlias = NDArray[np.uint32]
Hashes: TypeAlias = NDArray[np.uint64]

SCHEDULE_SIZE = 128
"""Bytes of runtime.aeskeysched: eight keys of 16 bytes."""

BLOCK = 16

LONG = 128
"""Keys of more bytes are hashed so many at a time."""

BATCH = 1 << 14
"""Keys hashed at a time: their states stay in the processor's cache."""


def _double(x: int) -> int:
    """Multiply by x in GF(2^8) with AES's polynomial."""
    return (x << 1) ^ (0x11B if x & 0x80 else 0)


def _sbox() -> list[int]:
    """AES's S-box: the inverse in GF(2^8), then the affine transformation (FIPS 197, 5.1.1)."""
    power, log = [0] * 255, [0] * 256
    x = 1
    for exponent in range(255):
        power[exponent], log[x] = x, exponent
        x ^= _double(x)  # 3 generates the field's multiplicative group
    box = []
    for value in range(256):
        inverse = power[(255 - log[value]) % 255] if value else 0
        turned = inverse
        for shift in range(1, 5):
            turned ^= inverse << shift | inverse >> (8 - shift)
        box.append((turned ^ 0x63) & 0xFF)
    return box


def _table() -> NDArray[np.uint32]:
    """For each row of the state and each byte: its S-box value, spread over its column by MixColumns."""
    first = []
    for value in _sbox():
        two = _double(value)
        first.append(two | value << 8 | value << 16 | (two ^ value) << 24)
    rows = [np.array(first, dtype=np.uint32)]
    for _ in range(3):
        rows.append(rows[-1] << np.uint32(8) | rows[-1] >> np.uint32(24))
    return np.concatenate(rows)


TABLE = _table()
ROWS = np.repeat(np.arange(4), 4)
COLUMNS = (np.tile(np.arange(4), 4) + ROWS) % 4
"""Where each look-up's byte lies: four columns for each row, and ShiftRows has turned row r by r columns."""

AT = (ROWS * 256).reshape(16, 1)


def aesenc(state: State, key: State) -> State:
    """One AESENC: a round of AES, then an exclusive or with the key, of shape (4, n) or (4, 1).

    All sixteen look-ups are one, since for a single key the number of numpy calls is what counts.
    """
    octets = np.ascontiguousarray(state).view(np.uint8).reshape(4, -1, 4)
    looked_up = TABLE[octets[COLUMNS, :, ROWS] + AT].reshape(4, 4, -1)
    out: State = looked_up[0] ^ looked_up[1]
    out ^= looked_up[2]
    out ^= looked_up[3]
    out ^= key
    return out


def _self(state: State) -> State:
    return aesenc(state, state)


def _low64(state: State) -> Hashes:
    low: Hashes = state[0].astype(np.uint64) | state[1].astype(np.uint64) << np.uint64(32)
    return low


def _of_bytes(rows: NDArray[np.uint8]) -> State:
    """Rows of 16 bytes as states."""
    return np.ascontiguousarray(np.ascontiguousarray(rows).view("<u4").T)


class AesHash:
    """The hash functions of one process: `schedule` is its runtime.aeskeysched, 128 bytes."""

    name = "aeshash"

    def __init__(self, schedule: bytes) -> None:
        if len(schedule) != SCHEDULE_SIZE:
            raise ValueError(f"aeskeysched has {SCHEDULE_SIZE} bytes, not {len(schedule)}")
        self.keys = [np.frombuffer(schedule, "<u4", 4, at).reshape(4, 1) for at in range(0, SCHEDULE_SIZE, BLOCK)]

    def memhash32(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash32 of rows of 4 bytes."""
        return self._short(np.ascontiguousarray(rows).view("<u4")[:, 0].astype(np.uint64), seeds)

    def memhash64(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash64 of rows of 8 bytes."""
        return self._short(np.ascontiguousarray(rows).view("<u8")[:, 0], seeds)

    def _short(self, values: Hashes, seeds: Hashes) -> Hashes:
        out = np.empty(len(values), dtype=np.uint64)
        for at in range(0, len(values), BATCH):
            part = slice(at, at + BATCH)
            state = np.empty((4, len(values[part])), dtype=np.uint32)
            for column, words in ((0, seeds[part]), (2, values[part])):
                state[column] = words & np.uint64(0xFFFFFFFF)
                state[column + 1] = words >> np.uint64(32)
            for key in self.keys[:3]:
                state = aesenc(state, key)
            out[part] = _low64(state)
        return out

    def memhash(self, rows: Rows, seeds: Hashes) -> Hashes:
        """runtime.memhash (and strhash) of rows of equal length, any length."""
        out = np.empty(len(rows), dtype=np.uint64)
        length = rows.shape[1]
        batch = BATCH // lanes_of(length)
        for at in range(0, len(rows), batch):
            part = slice(at, at + batch)
            out[part] = _low64(self._body(_OfRows(rows[part]), seeds[part], length, length))
        return out

    def memhash_at(self, data: NDArray[np.uint8], starts: Numbers, lengths: Numbers, seeds: Hashes) -> Hashes:
        """runtime.memhash (and strhash) of k ranges of `data` (n,) uint8: `starts`, `lengths` and `seeds` are (k,).

        Those with equally many blocks are hashed together, however long each is. Raises ValueError where a range does
        not lie in the data.
        """
        check_ranges(data, starts, lengths)
        out = np.empty(len(starts), dtype=np.uint64)
        for _, group in grouped(_classes(lengths)):
            longest = int(lengths[group[0]])
            batch = BATCH // lanes_of(longest)
            for at in range(0, len(group), batch):
                some = group[at : at + batch]
                ranges = _OfRanges(data, starts[some], lengths[some])
                out[some] = _low64(self._body(ranges, seeds[some], lengths[some], longest))
        return out

    def _body(self, keys: _Blocks, seeds: Hashes, lengths: int | Numbers, like: int) -> State:
        """aeshashbody: seeds scrambled with the length, then one, two, four or eight lanes of 16 bytes.

        `lengths` may differ as long as all take the way of the length `like`. The lanes lie side by side in one state,
        all keys' first lanes before all keys' second ones: for a single key the number of numpy calls is what counts.
        """
        lanes = lanes_of(like)
        unscrambled = np.empty((4, len(seeds)), dtype=np.uint32)
        unscrambled[0] = seeds & np.uint64(0xFFFFFFFF)
        unscrambled[1] = seeds >> np.uint64(32)
        unscrambled[2:] = (lengths & 0xFFFF) * 0x10001  # 16 bits of length, four times
        # The first key scrambles the seed once; each further lane has a key of its own.
        state = _self(_side_by_side([unscrambled ^ key for key in self.keys[:lanes]]))
        if like == 0:
            return _self(state)
        if like <= BLOCK:
            return self._scrambled(keys.padded() ^ state, 1)
        if like > LONG:
            return self._long(keys, state, like)
        half = lanes // 2
        first, last = [BLOCK * i for i in range(half)], [BLOCK * (half - i) for i in range(half)]
        return self._scrambled(_side_by_side([keys.from_start(first), keys.from_end(last)]) ^ state, lanes)

    def _long(self, keys: _Blocks, seeds: State, like: int) -> State:
        """More than 128 bytes: begin with the last 128, then take in the others from the start."""
        state = keys.from_end(range(LONG, 0, -BLOCK)) ^ seeds
        for at in range(0, (like - 1) // LONG * LONG, LONG):
            state = aesenc(_self(state), keys.from_start(range(at, at + LONG, BLOCK)))
        return self._scrambled(state, 8)

    def _scrambled(self, state: State, lanes: int) -> State:
        """Three more rounds for each lane, then all lanes in one."""
        done = _self(_self(_self(state)))
        total: State = np.bitwise_xor.reduce(done.reshape(4, lanes, -1), axis=1)
        return total


def lanes_of(length: int) -> int:
    """How many lanes of 16 bytes aeshashbody works on for a length."""
    return 1 if length <= BLOCK else 2 if length <= 32 else 4 if length <= 64 else 8


def _classes(lengths: Numbers) -> NDArray[np.uint16 | np.int64]:
    """Equal numbers for lengths that aeshashbody takes the same way with: so many lanes, so many times 128 bytes."""
    ends = np.array([0, BLOCK, 32, 64, LONG])
    # Few bytes a number, so that sorting them is quick.
    most = int(lengths.max(initial=0)) // LONG + len(ends)
    times = (np.maximum(lengths, 1) - 1) // LONG
    return np.asarray(
        (np.searchsorted(ends, np.minimum(lengths, LONG)) + times).astype(np.uint16 if most < 1 << 16 else np.int64)
    )


class _Blocks(Protocol):
    """Keys that aeshashbody takes the same way with; blocks of 16 bytes of them, as one state of lanes side by side."""

    def padded(self) -> State:
        """All of each key, up to 16 bytes, followed by zeros."""
        ...

    def from_start(self, offsets: Iterable[int]) -> State:
        """The blocks that begin so many bytes behind the start of each key."""
        ...

    def from_end(self, offsets: Iterable[int]) -> State:
        """The blocks that begin so many bytes before the end of each key."""
        ...


@dataclass(frozen=True)
class _OfRows:
    """Keys that are rows of equal length."""

    rows: Rows

    def padded(self) -> State:
        padded = np.zeros((len(self.rows), BLOCK), dtype=np.uint8)
        padded[:, : self.rows.shape[1]] = self.rows
        return _of_bytes(padded)

    def from_start(self, offsets: Iterable[int]) -> State:
        return _side_by_side([_of_bytes(self.rows[:, at : at + BLOCK]) for at in offsets])

    def from_end(self, offsets: Iterable[int]) -> State:
        return self.from_start([self.rows.shape[1] - at for at in offsets])


PADDING = np.where(np.arange(BLOCK) < np.arange(BLOCK + 1)[:, None], np.uint8(0xFF), np.uint8(0))
"""For each length up to 16 which bytes of a block are the key's."""


@dataclass(frozen=True)
class _OfRanges:
    """Keys that are ranges of one piece of memory."""

    data: NDArray[np.uint8]
    starts: Numbers
    lengths: Numbers

    def padded(self) -> State:
        return _of_bytes(windows(self.data, self.starts, BLOCK) & PADDING[self.lengths])

    def from_start(self, offsets: Iterable[int]) -> State:
        return _side_by_side([_of_bytes(windows(self.data, self.starts + at, BLOCK)) for at in offsets])

    def from_end(self, offsets: Iterable[int]) -> State:
        ends = self.starts + self.lengths
        return _side_by_side([_of_bytes(windows(self.data, ends - at, BLOCK)) for at in offsets])


def _side_by_side(states: list[State]) -> State:
    return states[0] if len(states) == 1 else np.concatenate(states, axis=1)
