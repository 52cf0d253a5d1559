"""The functions of the runtime that work on classic maps (runtime/map.go, map_fast*.go)."""

from __future__ import annotations

MAP_FUNCTIONS = frozenset(
    {
        "mapassign",
        "mapdelete",
        "mapclear",
        "mapaccess1",
        "mapaccess2",
        "mapaccessK",
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
