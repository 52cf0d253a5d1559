"""How map types lay their keys and elements out: what all families have in common, and each family's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from inspector.goruntime import types as schema
from inspector.goruntime.bmap import OVERFLOW_SIZE, TOPHASH_SIZE
from inspector.goruntime.releases import BUCKET_CELLS


class Layout(Protocol):
    """What everybody may ask of a layout; it is hashable, and two types with equal layouts share their samples.

    Sizes are bytes. A slot holds a key or an element, or the address of one that is stored apart ("indirect").
    """

    @property
    def key_slot(self) -> int:
        """Size of a key's slot."""
        ...

    @property
    def elem_slot(self) -> int:
        """Size of an element's slot."""
        ...

    @property
    def indirect_key(self) -> bool:
        """Keys are stored by reference."""
        ...

    @property
    def indirect_elem(self) -> bool:
        """Elements are stored by reference."""
        ...

    @property
    def fits(self) -> bool:
        """Whether the sizes agree with each other, as those of a real map type do."""
        ...


@dataclass(frozen=True)
class ClassicLayout:
    """How buckets of a map type are laid out (abi.MapType): slot sizes and bucket size in bytes."""

    key_slot: int
    elem_slot: int
    bucket_size: int
    flags: int
    bucket_has_pointers: bool

    @property
    def indirect_key(self) -> bool:
        """Keys are stored by reference."""
        return bool(self.flags & schema.INDIRECT_KEY)

    @property
    def indirect_elem(self) -> bool:
        """Elements are stored by reference."""
        return bool(self.flags & schema.INDIRECT_ELEM)

    @property
    def reflexive_key(self) -> bool:
        """Every key equals itself (no floats in it)."""
        return bool(self.flags & schema.REFLEXIVE_KEY)

    @property
    def fits(self) -> bool:
        """Whether the bucket size is what its parts add up to, as it always is on amd64."""
        cells = BUCKET_CELLS * (self.key_slot + self.elem_slot)
        return self.bucket_size == TOPHASH_SIZE + cells + OVERFLOW_SIZE
