"""Keys hashed in a second by each kernel, and strings put together, beside bare copies of the same bytes.

Run it with `python -m benchmarks.hashing [ROUNDS]`. Printed are medians, and ratios to numpy's copy of the keys of the
same round. Strings are hashed where they lie in one piece of memory, at random places.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from inspector.hashing.aes import AesHash
from inspector.hashing.fallback import FallbackHash
from inspector.hashing.hasher import MemoryHash
from inspector.hashing.kernel import aes_hash, kernel_name
from inspector.memory.joining import join, join_with_numpy

KEYS = 1_000_000
SPACE = 1 << 28
"""Bytes that strings are spread over."""

STRINGS = ((5, 16), (17, 64), (65, 200))
"""Shortest and longest of each kind of strings; all lengths between them are there."""


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    dice = np.random.default_rng(1)
    schedule = bytes(range(128))
    functions: dict[str, MemoryHash] = {f"AES, {kernel_name()}": aes_hash(schedule), "AES, numpy": AesHash(schedule)}
    functions["no AES, numpy"] = FallbackHash((1, 3, 5, 7), own_keys=True)
    seeds = np.full(KEYS, 12345, dtype=np.uint64)
    keys = dice.integers(0, 256, (KEYS, 8), dtype=np.uint8)
    for name, function in functions.items():
        _show("int64", name, rounds, keys.copy, partial(function.memhash64, keys, seeds))
    data = dice.integers(0, 256, SPACE, dtype=np.uint8)
    for shortest, longest in STRINGS:
        lengths = dice.integers(shortest, longest + 1, KEYS)
        starts = (dice.random(KEYS) * (SPACE - lengths)).astype(np.int64)
        bare = data[: int(lengths.sum())].copy
        for name, function in functions.items():
            work = partial(function.memhash_at, data, starts, lengths, seeds)
            _show(f"strings of {shortest} to {longest}", name, rounds, bare, work)
        joined = np.empty(int(lengths.sum()), np.uint8)
        at = np.cumsum(lengths) - lengths
        for name, way in {"joined": join, "joined, numpy": join_with_numpy}.items():
            put = partial(way, data, starts, lengths, joined, at)
            _show(f"strings of {shortest} to {longest}", name, rounds, bare, put)


def _show(keys: str, name: str, rounds: int, bare: Callable[[], object], work: Callable[[], object]) -> None:
    times, ratios = [], []
    for _ in range(rounds):
        copied = _timed(bare)
        times.append(_timed(work))
        ratios.append(times[-1] / copied)
    speed, ratio = KEYS / statistics.median(times) / 1e6, statistics.median(ratios)
    print(f"{keys:22} {name:16} {speed:8.2f} million keys/s   {ratio:7.1f} x the bare copy")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
