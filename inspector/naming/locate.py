"""Finds the address and type of a map from what the user typed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from inspector.errors import Hint, InspectError, UnknownType, UnknownVariable, UsageError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.names import SHAPE
from inspector.gotypes.paths import DecidedByMemory, Way, follow, maps_inside
from inspector.gotypes.redaction import current, typed
from inspector.gotypes.syncmaps import NAME as SYNC_MAP
from inspector.gotypes.syncmaps import as_map, find_sync_map, is_sync_map
from inspector.gotypes.table import TypeTable
from inspector.image.elf import Symbol
from inspector.naming.grammar import Named, Step, outside_strings, parse_name, parse_path
from inspector.naming.walk import Place, leads_through_memory, walk
from inspector.settings import shown
from inspector.target.run import Run

if TYPE_CHECKING:
    from inspector.naming.frames import FrameName

TypeSource = Literal["option", "variable", "dwarf", "hash-proof", "heap"]

NEAR_NAMES = 4
MOST_TRIED = 64
"""Names that a hint offers, and variables that are looked at for it."""

LONGEST_NAME = 4096
"""Characters in a name. Go's own are shorter; matching and comparing take time that grows with its square."""

MAY_BE_MAPS = frozenset({Kind.MAP, Kind.UNSAFE_POINTER, Kind.UINTPTR})
"""Kinds of variables that hold the address of a map's header, if the user says so."""

MOST_PARTS = 32
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_DIGITS = re.compile(r"(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{6,16}")
_NAME = re.compile(r"[\w./%~@+\-\[\],*·]+")

_PATH = re.compile(r"(?:\.[^\W\d]\w*|\[\d{1,9}\])*")
_INDICES = re.compile(r"(?:\[\d{1,9}\])*$")


UNKNOWN_MAP = GoType(0, Kind.MAP, 8, "map")
"""Stands for a type that only the contents of the map can show; its name is the declared one."""


@dataclass(frozen=True)
class MapRef:
    """Where a map is and what it is: its header's address (0 for a nil map), its type, how we know.

    `name` is the variable it was reached by. A map that is declared as one is believed to be one; whatever
    else is called a map, a bare address above all, has to look like a map first. `alternatives` are types
    that memory cannot distinguish from this one.
    """

    address: int
    type: GoType
    type_source: TypeSource
    name: str | None = None
    declared: bool = False
    alternatives: tuple[GoType, ...] = ()


def parse_address(text: str) -> int | None:
    """Read "0xc000..." or a decimal number; None for anything else. Raises UsageError beyond 64 bits."""
    if not _NUMBER.fullmatch(text):
        return None
    # Python refuses to convert very long decimal numbers; 20 digits are enough for 64 bits.
    hexadecimal = text[:2] in ("0x", "0X")
    digits = text[2:].lstrip("0") if hexadecimal else text.lstrip("0")
    address = int(digits or "0", 16 if hexadecimal else 10) if len(digits) <= 20 else 1 << 64
    if address >= 1 << 64:
        raise UsageError(f"the number {shown(text)} has more than 64 bits", "addresses look like 0xc000012345")
    return address


