"""The layout of Swiss maps, where a type is known to be of one, and the sizes that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.swissgroup import GROUP_SLOTS
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout, SwissLayout

LARGEST_DEPTH = 40
"""No directory has more than 2^40 entries: they alone would take 8 TiB."""


def layout_of(go_type: GoType) -> SwissLayout:
    """How the groups of a Swiss map type are laid out."""
    return swiss(go_type.layout)


def swiss(layout: Layout | None) -> SwissLayout:
    """The layout, which is one of this family's."""
    assert isinstance(layout, SwissLayout)
    return layout


def group_dtype(layout: SwissLayout) -> np.dtype[Any]:
    """The dtype of a group."""
    return dtype_of(layout.group)


def groups_for(capacity: int) -> int:
    """Groups of a table with so many slots."""
    return capacity // GROUP_SLOTS
