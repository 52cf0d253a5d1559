"""Go's types as the runtime describes them, and bytes turned into Go values."""

from inspector.gotypes.gotype import Field, GoType, Kind
from inspector.gotypes.layouts import ClassicLayout
from inspector.gotypes.table import TypeTable

__all__ = ["ClassicLayout", "Field", "GoType", "Kind", "TypeTable"]
