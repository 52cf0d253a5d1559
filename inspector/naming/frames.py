"""Variables of functions that are being executed: from "main.handler:sessions" to a map in a goroutine's frame."""

from __future__ import annotations

import difflib
import os
import re
import struct
from dataclasses import dataclass, replace
from typing import Any

from inspector.errors import (
    GdbDied,
    GdbError,
    GdbMissing,
    Hint,
    InspectError,
    NotReadInTime,
    UnknownVariable,
    UnreadableMemory,
    UsageError,
)
from inspector.gotypes.names import SHAPE
from inspector.gotypes.redaction import typed
from inspector.gotypes.syncmaps import NAME as SYNC_MAP
from inspector.image.elf import without_type_arguments
from inspector.target.run import Run

SYNTAX = "frames' variables are written main.handler:sessions, main.handler@18:sessions for that of goroutine 18"
MOST_SHOWN = 6
MOST_FUNCTIONS = 64
NEAR_NAMES = 4

INSTANCE = "[...]"
"""Stands for the type arguments of generic code. They may be left out: main.hold means main.hold[...]."""

DEBUG_INFO = (".debug_info", ".zdebug_info")
"""The section that declares variables, and its compressed form of before Go 1.19."""

WITHOUT_GDB = Hint("name a package variable, or the map's address with {type}: neither needs gdb")
AGAIN = Hint("try again; or name a package variable, or the map's address with {type}: neither needs gdb")
"""What to try where gdb does not do its work: without gdb no frame is found."""

_FRAME_VARIABLE = re.compile(
    r"(?P<function>[^\s:@#'\"\\$`]+)(?:@(?P<goroutine>\d{1,18}))?(?:#(?P<level>\d{1,9}))?"
    r":(?P<variable>[^\W\d]\w*)(?:@(?P<line>\d{1,9}))?(?P<path>(?:\.[^\W\d]\w*|\[\d{1,9}\])*)"
)


@dataclass(frozen=True)
class FrameName:
    """FUNCTION[@GOROUTINE][#FRAME]:VARIABLE[@LINE][.FIELD or [INDEX]]..., as the user typed it.

    `function` may lack its package; `goroutine`, `level` (0 is the innermost frame of the goroutine) and `line`
    (of the declaration) choose one of several. `functions` are the functions that `function` may mean: their full
    names and addresses, 0 for one that was inlined everywhere.
    """

    text: str
    function: str
    goroutine: int | None
    level: int | None
    variable: str
    line: int | None
    path: str
    functions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class FrameVariable:
    """A variable in a frame: where it is, its type's name in DWARF, and the pointer in it (None if it has none).

    `may_be_map` says whether the type is a map's, or that of a pointer to anything; `problem` why the value is missing.
    """

    function: str
    goroutine: int
    state: str
    level: int
    file: str
    line: int
    declared: int
    type: str = ""
    value: int | None = None
    may_be_map: bool = False
    problem: str | None = None


def parse_frame_name(text: str) -> FrameName:
    """Read FUNCTION:VARIABLE and what may stand between and after them; raises UsageError."""
    match = _FRAME_VARIABLE.fullmatch(text)
    if match is None:
        raise UsageError(f"{typed(text)!r} is neither an address nor a Go variable", SYNTAX)

    def number(name: str) -> int | None:
        return int(match[name]) if match[name] else None

    return FrameName(
        text, match["function"], number("goroutine"), number("level"), match["variable"], number("line"), match["path"]
    )


def prepare(run: Run, name: FrameName) -> FrameName:
    """Find out which functions are meant, and let gdb read what it needs to find their frames; needs no stop.

    Raises UsageError, UnknownVariable, GdbMissing, GdbError.
    """
    if not run.stops:
        raise UsageError(
            "frames cannot be read while the process runs: they change meanwhile",
            Hint("leave {no_stop} out, or give the map's address"),
        )
    if run.image.stripped:
        raise UnknownVariable(
            f"{run.image.path} is stripped, so {name.text} cannot be looked up",
            Hint("give the map's address, or an unstripped copy of the executable with {exe}"),
        )
    functions = _functions(run, name.function)
    try:
        known = run.target.frames().prepare_frames(functions)
        run.hold_with_gdb()
    except GdbError as error:
        raise _failed(run, error) from None
    if not known:
        names = [without_type_arguments(each.name) for each in run.image.functions()]
        near = difflib.get_close_matches(name.function, names, NEAR_NAMES, 0.6)
        raise UnknownVariable(
            f"there is no function {name.function}", f"did you mean {', '.join(near)}?" if near else SYNTAX
        )
    return replace(name, functions=tuple(each for each in functions if each[0] in known))


def _functions(run: Run, wanted: str) -> list[tuple[str, int]]:
    """Full names and addresses of the functions that a name may mean: itself, or those whose names end like it."""
    addresses = {each.name: each.address for each in run.image.functions()}
    names = {each: without_type_arguments(each) for each in addresses}
    found = [each for each, short in names.items() if wanted in (each, short, short.replace(INSTANCE, ""))]
    if not found:
        ends = f".{wanted}", f"/{wanted}"
        found = [
            each
            for each, short in names.items()
            if each.endswith(ends) or short.endswith(ends) or short.replace(INSTANCE, "").endswith(ends)
        ]
    # Generic code goes by its shape; the functions of its instances only call that.
    generic = {names[each] for each in found if SHAPE in each}
    found = [each for each in found if SHAPE in each or names[each] not in generic]
    if len(found) > MOST_FUNCTIONS:
        shown = ", ".join(found[:NEAR_NAMES])
        raise UsageError(f"{len(found)} functions are called {wanted}", f"write the package: {shown}, ...")
    # What was inlined everywhere has no symbol; gdb knows it from DWARF.
    return [(each, addresses[each]) for each in found] or [(wanted, 0)]


