"""Many small maps of one type judged at once: what both families need for that.

Most maps of a large program are small. To ask each rule of one map after the other takes about a millisecond a map. A
family's `crowd` asks all of them of thousands of maps together. It only says which maps are sound; the rules themselves
say what is wrong with any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.gotypes.dangling import Dangling
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import Hasher
from inspector.maps.family import Mask, Source
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Rows

BUDGET = 1 << 26
LONGEST = 1 << 16
"""Bytes that keys of a crowd lead to, all together and in one string: maps with more are judged one by one."""


@dataclass(frozen=True)
class CrowdKeys:
    """Keys of many maps: of k keys their `hashes` (k,), and whether each is `sound` (k,).

    That is one whose hash is known, which no other key of its map has, and whose strings and interfaces can be read.
    """

    hashes: Hashes
    sound: Mask


def crowd_keys(source: Source, map_type: GoType, owner: NDArray[np.int64], slots: Rows, seeds: Hashes) -> CrowdKeys:
    """Hash keys of many maps of a type that does not store them by reference, all that each map has.

    `owner` (k,) says which map each is of, `slots` (k, key slot) uint8 are the keys, `seeds` (k,) their maps' seeds.
    The source must know the hash functions.
    """
    functions, key, frozen = source.functions, source.types.key(map_type), FrozenMemory()
    assert functions is not None
    Reach(source.types, source.memory, source.regions, frozen, BUDGET, LONGEST).copy(key, slots, KEY_LIMITS)
    hashed = Hasher(source.types, frozen, functions).map_keys(map_type, slots, seeds)
    sound = hashed.known & ~Dangling(source.types, frozen, source.regions).of(key, slots)
    order = np.lexsort((hashed.hashes, owner))
    hashes, owners = hashed.hashes[order], owner[order]
    same = np.flatnonzero((hashes[1:] == hashes[:-1]) & (owners[1:] == owners[:-1]))
    sound[order[same]] = sound[order[same + 1]] = False
    return CrowdKeys(hashed.hashes, sound)


def all_of(owner: NDArray[np.int64], good: Mask, count: int) -> Mask:
    """(count,) whether all things that each of so many maps owns are good; a map that owns nothing has no bad one."""
    return np.asarray(np.bincount(owner[~good], minlength=count) == 0)