@dataclass(frozen=True)
class Locator:
    """A map that is named, and whose address is still to be read while the target is held.

    `type` is None for a bare address: what lies there has to tell it. A variable whose value was given (`evaluated`)
    has its address too. `way` leads to the word of a package variable, or of a field in one. Where types alone do not
    lead there, `steps` are walked from `start`, and `type` is UNKNOWN_MAP until then if the user gave none. `notes` are
    sentences for the user about the name.
    """

    type: GoType | None
    type_source: TypeSource
    address: int | None = None
    way: Way | None = None
    name: str | None = None
    declared: bool = True
    frame: FrameName | None = None
    notes: tuple[str, ...] = ()
    start: Place | None = None
    steps: tuple[Step, ...] = ()

    @property
    def may_be_sync_map(self) -> bool:
        """Whether what is found there may turn out to be a sync.Map."""
        return self.type is None or self.type.layout is None or self.start is not None or self.frame is not None

    def find(self, run: Run) -> MapRef:
        """Read where the map is now; raises UnknownVariable, UnreadableMemory, GdbDied."""
        if self.frame is not None:
            return self._in_frame(run, self.frame)
        assert self.type is not None
        if self.start is not None:
            return self._walked(run, self.start, self.type)
        if self.address is not None:
            return MapRef(self.address, self.type, self.type_source, self.name)
        assert self.way is not None
        place = self.way.place(run.memory)
        if is_sync_map(self.type) and self.way.type.kind != Kind.POINTER:
            # It is a struct: the variable is the map itself, and not a pointer to it.
            return MapRef(place, self.type, self.type_source, self.name, self.declared)
        word = struct.unpack("<Q", run.memory.read(place, 8))[0]
        return MapRef(word, self.type, self.type_source, self.name, self.declared)

    def _walked(self, run: Run, start: Place, wanted: GoType) -> MapRef:
        end = walk(run, start, self.steps)
        # The walk knows the hashes of the keys in it.
        name = self.name if current() is None else end.text
        if is_sync_map(end.type):
            return MapRef(end.address, end.type, self.type_source, name, self.declared)
        word = struct.unpack("<Q", run.memory.read(end.address, 8))[0]
        if wanted is UNKNOWN_MAP:
            return MapRef(word, end.type, self.type_source, name, self.declared)
        for sentence in _contradictions(run.types, name or "", wanted, end.type):
            run.note(sentence)
        return MapRef(word, wanted, self.type_source, name, self.declared)

    def _in_frame(self, run: Run, frame: FrameName) -> MapRef:
        from inspector.naming.frames import find_variable, selector

        found = find_variable(run, frame)
        name = selector(frame, found)
        if not found.may_be_map and SHAPE not in found.type:
            raise not_a_map(name, found.type)
        declared = _map_type(run.types, name, found.type) if self.type is None else self.type
        if self.type is not None:
            for sentence in _contradictions(run.types, name, self.type, _named(run.types, found.type)):
                run.note(sentence)
        if found.value is None:
            raise not_a_map(name, found.type)
        # A place on a stack may not have been written yet: what lies there has to look like a map.
        return MapRef(found.value, declared, self.type_source, name, False)


def walked_from(name: str, start: Place, steps: tuple[Step, ...], type_name: str | None, types: TypeTable) -> Locator:
    """A path from a variable that a debugger has found, through entries of maps, too. Raises UnknownType."""
    wanted = _find_type(types, type_name) if type_name is not None else None
    # As of any variable of a frame, what lies there has to look like a map.
    return Locator(
        wanted or UNKNOWN_MAP, "option" if wanted else "variable", name=name, declared=False, start=start, steps=steps
    )


def evaluated(types: TypeTable, name: str, declared: str, address: int, type_name: str | None) -> Locator:
    """A variable that gdb has evaluated: its name, its declared type, the address of its header (0 for nil).

    Raises UnknownVariable when it is not declared as a map, UnknownType.
    """
    # A place on a stack may not have been written yet: what lies there has to look like a map.
    name = typed(name)
    if type_name is None:
        return Locator(_map_type(types, name, declared), "variable", address, name=name, declared=False)
    wanted = _find_type(types, type_name)
    notes = _contradictions(types, name, wanted, _named(types, declared))
    return Locator(wanted, "option", address, name=name, declared=False, notes=notes)


def locate(run: Run, text: str | Locator, type_name: str | None) -> Locator:
    """Understand what `text` names: an address, or a Go variable with an optional field path.

    Needs no stop: only types and symbols are looked at. Raises UsageError, UnknownVariable, UnknownType; GdbError for
    a variable in a frame.
    """
    if isinstance(text, Locator):
        return text
    wanted = _find_type(run.types, type_name) if type_name is not None else None
    address = parse_address(text)
    if address is not None:
        return Locator(wanted, "option" if wanted else "hash-proof", address)
    if len(text) <= LONGEST_NAME and outside_strings(text, ":"):
        # Loaded here, before any stop, as it takes 2 ms.
        from inspector.naming.frames import parse_frame_name, prepare

        frame = prepare(run, parse_frame_name(text))
        return Locator(wanted, "option" if wanted else "variable", frame=frame)
    named = parse_name(text)
    if named is not None:
        return _by_grammar(run, text, named, wanted)
    if len(text) > LONGEST_NAME or text.count(".") > MOST_PARTS or not _NAME.fullmatch(text):
        raise UsageError(
            f"{shown(typed(text))!r} is neither an address nor a Go variable", "try 0xc000012345 or main.sessions"
        )
    symbol, path = _find_symbol(run, text)
    return _package_variable(run, text, symbol, path, wanted)


