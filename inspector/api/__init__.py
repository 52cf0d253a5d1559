"""What Python users work with: a target whose maps are mappings of natural values, and its census as a table."""

from inspector.api.answers import Answer, Raw, Repeated, Sized
from inspector.api.census import Census, CensusDiff, take_census
from inspector.api.mapping import GoMapping
from inspector.api.natural import Cut, Pointer, Struct
from inspector.api.target import Target, open_remote, open_target

__all__ = [
    "Answer",
    "Census",
    "CensusDiff",
    "Cut",
    "GoMapping",
    "Pointer",
    "Raw",
    "Repeated",
    "Sized",
    "Struct",
    "Target",
    "open_remote",
    "open_target",
    "take_census",
]
