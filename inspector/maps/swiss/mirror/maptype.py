"""What the model of a Swiss map needs to know: its type, and the choices that the runtime leaves to chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Key = Any
"""A key: opaque, distinguished by the functions of its MapType only. None is a slot of zeros."""

Elem = Any
"""An element: opaque, never compared. None is a slot of zeros."""


@dataclass(frozen=True)
class MapType:
    """A map type (abi.MapType) as far as it decides where entries come to lie and what stays behind.

    `hasher` takes a key and a seed, and gives None for a key whose hash is different each time (a NaN in it); such a
    key must not be `equal` to itself. `function` is the assign function that compiled code calls, as assigning.py names
    them. `group_size` and `slot_size` are bytes; a slot is a key and an element with what lies between.
    `indirect_key` and `key_has_pointers` decide what a deletion clears.
    """

    hasher: Callable[[Key, int], int | None]
    equal: Callable[[Key, Key], bool]
    function: str
    group_size: int
    slot_size: int
    need_key_update: bool = False
    indirect_key: bool = False
    key_has_pointers: bool = False

    def left_of(self, key: Key) -> Key:
        """What a deletion leaves in the key's slot."""
        return None if self.indirect_key or self.key_has_pointers else key


class Offsets(NamedTuple):
    """Where an iteration begins: Iter.entryOffset and Iter.dirOffset."""

    entry: int
    directory: int


class Chance(Protocol):
    """The choices that the runtime makes with random numbers."""

    def seed(self) -> int:
        """The seed of a new map, or of one that was cleared or has become empty."""
        ...

    def hash_of(self, key: Key, elem: Elem) -> int:
        """The hash that a key without a repeatable one gets this time; `elem` is the entry's (None: no entry)."""
        ...

    def offsets(self) -> Offsets:
        """Where an iteration begins."""
        ...
