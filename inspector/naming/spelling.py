"""Keys as they are written in names: literals of Go that lead back to the key, and short forms of long ones."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass

from inspector.errors import InspectError
from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import KEY_LIMITS
from inspector.gotypes.redaction import MARK, current
from inspector.gotypes.render import go_form, spelled_string
from inspector.gotypes.table import TypeTable
from inspector.memory.protocol import Memory

LONGEST_KEY = 64
"""Characters of a key that are written in full."""

SHORT_STRING = 20
"""Characters of a long string that its short form begins with."""

SHORT_PARTS = 40
"""Characters of a long composite value that its short form may begin with."""

HASH_DIGITS = 16
MOST_HASHED = 1 << 20
"""Bytes of a string that its hash is of: its length distinguishes it, too."""

MOST_PARTS = 1 << 10
MOST_NESTING = 8
WORD = 8

BASIC = {Kind.STRING: "string", Kind.INT: "int", Kind.BOOL: "bool", Kind.COMPLEX128: "complex128"}
"""Types of constants that need no type where an interface holds them."""

ADDRESSES = (Kind.POINTER, Kind.CHAN, Kind.UNSAFE_POINTER)


class Unspellable(Exception):
    """No literal leads to this key: it does not equal itself, cannot be read, or its type has no name."""


@dataclass(frozen=True)
class Speller:
    """Spells keys whose bytes lie in a memory."""

    types: TypeTable
    memory: Memory

    def spell(self, go_type: GoType, data: bytes) -> str:
        """One key, in a short form where it is long, or its hash where values are hidden; raises Unspellable."""
        text = self._spelled(go_type, data)
        redactor = current()
        if redactor is None:
            return text
        # As it is hashed in lists of entries.
        value = Decoder(self.types, self.memory).value(go_type, data, KEY_LIMITS)
        return f"{MARK}{redactor.digest(value, is_key=True)}"

    def _spelled(self, go_type: GoType, data: bytes) -> str:
        try:
            if go_type.kind == Kind.STRING:
                return self._string(data, LONGEST_KEY)
            parts = self._value(go_type, data, MOST_NESTING)
        except (InspectError, struct.error) as error:
            raise Unspellable(str(error)) from None
        text = "".join(parts)
        if len(text) <= LONGEST_KEY:
            return text
        return f"{_beginning(text)}#{_hash(text.encode(errors='surrogateescape'))}"

    def literal(self, go_type: GoType, data: bytes) -> str:
        """One key whole, however long it is; raises Unspellable."""
        try:
            return "".join(self._value(go_type, data, MOST_NESTING))
        except (InspectError, struct.error) as error:
            raise Unspellable(str(error)) from None

    def _value(self, go_type: GoType, data: bytes, depth: int) -> list[str]:
        """The parts of a literal: joined, they are the whole of it."""
        kind = go_type.kind
        if not depth:
            raise Unspellable("nested too deeply")
        if kind == Kind.STRING:
            return [self._string(data, None)]
        if kind in ADDRESSES:
            address = int.from_bytes(data, "little")
            return [f"{address:#x}" if address else "nil"]
        if kind == Kind.STRUCT:
            named = [part for part in go_type.fields if part.name != "_"]
            inner = [(f"{part.name}:", self.types.get(part.type_address), part.offset) for part in named]
            return self._braces(inner, data, depth)
        if kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            if go_type.length > MOST_PARTS:
                raise Unspellable("too many elements")
            return self._braces([("", elem, at * elem.size) for at in range(go_type.length)], data, depth)
        if kind == Kind.INTERFACE:
            return self._interface(go_type, data, depth)
        value = Decoder(self.types, self.memory).value(go_type, data, KEY_LIMITS)
        if not isinstance(value, (bool, int, float, complex)) or _is_nan(value):
            raise Unspellable("it does not equal itself" if isinstance(value, (float, complex)) else "not a key")
        return [go_form(value)]

    def _braces(self, inner: list[tuple[str, GoType, int]], data: bytes, depth: int) -> list[str]:
        parts = ["{"]
        for number, (label, go_type, offset) in enumerate(inner):
            parts.append(f"{', ' if number else ''}{label}")
            parts += self._value(go_type, data[offset : offset + go_type.size], depth - 1)
        return [*parts, "}"]

    def _interface(self, go_type: GoType, data: bytes, depth: int) -> list[str]:
        tab, word = struct.unpack("<QQ", data)
        if not tab:
            return ["nil"]
        dynamic = self.types.dynamic(go_type, tab, self.memory)
        content = data[WORD:] if dynamic.direct_iface else bytes(self.memory.read(word, dynamic.size))
        inside = self._value(dynamic, content, depth - 1)
        if BASIC.get(dynamic.kind) == dynamic.name:
            return inside
        name = self._name(dynamic)
        if dynamic.kind in (Kind.STRUCT, Kind.ARRAY):
            return [name, *inside]
        return [f"({name})(" if dynamic.kind in ADDRESSES else f"{name}(", *inside, ")"]

    def _name(self, dynamic: GoType) -> str:
        """A name that leads to no other type."""
        for name in (dynamic.name, self.types.qualified_name(dynamic)):
            if self.types.find_type(name).address == dynamic.address:
                return name
        raise Unspellable(f"several types are called {dynamic.name}")

    def _string(self, data: bytes, longest: int | None) -> str:
        address, length = struct.unpack("<Qq", data)
        if length < 0:
            raise Unspellable("a string of negative length")
        content = bytes(self.memory.read(address, min(length, MOST_HASHED))) if length else b""
        text = content.decode(errors="surrogateescape")
        if longest is None or len(text) <= longest:
            if length == len(content) and len(spelled_string(text)) <= (longest or length * 4) + 2:
                return spelled_string(text)
            if longest is None:
                raise Unspellable("a string of more than a megabyte in another value")
        return f"{spelled_string(text[:SHORT_STRING])}...{length}#{_hash(content)}"


def _beginning(text: str) -> str:
    """The first parts of a literal in braces, those that are whole: "{1, 2, 3, ...}" or "main.owner{...}"."""
    opened = text.index("{") + 1 if "{" in text[:LONGEST_KEY] else 0
    if not opened:
        return "..."
    cut = opened
    quoted = escaped = False
    depth = 0
    for at, char in enumerate(text[opened : opened + SHORT_PARTS], opened):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char in "{(":
            depth += 1
        elif char in "})":
            depth -= 1
        elif char == "," and not depth:
            cut = at + 2
    return f"{text[:cut]}...}}"


def short_length(text: str) -> int | None:
    """The length in bytes that a string's short form tells, None where it is not one of a string."""
    before, _, _ = text.rpartition("#")
    beginning, dots, length = before.rpartition("...")
    return int(length) if dots and beginning.endswith('"') and length.isdecimal() and len(length) < 20 else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]


def _is_nan(value: complex) -> bool:
    return math.isnan(complex(value).real) or math.isnan(complex(value).imag)
