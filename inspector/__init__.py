"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""

from inspector.inspection import Entry, Inspection, inspect
from inspector.target import Target, open_target

__all__ = ["Entry", "Inspection", "Target", "inspect", "open_target"]
