"""The Swiss family: Map, table, groups, as the runtime makes maps since Go 1.24 (internal/runtime/maps).

Satisfies inspector.maps.family.Family.
"""

from inspector.maps.swiss.account import nothing
from inspector.maps.swiss.candidates import candidates, plausible, provable
from inspector.maps.swiss.cells import cells
from inspector.maps.swiss.functions import works_on_maps
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
