"""The functions of the runtime that work on classic maps (runtime/map.go, map_fast*.go)."""

from __future__ import annotations

from typing import get_args

from inspector.maps.classic.checks.steps import Step

MAP_FUNCTIONS = frozenset(
    {
        "mapassign",
        "mapdelete",
        "mapclear",
        "mapaccess1",
        "mapaccess2",
        "mapaccessK",
        "mapiterinit",
        "mapiternext",
        "mapclone",
        "mapclone2",
        "growWork",
        "hashGrow",
        "evacuate",
        "advanceEvacuationMark",
        "newoverflow",
    }
)
"""Functions of package runtime that work on a map, without the suffixes of their fast variants."""


def works_on_maps(function: str) -> bool:
    """See Family.works_on_maps."""
    package, _, name = function.rpartition(".")
    return package.partition(".")[0] == "runtime" and name.partition("_")[0] in MAP_FUNCTIONS


STEPS = frozenset(get_args(Step))


def steps_of(function: str) -> tuple[str, ...]:
    """See Family.steps_of."""
    method = function.replace("(*hmap).", "").partition("_")[0]
    return (method,) if method in STEPS else ()
