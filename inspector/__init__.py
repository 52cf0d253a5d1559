"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""

from __future__ import annotations

TYPE_CHECKING = False
"""As in typing. To import that module takes milliseconds in which Ctrl-C would show a traceback."""

if TYPE_CHECKING:
    from typing import Any

    from inspector.census import Census, CensusMap, take_census
    from inspector.errors import InspectError
    from inspector.inspection.one_key import KeyAnswer, look_up
    from inspector.inspection.one_map import Inspection, inspect
    from inspector.maps.family import Entry
    from inspector.target.opening import open_target
    from inspector.target.target import Target

HOMES = {
    "Census": "inspector.census",
    "CensusMap": "inspector.census",
    "Entry": "inspector.inspection.one_map",
    "InspectError": "inspector.errors",
    "Inspection": "inspector.inspection.one_map",
    "KeyAnswer": "inspector.inspection.one_key",
    "Target": "inspector.target.target",
    "inspect": "inspector.inspection.one_map",
    "look_up": "inspector.inspection.one_key",
    "open_target": "inspector.target.opening",
    "take_census": "inspector.census",
}
"""Where each public name is defined."""

__all__ = [
    "Census",
    "CensusMap",
    "Entry",
    "InspectError",
    "Inspection",
    "KeyAnswer",
    "Target",
    "inspect",
    "look_up",
    "open_target",
    "take_census",
]


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: the command line has to be interruptible before that."""
    if name in HOMES:
        from importlib import import_module

        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
