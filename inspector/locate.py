"""From what a person typed to the address and type of a map."""

from __future__ import annotations

import difflib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inspector.errors import GdbDied, GdbError, GdbMissing, UnknownType, UnknownVariable, UsageError
from inspector.gotypes.gotype import GoType
from inspector.image.elf import Symbol
from inspector.target import Target

TypeSource = Literal["option", "variable", "dwarf", "hash-proof", "heap"]

NEAR_NAMES = 4
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+")
_NAME = re.compile(r"[\w./%~@+\-\[\],*·]+")


@dataclass(frozen=True)
class MapRef:
    """Where a map is and what it is: the hmap's address (0 for a nil map), its type, how we know.

    `name` is the variable it was reached by. A map reached by name is believed to be one; a bare address
    has to look like an hmap first.
    """

    address: int
    type: GoType
    type_source: TypeSource
    name: str | None = None


def parse_address(text: str) -> int | None:
    """Read "0xc000..." or a decimal number; None for anything else. Raises UsageError beyond 64 bits."""
    if not _NUMBER.fullmatch(text):
        return None
    address = int(text, 0) if text[:2] in ("0x", "0X") else int(text)
    if address >= 1 << 64:
        raise UsageError(f"{text} is more than 64 bits", "addresses look like 0xc000012345")
    return address


@dataclass(frozen=True)
class Locator:
    """A map that is known by name and type, whose address is still to be read while the target is held."""

    type: GoType
    type_source: TypeSource
    address: int | None = None
    symbol: Symbol | None = None
    path: str = ""
    name: str | None = None

    def find(self, target: Target) -> MapRef:
        """Read where the map is now; raises UnknownVariable, UnreadableMemory, GdbDied."""
        if self.address is not None:
            return MapRef(self.address, self.type, self.type_source)
        assert self.symbol is not None
        if not self.path:
            word = struct.unpack("<Q", target.memory.read(self.symbol.address, 8))[0]
            return MapRef(word, self.type, self.type_source, self.name)
        try:
            word = target.bridge().value_of(expression(self.symbol, self.path))
        except GdbDied:
            raise
        except GdbError as error:
            raise UnknownVariable(f"{self.name} cannot be read: {error.message}") from None
        return MapRef(word, self.type, self.type_source, self.name)


def locate(target: Target, text: str, type_name: str | None) -> Locator:
    """Understand what `text` names: an address, or a Go variable with an optional field path.

    Needs no stop: only types and symbols are looked at. Raises UsageError, UnknownVariable, UnknownType,
    GdbError.
    """
    wanted = target.types.find_map_type(type_name) if type_name is not None else None
    address = parse_address(text)
    if address is not None:
        if wanted is None:
            raise UsageError(
                f"the type of the map at {text} is not known",
                "give it with --type 'map[K]V', or name a variable such as main.sessions",
            )
        return Locator(wanted, "option", address)
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is neither an address nor a Go variable", "try 0xc000012345 or main.sessions")
    symbol, path = _find_symbol(target, text)
    try:
        declared = target.bridge().type_of(expression(symbol, path))
    except GdbMissing as error:
        if wanted is None or path:
            raise GdbMissing(
                f"the type of {text} is in the DWARF, which only gdb reads here: {error.message}", error.hint
            ) from None
        return Locator(wanted, "option", None, symbol, path, text)
    except GdbDied:
        raise
    except GdbError as error:
        raise UnknownVariable(f"{text} cannot be looked up: {error.message}") from None
    if wanted is not None:
        _say_contradiction(target, text, wanted, declared)
        return Locator(wanted, "option", None, symbol, path, text)
    return Locator(_map_type(target, text, declared), "variable", None, symbol, path, text)


def expression(symbol: Symbol, path: str) -> str:
    """Write a variable and its field path for gdb; the quotes keep dots and slashes of the name together."""
    return f"'{symbol.name}'{path}"


def _map_type(target: Target, text: str, declared: str) -> GoType:
    try:
        return target.types.find_map_type(declared)
    except UnknownType:
        raise UnknownVariable(
            f"{text} is a {declared}, not a map",
            "name a map variable or a field path to one (main.server.sessions), or give --type",
        ) from None


def _say_contradiction(target: Target, text: str, wanted: GoType, dwarf_name: str) -> None:
    try:
        declared = target.types.find_map_type(dwarf_name)
    except UnknownType:
        return
    if declared.address != wanted.address:
        target.notes.append(f"--type says {wanted.name}, but {text} is declared as {declared.name}")


def _find_symbol(target: Target, text: str) -> tuple[Symbol, str]:
    """Split "example.com/pkg.variable.field.field" at the variable: its symbol, and ".field.field"."""
    for name, path in _splits(text):
        symbol = target.image.symbol(name)
        if symbol is not None:
            return symbol, path
    if target.image.stripped:
        raise UnknownVariable(
            f"{target.image.path} is stripped, so {text} cannot be looked up",
            "give the map's address, or an unstripped twin of the executable with --exe",
        )
    near = difflib.get_close_matches(text, target.image.variables(), NEAR_NAMES, 0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "package variables are written main.sessions"
    raise UnknownVariable(f"there is no variable {text}", hint)


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Possible (symbol, field path) readings, shortest path first."""
    slash = text.rfind("/") + 1
    directory, rest = text[:slash], text[slash:]
    parts = rest.split(".")
    for end in range(len(parts), 1, -1):
        path = "".join(f".{part}" for part in parts[end:])
        name = ".".join(parts[:end])
        yield directory + name, path
        # The linker escapes the dots of an import path's last element: gopkg.in/yaml%2ev2.cache
        for cut in range(2, end):
            escaped = "%2e".join(parts[:cut]) + "." + ".".join(parts[cut:end])
            yield directory + escaped, path
