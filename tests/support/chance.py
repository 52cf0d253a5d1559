"""Chance that can be repeated: its seed is printed, and pytest shows what was printed beside a failure."""

from __future__ import annotations

import random


def seeded(*words: object) -> random.Random:
    """A generator that gives the same numbers for the same words."""
    seed = " ".join(map(str, words))
    print(f"seed {seed!r}")
    return random.Random(seed)


def unforeseen() -> random.Random:
    """A generator with a new seed each time: `seeded` with the number that is printed repeats it."""
    return seeded(random.SystemRandom().randrange(1 << 32))