def _by_grammar(run: Run, text: str, named: Named, wanted: GoType | None) -> Locator:
    """A name with keys, assertions or parentheses in it, or an address that is converted to a type."""
    if named.address is not None:
        # What lies at an address is whatever the user says, so the map has to look like one.
        go_type = run.types.find_type(named.type_name)
        start = Place(f"(*{go_type.name})({named.address:#x})", named.address, go_type)
        return replace(_walked_later(run, text, start, named.steps, wanted), declared=False)
    if len(named.head) > LONGEST_NAME or named.head.count(".") > MOST_PARTS or not _NAME.fullmatch(named.head):
        raise UsageError(
            f"{shown(typed(text))!r} is neither an address nor a Go variable", "try 0xc000012345 or main.sessions"
        )
    if all(step.plain for step in named.steps):
        plain = named.head + "".join(step.text for step in named.steps)
        symbol, path = _find_head(run, text, plain)
        return _package_variable(run, plain, symbol, path, wanted)
    symbol, path = _find_head(run, text, named.head)
    name = named.head.removesuffix(path)
    declared = run.declarations.type_of(symbol)
    if declared is None:
        raise UnknownVariable(
            f"{run.declarations.lacking(symbol.name)}, so no path leads on from it",
            Hint("give the map's address, with {type}"),
        )
    return _walked_later(run, text, Place(name, symbol.address, declared), (*parse_path(path), *named.steps), wanted)


def _find_head(run: Run, text: str, head: str) -> tuple[Symbol, str]:
    """As _find_symbol; says of what holds a map, as lists of maps print it, that it is not a name."""
    try:
        return _find_symbol(run, head)
    except UnknownVariable:
        if not text.startswith("(") or not _is_type(run.types, text[1:].partition(")")[0]):
            raise
    raise UnknownVariable(
        f"{shown(typed(text))} says in what kind of object a map lies, and there may be many", "give the map's address"
    )


def is_name(run: Run, text: str) -> bool:
    """Whether a text begins with a package variable, or converts an address to a type; its path may still lead nowhere.

    No memory is read.
    """
    try:
        named = parse_name(text) or Named(text, ())
        if named.address is not None:
            return _is_type(run.types, named.type_name)
        plain = all(step.plain for step in named.steps)
        _find_symbol(run, named.head + "".join(step.text for step in named.steps if plain))
    except (UsageError, UnknownVariable):
        return False
    return True


def _is_type(types: TypeTable, name: str) -> bool:
    try:
        types.find_type(name)
    except UnknownType:
        return False
    return True


def _walked_later(run: Run, text: str, start: Place, steps: tuple[Step, ...], wanted: GoType | None) -> Locator:
    """A map that only a walk through memory finds."""
    if not run.still and not run.target.read_by_gdb:
        # The types on the way are read and searched for now, which takes longer than the walk itself.
        with suppress(InspectError):
            walk(run, start, steps)
    source: TypeSource = "option" if wanted else "variable"
    return Locator(wanted or UNKNOWN_MAP, source, name=text, start=start, steps=steps)


def _package_variable(run: Run, text: str, symbol: Symbol, path: str, wanted: GoType | None) -> Locator:
    """The type of a package variable: from the DWARF, or from --type without DWARF."""
    name = text.removesuffix(path)
    declared = run.declarations.type_of(symbol)
    if declared is None:
        lacking = run.declarations.lacking(symbol.name)
        if path:
            raise UnknownVariable(
                f"{lacking}, so the places of its fields are unknown", Hint("give the map's address, with {type}")
            )
        if wanted is None:
            raise UnknownVariable(lacking, Hint("add {type} 'map[string]int'"))
        # Nothing proves that it is a map at all: what lies there has to look like one.
        way = Way(name, symbol.address, (), 0, wanted)
        return Locator(wanted, "option", None, way, text, declared=False)
    try:
        way = follow(run.declarations, name, symbol.address, declared, path)
    except DecidedByMemory:
        return _walked_later(run, text, Place(name, symbol.address, declared), parse_path(path), wanted)
    if leads_through_memory(run, way.type):
        return _walked_later(run, text, Place(name, symbol.address, declared), parse_path(path), wanted)
    if wanted is not None and way.type.kind in MAY_BE_MAPS:
        notes = _contradictions(run.types, text, wanted, way.type)
        return Locator(wanted, "option", None, way, text, way.type.kind == Kind.MAP, notes=notes)
    if way.type.kind == Kind.MAP:
        known = way.type if way.type.layout else _map_type(run.types, text, way.type.name)
        return Locator(known, "variable", None, way, text)
    sync_map = _sync_map(run.types, way.type)
    if sync_map is not None:
        if wanted is not None:
            _contradictions(run.types, text, wanted, sync_map)
        return Locator(sync_map, "variable", None, way, text)
    inside = [
        follow(run.declarations, name, symbol.address, declared, each.removeprefix(name))
        for each in maps_inside(run.declarations, text, way.type)
    ]
    if way.type.kind in MAY_BE_MAPS:
        raise not_a_map(text, way.type.name, Hint("if it holds the address of one, add {type}"))
    raise not_a_map(text, way.type.name, _maps_in_it(run, inside))


