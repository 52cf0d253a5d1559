"""The functions of the runtime that work on Swiss maps (runtime/map.go, internal/runtime/maps)."""

from __future__ import annotations

import re
from typing import get_args

from inspector.maps.swiss.checks.steps import Step

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


STEPS = frozenset(get_args(Step))
FAST = re.compile(r"Fast(32|64|Str|Ptr)$")
OF_OTHERS: dict[str, tuple[Step, ...]] = {
    "maps.table.Clear": ("maps.Map.Clear",),
    # It has the loop of PutSlot in it, and counts what uncheckedPutSlotForAssign has stored.
    "mapassign": ("maps.table.PutSlot", "maps.table.uncheckedPutSlotForAssign"),
}
"""Functions that are not steps by name, and do what belongs to one."""


def steps_of(function: str) -> tuple[str, ...]:
    """See Family.steps_of."""
    if not function.startswith(PACKAGE):
        return OF_OTHERS.get(function.removeprefix("runtime.").partition("_")[0], ())
    method = FAST.sub("", function.removeprefix("internal/runtime/").replace("(*", "").replace(")", ""))
    return (method,) if method in STEPS else OF_OTHERS.get(method, ())
