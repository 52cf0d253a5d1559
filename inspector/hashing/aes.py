"""memhash with AES instructions (runtime/asm_amd64.s: aeshashbody, memhash32, memhash64), vectorised.

A state is 16 bytes, kept as four columns of 32 bits: an array of shape (4, n). One AESENC is a look-up of
each byte in a table for its row (SubBytes, ShiftRows and MixColumns in one) and an exclusive or.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

State: TypeAlias = NDArray[np.uint32]
Hashes: TypeAlias = NDArray[np.uint64]

SCHEDULE_SIZE = 128
"""Bytes of runtime.aeskeysched: eight keys of 16 bytes."""

BLOCK = 16
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

    def memhash(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash (and strhash) of rows of equal length, any length."""
        out = np.empty(len(rows), dtype=np.uint64)
        lanes = self._lanes(rows.shape[1])
        batch = BATCH // lanes
        for at in range(0, len(rows), batch):
            part = slice(at, at + batch)
            out[part] = _low64(self._body(rows[part], seeds[part], lanes))
        return out

    def _lanes(self, length: int) -> int:
        """How many lanes of 16 bytes aeshashbody works on for a length."""
        return 1 if length <= BLOCK else 2 if length <= 32 else 4 if length <= 64 else 8

    def _body(self, rows: NDArray[np.uint8], seeds: Hashes, lanes: int) -> State:
        """aeshashbody: seeds scrambled with the length, then one, two, four or eight lanes of 16 bytes.

        The lanes lie side by side in one state, all keys' first lanes before all keys' second ones: for a
        single key the number of numpy calls is what counts.
        """
        count, length = rows.shape
        unscrambled = np.empty((4, count), dtype=np.uint32)
        unscrambled[0] = seeds & np.uint64(0xFFFFFFFF)
        unscrambled[1] = seeds >> np.uint64(32)
        unscrambled[2:] = (length & 0xFFFF) * 0x10001  # 16 bits of length, four times
        # The first key scrambles the seed once; each further lane has a key of its own.
        state = _self(_side_by_side([unscrambled ^ key for key in self.keys[:lanes]]))
        if length == 0:
            return _self(state)
        if length <= BLOCK:
            padded = np.zeros((count, BLOCK), dtype=np.uint8)
            padded[:, :length] = rows
            return self._scrambled(_of_bytes(padded) ^ state, 1)
        if length > 128:
            return self._long(rows, state)
        half = lanes // 2
        starts = [BLOCK * i for i in range(half)] + [length - BLOCK * (half - i) for i in range(half)]
        return self._scrambled(_blocks(rows, starts) ^ state, lanes)

    def _long(self, rows: NDArray[np.uint8], seeds: State) -> State:
        """More than 128 bytes: begin with the last 128, then take in the others from the start."""
        length = rows.shape[1]
        state = _blocks(rows, range(length - 128, length, BLOCK)) ^ seeds
        for at in range(0, (length - 1) // 128 * 128, 128):
            state = aesenc(_self(state), _blocks(rows, range(at, at + 128, BLOCK)))
        return self._scrambled(state, 8)

    def _scrambled(self, state: State, lanes: int) -> State:
        """Three more rounds for each lane, then all lanes in one."""
        done = _self(_self(_self(state)))
        total: State = np.bitwise_xor.reduce(done.reshape(4, lanes, -1), axis=1)
        return total


def _side_by_side(states: list[State]) -> State:
    return states[0] if len(states) == 1 else np.concatenate(states, axis=1)


def _blocks(rows: NDArray[np.uint8], starts: Iterable[int]) -> State:
    """The 16 bytes of each row at each of the starts, as one state of lanes side by side."""
    return _side_by_side([_of_bytes(rows[:, at : at + BLOCK]) for at in starts])
