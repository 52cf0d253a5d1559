"""What the model of a map needs to know: its type, and the choices that the runtime leaves to chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Key = Any
"""A key: opaque, distinguished by the functions of its MapType only."""

Elem = Any
"""An element: opaque, never compared."""

FastPath = Literal["fast32", "fast64", "faststr"]
"""Which of map_fast32.go, map_fast64.go, map_faststr.go the compiler chose; the general map.go otherwise."""


@dataclass(frozen=True)
class MapType:
    """A map type (abi.MapType) as far as it decides where entries come to lie and what stays behind.

    `hasher` gives None for a key whose hash is different each time (a NaN in it); such a key must not be
    `equal` to itself. `indirect_key` and `key_has_pointers` decide what a deletion clears.
    """

    bucket_size: int
    bucket_has_pointers: bool
    hasher: Callable[[Key, int], int | None]
    equal: Callable[[Key, Key], bool]
    reflexive_key: bool = True
    need_key_update: bool = False
    indirect_key: bool = False
    indirect_elem: bool = False
    key_has_pointers: bool = False
    fast: FastPath | None = None

    def left_of(self, key: Key) -> Key:
        """What a deletion leaves in the key's slot: None for zeros."""
        if self.fast == "faststr":
            return LengthOf(key)
        return None if self.indirect_key or self.key_has_pointers else key


@dataclass(frozen=True)
class LengthOf:
    """The rest of a deleted string: mapdelete_faststr clears the pointer and leaves the length."""

    key: Key


class Chance(Protocol):
    """The choices that the runtime makes with random numbers."""

    def hash0(self) -> int:
        """The seed of a new map, or of one that has become empty."""
        ...

    def hash_of(self, key: Key, elem: Elem) -> int:
        """The hash that a key without a repeatable one gets this time; `elem` is the entry's (None: no entry)."""
        ...

    def counts(self, b: int) -> bool:
        """Whether noverflow counts one more overflow bucket: 1 of 2^(b-15), asked from B = 16 on."""
        ...
