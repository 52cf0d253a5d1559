"""memhash without AES instructions (runtime/hash64.go), vectorised: after wyhash since 1.17, after xxhash before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.hashing.aes import Hashes
from inspector.hashing.ranges import Numbers, by_length
from inspector.memory.protocol import Rows

M5 = np.uint64(0x1D8E4E27C47D124F)
CONSTANTS = (0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3)
"""m1 to m4 of Go 1.17 to 1.22, where later releases use the process's own hashkey."""

OLD_CONSTANTS = tuple(
    np.uint64(m) for m in (0xEA38EC9079F01541, 0x2723A30D96DA1399, 0x83CF8EADF876D2D7, 0xDBCFC27B643DF693)
)
"""m1 to m4 until Go 1.16."""

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def mix(a: Hashes, b: Hashes) -> Hashes:
    """The high and the low half of the 128-bit product, joined by exclusive or."""
    a_low, a_high, b_low, b_high = a & LOW, a >> HALF, b & LOW, b >> HALF
    low, cross1, cross2, high = a_low * b_low, a_high * b_low, a_low * b_high, a_high * b_high
    carry = (low >> HALF) + (cross1 & LOW) + (cross2 & LOW)
    high = high + (cross1 >> HALF) + (cross2 >> HALF) + (carry >> HALF)
    mixed: Hashes = high ^ (a * b)
    return mixed


class FallbackHash:
    """The hash functions of one process: `hashkey` is its runtime.hashkey, `own_keys` as of Go 1.23."""

    name = "memhashFallback"

    def __init__(self, hashkey: tuple[int, int, int, int], own_keys: bool) -> None:
        if own_keys:
            self.first = np.uint64(hashkey[0])
            self.rest = [np.uint64(key) for key in hashkey[1:]]
        else:
            self.first = np.uint64(hashkey[0] ^ CONSTANTS[0])
            self.rest = [np.uint64(constant) for constant in CONSTANTS[1:]]

    def memhash32(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash32Fallback of rows of 4 bytes."""
        return self._short(_read(rows, 0, 4), seeds, 4)

    def memhash64(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash64Fallback of rows of 8 bytes."""
        return self._short(_read(rows, 0, 8), seeds, 8)

    def _short(self, a: Hashes, seeds: Hashes, size: int) -> Hashes:
        return mix(np.full(len(a), M5 ^ np.uint64(size)), mix(a ^ self.rest[0], a ^ seeds ^ self.first))

    def memhash(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhashFallback of rows of equal length, any length."""
        length = rows.shape[1]
        seeds = seeds ^ self.first
        if length == 0:
            return seeds
        if length < 4:
            parts = (rows[:, at].astype(np.uint64) for at in (0, length >> 1, length - 1))
            a = next(parts) | next(parts) << np.uint64(8) | next(parts) << np.uint64(16)
            b = np.zeros_like(a)
        elif length <= 8:
            width = 4 if length < 8 else 8
            a, b = _read(rows, 0, width), _read(rows, length - width, width)
        elif length <= 16:
            a, b = _read(rows, 0, 8), _read(rows, length - 8, 8)
        else:
            seeds = self._long(rows, seeds)
            a, b = _read(rows, length - 16, 8), _read(rows, length - 8, 8)
        return mix(np.full(len(a), M5 ^ np.uint64(length)), mix(a ^ self.rest[0], b ^ seeds))

    def memhash_at(self, data: Rows, starts: Numbers, lengths: Numbers, seeds: Hashes) -> Hashes:
        """runtime.memhashFallback of ranges of `data`; see AesHash.memhash_at."""
        return by_length(self.memhash, data, starts, lengths, seeds)

    def _long(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """More than 16 bytes: 48 at a time into three seeds, then 16 at a time into one."""
        left, at = rows.shape[1], 0
        if left > 48:
            lanes = [seeds, seeds, seeds]
            while left > 48:
                for i, key in enumerate(self.rest):
                    lanes[i] = mix(_read(rows, at + 16 * i, 8) ^ key, _read(rows, at + 16 * i + 8, 8) ^ lanes[i])
                at, left = at + 48, left - 48
            seeds = lanes[0] ^ lanes[1] ^ lanes[2]
        while left > 16:
            seeds = mix(_read(rows, at, 8) ^ self.rest[0], _read(rows, at + 8, 8) ^ seeds)
            at, left = at + 16, left - 16
        return seeds


class OldFallbackHash:
    """The hash functions of one process until Go 1.16: `hashkey` is its runtime.hashkey."""

    name = "memhashFallback"

    def __init__(self, hashkey: tuple[int, int, int, int]) -> None:
        self.keys = np.array(hashkey, np.uint64)

    def memhash32(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash32Fallback of rows of 4 bytes."""
        return self.memhash(rows, seeds)

    def memhash64(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhash64Fallback of rows of 8 bytes."""
        return self.memhash(rows, seeds)

    def memhash(self, rows: NDArray[np.uint8], seeds: Hashes) -> Hashes:
        """runtime.memhashFallback of rows of equal length, any length."""
        length = rows.shape[1]
        h = seeds + self.keys[:1] * np.uint64(length)
        if length > 32:
            h, rows = self._lanes(rows, h, seeds), rows[:, length // 32 * 32 :]
        for word in _tail_words(rows):
            h = _turn(h ^ word, 0)
        h = (h ^ h >> np.uint64(29)) * OLD_CONSTANTS[2]
        mixed: Hashes = h ^ h >> HALF
        return mixed

    def memhash_at(self, data: Rows, starts: Numbers, lengths: Numbers, seeds: Hashes) -> Hashes:
        """runtime.memhashFallback of ranges of `data`; see AesHash.memhash_at."""
        return by_length(self.memhash, data, starts, lengths, seeds)

    def _lanes(self, rows: NDArray[np.uint8], first: Hashes, seeds: Hashes) -> Hashes:
        """More than 32 bytes: four lanes, each with every fourth word of whole blocks of 32."""
        lanes = [first, *(seeds * key for key in self.keys[1:])]
        for at in range(0, rows.shape[1] // 32 * 32, 8):
            lane = at // 8 % 4
            lanes[lane] = _turn(lanes[lane] ^ _read(rows, at, 8), lane)
        joined: Hashes = lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3]
        return joined


def _turn(h: Hashes, lane: int) -> Hashes:
    """Multiply, rotate left by 31, multiply by the next constant."""
    product = h * OLD_CONSTANTS[lane]
    turned: Hashes = (product << np.uint64(31) | product >> np.uint64(33)) * OLD_CONSTANTS[(lane + 1) % 4]
    return turned


def _tail_words(rows: NDArray[np.uint8]) -> list[Hashes]:
    """The words that the last 32 bytes or fewer are mixed in as; short ones overlap."""
    length = rows.shape[1]
    if length == 0:
        return []
    if length < 4:
        first, middle, last = (rows[:, at].astype(np.uint64) for at in (0, length >> 1, length - 1))
        return [first ^ middle << np.uint64(8) ^ last << np.uint64(16)]
    if length <= 8:
        return [_read(rows, 0, 4) ^ _read(rows, length - 4, 4) << HALF]
    starts = (0, length - 8) if length <= 16 else (0, 8, length - 16, length - 8)
    return [_read(rows, at, 8) for at in starts]


def _read(rows: NDArray[np.uint8], at: int, size: int) -> Hashes:
    """r4 and r8: a little-endian number in each row."""
    return np.ascontiguousarray(rows[:, at : at + size]).view(f"<u{size}")[:, 0].astype(np.uint64)
