"""The Swiss family: Map, table, groups, as the runtime makes maps since Go 1.24 (internal/runtime/maps).

Satisfies inspector.maps.family.Family.
"""

from inspector.maps.swiss.account import keeping, nothing
from inspector.maps.swiss.candidates import candidates, plausible, provable
from inspector.maps.swiss.cells import cells
from inspector.maps.swiss.crowd import crowd
from inspector.maps.swiss.damage import (
    bits,
    looks_like_cells,
    nearly_plausible,
    pointer_fields,
    repaired,
    repaired_bytes,
    shape_bits,
)
from inspector.maps.swiss.functions import steps_of, works_on_maps
from inspector.maps.swiss.header import (
    HEADER,
    NAME,
    header_dtype,
    header_of,
    read_header,
    seed_tells_clones,
    seeds,
    storage,
)
from inspector.maps.swiss.lookup import look_up
from inspector.maps.swiss.places import whole
from inspector.maps.swiss.sample import agrees, array_size, arrays, sample
from inspector.maps.swiss.snapshot import take_snapshot

__all__ = [
    "HEADER",
    "NAME",
    "agrees",
    "array_size",
    "arrays",
    "bits",
    "candidates",
    "cells",
    "crowd",
    "header_dtype",
    "header_of",
    "keeping",
    "look_up",
    "looks_like_cells",
    "nearly_plausible",
    "nothing",
    "plausible",
    "pointer_fields",
    "provable",
    "read_header",
    "repaired",
    "repaired_bytes",
    "sample",
    "seed_tells_clones",
    "seeds",
    "shape_bits",
    "steps_of",
    "storage",
    "take_snapshot",
    "whole",
    "works_on_maps",
]
