"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""

from __future__ import annotations

TYPE_CHECKING = False
"""As in typing. To import that module takes milliseconds in which Ctrl-C would show a traceback."""

if TYPE_CHECKING:
    from typing import Any

    from inspector.api import (
        Answer,
        Census,
        CensusDiff,
        Cut,
        GoMapping,
        Pointer,
        Raw,
        Repeated,
        Sized,
        Struct,
        Target,
        open_remote,
        open_target,
        take_census,
    )
    from inspector.census import CensusMap
    from inspector.control.gdbmi import GdbSilent
    from inspector.control.turns import BeingTraced
    from inspector.errors import (
        BadCore,
        BadExecutable,
        GdbDied,
        GdbError,
        GdbMissing,
        HoldLost,
        InspectError,
        MissedMemory,
        MissingPackage,
        NoSuchTarget,
        NotAMap,
        NotGo,
        NotPermitted,
        NotReadInTime,
        ProgramReplaced,
        TargetGone,
        TooFewDescriptors,
        TooLarge,
        UnknownMap,
        UnknownType,
        UnknownVariable,
        UnreadableMemory,
        UnsupportedTarget,
        UsageError,
    )
    from inspector.gotypes.paths import DecidedByMemory
    from inspector.gotypes.table import BadType
    from inspector.gotypes.values import GoFunc, GoHidden, GoMap, Unreadable
    from inspector.inspection.one_key import KeyAnswer, look_up
    from inspector.inspection.one_map import Inspection, inspect
    from inspector.maps.family import Entry

    __version__: str

HOMES = {
    "Answer": "inspector.api",
    "BadCore": "inspector.errors",
    "BadExecutable": "inspector.errors",
    "BadType": "inspector.gotypes.table",
    "BeingTraced": "inspector.control.turns",
    "Census": "inspector.api",
    "CensusDiff": "inspector.api",
    "CensusMap": "inspector.census",
    "Cut": "inspector.api",
    "DecidedByMemory": "inspector.gotypes.paths",
    "Entry": "inspector.inspection.one_map",
    "GdbDied": "inspector.errors",
    "GdbError": "inspector.errors",
    "GdbMissing": "inspector.errors",
    "GdbSilent": "inspector.control.gdbmi",
    "GoFunc": "inspector.gotypes.values",
    "GoHidden": "inspector.gotypes.values",
    "GoMap": "inspector.gotypes.values",
    "GoMapping": "inspector.api",
    "HoldLost": "inspector.errors",
    "InspectError": "inspector.errors",
    "Inspection": "inspector.inspection.one_map",
    "KeyAnswer": "inspector.inspection.one_key",
    "MissedMemory": "inspector.errors",
    "MissingPackage": "inspector.errors",
    "NoSuchTarget": "inspector.errors",
    "NotAMap": "inspector.errors",
    "NotGo": "inspector.errors",
    "NotPermitted": "inspector.errors",
    "NotReadInTime": "inspector.errors",
    "Pointer": "inspector.api",
    "ProgramReplaced": "inspector.errors",
    "Raw": "inspector.api",
    "Repeated": "inspector.api",
    "Sized": "inspector.api",
    "Struct": "inspector.api",
    "Target": "inspector.api",
    "TargetGone": "inspector.errors",
    "TooFewDescriptors": "inspector.errors",
    "TooLarge": "inspector.errors",
    "UnknownMap": "inspector.errors",
    "UnknownType": "inspector.errors",
    "UnknownVariable": "inspector.errors",
    "Unreadable": "inspector.gotypes.values",
    "UnreadableMemory": "inspector.errors",
    "UnsupportedTarget": "inspector.errors",
    "UsageError": "inspector.errors",
    "inspect": "inspector.inspection.one_map",
    "look_up": "inspector.inspection.one_key",
    "open_remote": "inspector.api",
    "open_target": "inspector.api",
    "take_census": "inspector.api",
}
"""Where each public name is defined."""

__all__ = [
    "Answer",
    "BadCore",
    "BadExecutable",
    "BadType",
    "BeingTraced",
    "Census",
    "CensusDiff",
    "CensusMap",
    "Cut",
    "DecidedByMemory",
    "Entry",
    "GdbDied",
    "GdbError",
    "GdbMissing",
    "GdbSilent",
    "GoFunc",
    "GoHidden",
    "GoMap",
    "GoMapping",
    "HoldLost",
    "InspectError",
    "Inspection",
    "KeyAnswer",
    "MissedMemory",
    "MissingPackage",
    "NoSuchTarget",
    "NotAMap",
    "NotGo",
    "NotPermitted",
    "NotReadInTime",
    "Pointer",
    "ProgramReplaced",
    "Raw",
    "Repeated",
    "Sized",
    "Struct",
    "Target",
    "TargetGone",
    "TooFewDescriptors",
    "TooLarge",
    "UnknownMap",
    "UnknownType",
    "UnknownVariable",
    "Unreadable",
    "UnreadableMemory",
    "UnsupportedTarget",
    "UsageError",
    "__version__",
    "inspect",
    "look_up",
    "open_remote",
    "open_target",
    "take_census",
]


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: the command line has to be interruptible before that."""
    if name in HOMES:
        from importlib import import_module

        return getattr(import_module(HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("go-map-inspect")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Also the names that are not loaded yet."""
    return sorted({*globals(), *__all__})
