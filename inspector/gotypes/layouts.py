"""How map types lay their keys and elements out: what all families have in common, and each family's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from construct import Construct

from inspector.goruntime import types as schema
from inspector.goruntime.bmap import OVERFLOW_SIZE, TOPHASH_SIZE
from inspector.goruntime.releases import BUCKET_CELLS, MAX_INLINE_SIZE
from inspector.goruntime.swissgroup import CTRL_SIZE, GROUP_SLOTS, interleaved, split

WORD = 8


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
    def has_pointers(self) -> bool:
        """Whether the allocator is told that buckets or groups hold pointers."""
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
    def has_pointers(self) -> bool:
        """See Layout.has_pointers."""
        return self.bucket_has_pointers

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


@dataclass(frozen=True)
class SwissLayout:
    """How groups of a map type are laid out (abi.MapType): key i lies at keys_at + i * key_stride, elements likewise.

    All are bytes. `group_has_pointers` is what the allocator is told of groups, `key_has_pointers` says that a deleted
    key is cleared.
    """

    key_slot: int
    elem_slot: int
    keys_at: int
    key_stride: int
    elems_at: int
    elem_stride: int
    group_size: int
    flags: int
    group_has_pointers: bool
    key_has_pointers: bool

    @property
    def has_pointers(self) -> bool:
        """See Layout.has_pointers."""
        return self.group_has_pointers

    @property
    def indirect_key(self) -> bool:
        """Keys are stored by reference."""
        return bool(self.flags & schema.SWISS_INDIRECT_KEY)

    @property
    def indirect_elem(self) -> bool:
        """Elements are stored by reference."""
        return bool(self.flags & schema.SWISS_INDIRECT_ELEM)

    @property
    def need_key_update(self) -> bool:
        """An assignment overwrites a key that is equal (NeedKeyUpdate)."""
        return bool(self.flags & schema.SWISS_NEED_KEY_UPDATE)

    @property
    def split(self) -> bool:
        """All keys lie before all elements (GOEXPERIMENT=mapsplitgroup)."""
        return self.elems_at >= self.keys_at + GROUP_SLOTS * self.key_stride

    @property
    def fits(self) -> bool:
        """Whether the parts fill a group as they always do on amd64, with nothing behind them but padding."""
        if self.keys_at != CTRL_SIZE or max(self.key_slot, self.elem_slot) > MAX_INLINE_SIZE:
            return False
        if self.split:
            strides = self.key_stride == self.key_slot and self.elem_stride == self.elem_slot
            end = self.elems_at + GROUP_SLOTS * self.elem_slot
            return strides and 0 <= self.elems_at - self._keys_end < WORD and 0 <= self.group_size - end <= WORD
        slot, elem_at = self.key_stride, self.elems_at - self.keys_at
        fits = slot == self.elem_stride and 0 <= elem_at - self.key_slot < WORD
        rest = slot - elem_at - self.elem_slot
        return fits and 0 <= rest <= WORD and 0 <= self.group_size - self._keys_end <= WORD

    @property
    def _keys_end(self) -> int:
        return self.keys_at + GROUP_SLOTS * self.key_stride

    @property
    def group(self) -> Construct:
        """The declaration of a group."""
        if self.split:
            return split(self.key_slot, self.elems_at, self.elem_slot, self.group_size)
        elem_at = self.elems_at - self.keys_at
        return interleaved(self.key_slot, elem_at, self.elem_slot, self.key_stride, self.group_size)
