"""The layout of classic maps, where a type is known to be of one."""

from __future__ import annotations

from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import ClassicLayout, Layout
from inspector.maps.classic.mirror.growth import LARGEST_B, allocated_buckets


def layout_of(go_type: GoType) -> ClassicLayout:
    """How the buckets of a classic map type are laid out."""
    return classic(go_type.layout)


def classic(layout: Layout | None) -> ClassicLayout:
    """The layout, which is one of this family's."""
    assert isinstance(layout, ClassicLayout)
    return layout


def array_bytes(layout: ClassicLayout, release: Release, b: int) -> int:
    """Bytes of an array of 2^b buckets with its preallocated overflow buckets; 0 where there can be no such array."""
    if not 0 <= b <= LARGEST_B:
        return 0
    return allocated_buckets(release, layout.bucket_size, layout.bucket_has_pointers, b) * layout.bucket_size
