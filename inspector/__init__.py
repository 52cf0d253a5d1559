"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspector.census import Census, CensusMap, take_census
    from inspector.inspection.one_map import Entry, Inspection, inspect
    from inspector.target.target import Target, open_target

__all__ = ["Census", "CensusMap", "Entry", "Inspection", "Target", "inspect", "open_target", "take_census"]


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: the command line has to be interruptible before that."""
    if name in __all__:
        for module in ("inspector.inspection.one_map", "inspector.target.target", "inspector.census"):
            loaded = import_module(module)
            if hasattr(loaded, name):
                return getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