def find_variable(run: Run, name: FrameName) -> FrameVariable:
    """Find the one variable that is meant; call it while the target is held, after `prepare`.

    Raises UnknownVariable when no variable fits, when none can be read, or when several fit.
    """
    request = {
        "functions": name.functions,
        "variable": name.variable,
        "path": name.path,
        "goroutine": name.goroutine,
        "level": name.level,
        "line": name.line,
    }
    try:
        answer = run.target.frames().search_frames(request)
    except GdbError as error:
        raise _failed(run, error) from None
    found = [FrameVariable(**each) for each in answer["found"]]
    if not found:
        raise _nothing(name, answer)
    # Frames that share a map lead to the same place, whichever is taken.
    if len({(each.type, each.value, each.problem) for each in found}) > 1 or (found[0].problem and len(found) > 1):
        raise _ambiguous(run, name, found, answer["all"])
    if found[0].problem:
        raise _unreadable(name, found[0])
    return found[0]


def _failed(run: Run, error: GdbError) -> InspectError:
    """Why gdb found no frames, with advice that leads on: what needs no gdb is not a frame."""
    if isinstance(error, GdbMissing):
        if run.image.section(*DEBUG_INFO) is None:
            # With gdb no frame would be found either.
            return UnknownVariable(
                "frames cannot be looked into: the executable has no DWARF (linked with -w)", WITHOUT_GDB
            )
        return _missing(error, excluded=run.target.gdb is None)
    # Where gdb reads everything, no other name gets along without it either.
    if isinstance(error, GdbDied):
        return GdbDied(error.message, "try again" if run.target.read_by_gdb else AGAIN)
    words = error.message.removeprefix("gdb: ").rstrip(".")
    return UnknownVariable(f"frames cannot be looked into: {words}", "" if run.target.read_by_gdb else WITHOUT_GDB)


def _missing(error: GdbMissing, excluded: bool) -> GdbMissing:
    if excluded:
        return GdbMissing(
            "variables in frames are found by gdb, which must not be used",
            Hint("leave {direct} out; or name a package variable, or the map's address with {type}: neither needs gdb"),
        )
    return GdbMissing(
        f"variables in frames are found by gdb: {error.message}",
        Hint(
            "install gdb or name it with {gdb}; or name a package variable, or the map's address with {type}: neither "
            "needs gdb"
        ),
    )


def _nothing(name: FrameName, answer: dict[str, Any]) -> UnknownVariable:
    names = [without_type_arguments(function) for function, _ in name.functions]
    function = " or ".join(names[:NEAR_NAMES]) + (" or ..." if len(names) > NEAR_NAMES else "")
    if not answer["frames"]:
        who = "no goroutine" if name.goroutine is None else f"goroutine {name.goroutine}"
        frame = "" if name.level is None else f" at frame {name.level}"
        verb = "is" if name.goroutine is None else "is not"
        return UnknownVariable(
            f"{who} {verb} in {function}{frame} now", "try again while it is called, or name a package variable"
        )
    declared = "" if name.line is None else f" declared in line {name.line}"
    in_scope = answer["names"]
    hint = f"it has {', '.join(in_scope[:MOST_SHOWN])}" if in_scope else "the compiler kept none of its variables"
    return UnknownVariable(f"{function} has no variable {name.variable}{declared} where it is now", hint)


def _unreadable(name: FrameName, found: FrameVariable) -> UnknownVariable:
    if found.problem == "optimized out":
        return UnknownVariable(
            f"{name.text} is optimized out: the compiler removed its value at {_line(found)}",
            "name another variable that leads to the map, or build with -gcflags='all=-N -l'",
        )
    return UnknownVariable(
        f"{name.text} cannot be read: {(found.problem or '').rstrip('.')}",
        "is a pointer on the way to it nil? fields are written s.cache, elements s.shards[2]",
    )


def _ambiguous(run: Run, name: FrameName, found: list[FrameVariable], all_of_them: bool) -> UnknownVariable:
    several = [f"{selector(name, each)} ({_described(run, each)})" for each in found[:MOST_SHOWN]]
    more = f", and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    return UnknownVariable(
        f"{name.text} is in {len(found)} places{'' if all_of_them else ' at least'}",
        f"choose one: {', '.join(several)}{more}",
    )


def selector(name: FrameName, found: FrameVariable) -> str:
    """The text that means this variable alone."""
    place = f"{without_type_arguments(found.function)}@{found.goroutine}#{found.level}"
    return f"{place}:{name.variable}@{found.declared}{name.path}"


def _described(run: Run, found: FrameVariable) -> str:
    if found.problem:
        what = found.problem
    elif not found.value:
        what = f"a nil {found.type}" if found.value == 0 else f"a {found.type}"
    elif found.type == SYNC_MAP:
        # It counts nothing itself.
        what = f"a {found.type} at {found.value:#x}"
    else:
        try:
            count = struct.unpack("<q", run.memory.read(found.value, 8))[0]
            what = f"{found.type} of {count} at {found.value:#x}"
        except (UnreadableMemory, NotReadInTime):
            what = f"{found.type} at {found.value:#x}"
    return f"{found.state}, {_line(found)}, {what}"


def _line(found: FrameVariable) -> str:
    return f"{os.path.basename(found.file)}:{found.line}"
