"""Go's types as the runtime describes them, and bytes turned into Go values."""

from inspector.gotypes.gotype import Field, GoType, Kind, MapLayout
from inspector.gotypes.table import TypeTable

__all__ = ["Field", "GoType", "Kind", "MapLayout", "TypeTable"]
