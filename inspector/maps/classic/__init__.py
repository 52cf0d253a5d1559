"""The classic family: hmap, bmap, mapextra, as the runtime made maps until Go 1.23 (and 1.25 without Swiss maps).

Satisfies inspector.maps.family.Family.
"""

from inspector.maps.classic.account import nothing
from inspector.maps.classic.candidates import candidates, plausible, provable
from inspector.maps.classic.cells import cells
from inspector.maps.classic.functions import works_on_maps
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
    "candidates",
    "cells",
    "header_dtype",
    "header_of",
    "look_up",
    "nothing",
    "plausible",
    "provable",
    "read_header",
    "sample",
    "seed_tells_clones",
    "seeds",
    "storage",
    "take_snapshot",
    "whole",
    "works_on_maps",
]