def _sync_map(types: TypeTable, go_type: GoType) -> GoType | None:
    """The type of the sync.Map that a type is, or a pointer to one; None for others."""
    pointed_to = types.elem(go_type) if go_type.kind == Kind.POINTER else go_type
    return as_map(types, pointed_to) if is_sync_map(pointed_to) else None


def _maps_in_it(run: Run, inside: list[Way]) -> str:
    """A hint at the maps inside of a value: those that can be reached now, past no nil pointer and no short slice."""
    reached, obstacles = [], []
    for way in inside:
        try:
            way.place(run.memory)
        except UnknownVariable as error:
            obstacles.append(error.message)
        except InspectError:
            continue
        else:
            reached.append(way.name)
    if reached:
        return f"maps in it: {', '.join(reached)}"
    return obstacles[0] if obstacles else ""


def _find_type(types: TypeTable, type_name: str) -> GoType:
    if len(type_name) > LONGEST_NAME:
        raise UnknownType(f"{shown(type_name)!r} is too long for a type name", Hint("try {type} 'map[string]int'"))
    sync_map = find_sync_map(types) if type_name.strip() == SYNC_MAP else None
    return sync_map or types.find_map_type(type_name)


def _map_type(types: TypeTable, text: str, declared: str) -> GoType:
    # Generic code is compiled once for types of the same shape; its maps are of other types.
    if declared.startswith(("map[", f"{SHAPE}map[")) and SHAPE in declared:
        return replace(UNKNOWN_MAP, name=declared)
    sync_map = find_sync_map(types) if declared == SYNC_MAP else None
    if sync_map is not None:
        return sync_map
    try:
        return types.find_map_type(declared)
    except UnknownType as error:
        if declared.startswith("map[") and not declared.endswith(" *"):
            raise UnknownVariable(f"{text} is declared as a map, but {error.message}", error.hint) from None
        raise UnknownVariable(
            f"{text} is declared as {shown(declared)}, and no map type has that name", Hint("add {type}")
        ) from None


def not_a_map(name: str, declared: str, hint: Hint | str = "") -> UnknownVariable:
    """The refusal of a variable whose declaration says that it is something else; to give a type would not help."""
    return UnknownVariable(
        f"{name} is of type {shown(declared)}, not a map", hint or "name a map variable, or a field path to one"
    )


def _named(types: TypeTable, dwarf_name: str) -> GoType:
    """The map type of a name in DWARF; one without a layout where the executable has none of that name."""
    sync_map = find_sync_map(types) if dwarf_name == SYNC_MAP else None
    try:
        return sync_map or types.find_map_type(dwarf_name)
    except UnknownType:
        kind = Kind.MAP if dwarf_name.startswith("map[") or SHAPE in dwarf_name else Kind.POINTER
        return replace(UNKNOWN_MAP, name=dwarf_name, kind=kind)


def _contradictions(types: TypeTable, text: str, wanted: GoType, declared: GoType) -> tuple[str, ...]:
    """What is to be said of a type that the user gives and that is not the declared one.

    Raises UsageError where the declaration is that of another map. A pointer of no type may lead to any map, and of
    generic code, and where the executable has no type of that name, the declaration does not say enough.
    """
    same = declared.address == wanted.address or (is_sync_map(declared) and is_sync_map(wanted))
    if same or SHAPE in declared.name:
        return ()
    if declared.layout is not None or is_sync_map(declared):
        if wanted.layout is not None and declared.layout is not None and _alike(types, wanted, declared):
            return ()
        raise UsageError(
            f"the type given is {shown(wanted.name)}, but {text} is declared as {shown(declared.name)}",
            Hint("leave {type} out"),
        )
    return (f"the type given is {wanted.name}, but {text} is declared as {shown(declared.name)}",)


