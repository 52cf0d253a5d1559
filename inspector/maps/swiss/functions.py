"""The functions of the runtime that work on Swiss maps (runtime/map.go, internal/runtime/maps)."""

from __future__ import annotations

ENTRANCES = frozenset(
    {"mapassign", "mapdelete", "mapclear", "mapclone", "mapaccess1", "mapaccess2", "mapIterStart", "mapIterNext"}
)
"""Functions of package runtime that work on a map, without the suffixes of their fast variants."""

PACKAGE = "internal/runtime/maps."
METHODS = ("(*Map).", "(*table).", "(*Iter).")


def works_on_maps(function: str) -> bool:
    """See Family.works_on_maps."""
    if function.startswith(PACKAGE):
        return function[len(PACKAGE) :].startswith(METHODS)
    package, _, name = function.rpartition(".")
    return package.partition(".")[0] == "runtime" and name.partition("_")[0] in ENTRANCES
