"""Keys hashed in a second, beside bare copies of the same bytes in the same run.

Run it with `python -m benchmarks.hashing [ROUNDS]`. Printed are medians, and ratios to numpy's copy of the
keys of the same round.
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

KEYS = 1_000_000


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    dice = np.random.default_rng(1)
    functions = (AesHash(bytes(range(128))), FallbackHash((1, 3, 5, 7), own_keys=True))
    seeds = np.full(KEYS, 12345, dtype=np.uint64)
    for name, size in (("int64", 8), ("16-byte strings", 16), ("64-byte strings", 64)):
        keys = dice.integers(0, 256, (KEYS, size), dtype=np.uint8)
        for function in functions:
            hash_all = function.memhash64 if size == 8 else function.memhash
            times, ratios = [], []
            for _ in range(rounds):
                bare = _timed(keys.copy)
                times.append(_timed(partial(hash_all, keys, seeds)))
                ratios.append(times[-1] / bare)
            speed = KEYS / statistics.median(times)
            ratio = statistics.median(ratios)
            print(f"{name:16} {function.name:16} {speed / 1e6:6.2f} million keys/s   {ratio:6.1f} x the bare copy")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
