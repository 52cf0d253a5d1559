"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspector.inspection import Entry, Inspection, inspect
    from inspector.target import Target, open_target

__all__ = ["Entry", "Inspection", "Target", "inspect", "open_target"]


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: the command line has to be interruptible before that."""
    from inspector import inspection, target

    for module in (inspection, target):
        if name in __all__ and hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
