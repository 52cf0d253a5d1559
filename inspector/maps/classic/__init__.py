"""The classic family: hmap, bmap, mapextra, as the runtime made maps until Go 1.23 (and 1.25 without Swiss maps).

Satisfies inspector.maps.family.Family.
"""

from inspector.maps.classic.account import keeping, nothing
from inspector.maps.classic.candidates import candidates, plausible, provable
from inspector.maps.classic.cells import cells
from inspector.maps.classic.crowd import crowd
from inspector.maps.classic.damage import (
    bits,
    looks_like_cells,
    nearly_plausible,
    pointer_fields,
    repaired,
    repaired_bytes,
    shape_bits,
)
from inspector.maps.classic.functions import steps_of, works_on_maps
from inspector.maps.classic.header import (
    HEADER,
    NAME,
    header_dtype,
    header_of,
    read_header,
    seed_tells_clones,
    seeds,
    storage,
)
from inspector.maps.classic.lookup import look_up
from inspector.maps.classic.places import whole
from inspector.maps.classic.sample import agrees, array_size, arrays, sample
from inspector.maps.classic.snapshot import take_snapshot

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