def _alike(types: TypeTable, one: GoType, other: GoType) -> bool:
    """Whether two map types have the same keys and elements: one may be the other with a name."""
    return one.key_address == other.key_address and types.elem(one).address == types.elem(other).address


def _find_symbol(run: Run, text: str) -> tuple[Symbol, str]:
    """Split "example.com/pkg.variable.field.field" at the variable: its symbol, and ".field.field"."""
    for name, path in _splits(text):
        symbol = run.image.symbol(name)
        if symbol is None:
            continue
        if not symbol.is_data:
            raise UnknownVariable(f"{name} is a function, not a variable", "name a map variable: main.sessions")
        if not _PATH.fullmatch(path):
            raise UsageError(f"{path!r} after {name} is not a field path", "fields are written main.server.sessions")
        return symbol, path
    short = _find_by_package_name(run, text)
    if short is not None:
        return short
    if run.image.stripped:
        raise UnknownVariable(
            f"{run.image.path} is stripped, so {typed(text)} cannot be looked up",
            Hint("give the map's address, or an unstripped copy of the executable with {exe}"),
        )
    raise UnknownVariable(f"there is no variable {shown(typed(text))}", _what_is_meant(run, text))


def _what_is_meant(run: Run, text: str) -> str:
    """A hint at what the user may have meant by a name that is not one of a variable."""
    if _DIGITS.fullmatch(text):
        return f"addresses begin with 0x: 0x{text}"
    variables = run.image.variables()
    head = re.split(r"[.\[]", text, maxsplit=1)[0]
    bracket = text.find("[")
    if bracket > 0 and text[:bracket] in variables:
        return f"elements of arrays and slices are written {text[:bracket]}[0], counted from 0"
    without_package = [f"{each}{typed(text[len(head) :])}" for each in variables if each.rpartition(".")[2] == head]
    if without_package:
        return f"did you mean {', '.join(without_package[:NEAR_NAMES])}?"
    if text == head:
        of_package = _leading_to_maps(run, (each for each in variables if each.rpartition(".")[0] == text))
        if of_package:
            return f"{text} is a package; name a variable of it: {', '.join(of_package)}"
    import difflib

    near = _leading_to_maps(run, difflib.get_close_matches(text, variables, MOST_TRIED, 0.6))
    return f"did you mean {', '.join(near)}?" if near else "package variables are written main.sessions"


def _leading_to_maps(run: Run, names: Iterable[str]) -> list[str]:
    """Some of the package variables: maps, values with maps in them, and those whose type is not known."""
    found: list[str] = []
    for name in islice(names, MOST_TRIED):
        symbol = run.image.symbol(name)
        declared = run.declarations.type_of(symbol) if symbol else None
        if declared is None or maps_inside(run.declarations, name, declared):
            found.append(name)
        if len(found) == NEAR_NAMES:
            break
    return found


def _find_by_package_name(run: Run, text: str) -> tuple[Symbol, str] | None:
    """Find "cache.entries" in the one package whose import path ends in "/cache"."""
    variables = run.image.variables()
    for name, path in _splits(text):
        found = sorted({each for each in variables if each.endswith(f"/{name}")})
        if len(found) > 1:
            choices = ", ".join(found[:NEAR_NAMES])
            raise UnknownVariable(f"{len(found)} packages have a variable {name}", f"choose one: {choices}")
        symbol = run.image.symbol(found[0]) if found and _PATH.fullmatch(path) else None
        if symbol is not None:
            return symbol, path
    return None


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Possible (symbol, path) readings, shortest path first; a path is fields and indices: ".field[3].field"."""
    slash = text.rfind("/") + 1
    directory, rest = text[:slash], text[slash:]
    parts = rest.split(".")
    for end in range(len(parts), 1, -1):
        indices = _indices(parts[end - 1])
        path = indices + "".join(f".{part}" for part in parts[end:])
        name = [*parts[: end - 1], parts[end - 1].removesuffix(indices)]
        yield directory + ".".join(name), path
        # The linker escapes the dots of an import path's last element: gopkg.in/yaml%2ev2.cache
        for cut in range(2, end):
            escaped = "%2e".join(name[:cut]) + "." + ".".join(name[cut:])
            yield directory + escaped, path


def _indices(part: str) -> str:
    """The indices at the end of a part: "[1][2]" of "table[1][2]"."""
    found = _INDICES.search(part)
    return found[0] if found else ""
