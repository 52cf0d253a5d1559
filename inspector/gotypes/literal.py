"""Go literals of a type, turned into the bytes that such a value has in memory.

What a value points to (the bytes of a string, the value in an interface) is put at made-up addresses of a
FrozenMemory, so that hashing and comparing work as on values of the target.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from inspector.errors import InspectError, UsageError
from inspector.goruntime.types import itab
from inspector.gotypes.gotype import Field, GoType, Kind
from inspector.gotypes.names import normalise
from inspector.gotypes.redaction import bytes_of_memory, quoted_key
from inspector.gotypes.table import TypeTable
from inspector.memory.frozen import FrozenMemory

MADE_UP = 1 << 62
"""Where made-up addresses begin: no process has memory there."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<raw>`[^`]*`)|(?P<char>'(?:[^'\\\n]|\\.)[^'\\\n]*')
    |(?P<number>[+-]?(?:
        0[xX](?:[0-9a-fA-F_]+\.?[0-9a-fA-F_]*|\.[0-9a-fA-F_]+)(?:[pP][+-]?\d+)?|0[bB][01_]+|0[oO][0-7_]+
        |(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?|Inf(?=i?\b))i?)
    |(?P<word>(?:<-)?(?:chan(?:<-)?\ )?(?:[*\[\]\w./%-]*(?:struct|interface)\ ?\{\ ?\}|[*\[\]\w./%-]+))
    |(?P<mark>[{}(),:+-]))""",
    re.VERBOSE,
)
_CONVERSION = re.compile(r"\s*\(([^()]*)\)\s*(?=[({])")
"""A type in parentheses, with the value it is given after it: (*int)(0xc000012345)."""

_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|[0-9]+)")
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))|([^\\]+)", re.DOTALL)

INTEGERS = {
    Kind.INT: "<q", Kind.INT8: "<b", Kind.INT16: "<h", Kind.INT32: "<i", Kind.INT64: "<q",
    Kind.UINT: "<Q", Kind.UINT8: "<B", Kind.UINT16: "<H", Kind.UINT32: "<I", Kind.UINT64: "<Q",
    Kind.UINTPTR: "<Q", Kind.POINTER: "<Q", Kind.CHAN: "<Q", Kind.UNSAFE_POINTER: "<Q",
}  # fmt: skip
FLOATS = {Kind.FLOAT32: "<f", Kind.FLOAT64: "<d"}
COMPLEX = {Kind.COMPLEX64: "<ff", Kind.COMPLEX128: "<dd"}
UNTYPED = {"string": "string", "raw": "string", "char": "int32"}


@dataclass
class Literal:
    """A value's bytes, and the memory that holds what they point to."""

    data: bytes
    memory: FrozenMemory


def parse_literal(types: TypeTable, go_type: GoType, text: str) -> Literal:
    """Read a Go literal of a type: 42, "text", {1, "x"}, {Name: "x"}, int32(5) for an interface, nil, 0xc000...

    For a string the quotes may be left out. Raises UsageError that says what was expected.
    """
    parser = _Parser(types, text)
    if go_type.kind == Kind.STRING and text[:1] not in ('"', "`"):
        return Literal(parser.string_bytes(text.encode(errors="surrogateescape")), parser.memory)
    data = parser.value(go_type)
    parser.end()
    return Literal(data, parser.memory)


@dataclass
class _Parser:
    types: TypeTable
    text: str
    at: int = 0
    memory: FrozenMemory = field(default_factory=FrozenMemory)
    next_address: int = MADE_UP
    _next: tuple[int, tuple[str, str, int]] | None = None

    # Tokens

    def peek(self) -> tuple[str, str]:
        """The next token: its kind and text; ("end", "") after the last."""
        return self.token()[:2]

    def take(self) -> tuple[str, str]:
        """Consume the next token."""
        kind, word, self.at = self.token()
        return kind, word

    def token(self) -> tuple[str, str, int]:
        """The next token and where it ends. It is looked at several times, and matched once."""
        if self._next is None or self._next[0] != self.at:
            match = _TOKEN.match(self.text, self.at)
            if match and match.lastgroup:
                found = match.lastgroup, match.group(match.lastgroup), match.end()
            elif self.text[self.at :].strip():
                raise self.wrong("a literal")
            else:
                found = "end", "", len(self.text)
            self._next = self.at, found
        return self._next[1]

    def expect(self, mark: str) -> None:
        """Consume a punctuation mark; raises UsageError when something else stands there."""
        if self.peek()[1] != mark:
            raise self.wrong(repr(mark))
        self.take()

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self.peek()[0] != "end":
            raise self.wrong("the end")

    def wrong(self, expected: str) -> UsageError:
        """The error for what stands here."""
        rest = self.text[self.at : self.at + 20]
        where = f"at {quoted_key(rest)}" if rest.strip() else "at its end"
        return UsageError(
            f"the key {quoted_key(self.text)} cannot be read: {expected} expected {where}",
            'write it as in Go: 42, "text", {1, "x"}, int32(5), nil or 0xc000012345 for a pointer',
        )

    # Values

    def value(self, go_type: GoType) -> bytes:
        """Read a value of a type."""
        kind = go_type.kind
        if kind == Kind.INTERFACE:
            return self.interface(go_type)
        self.skip_own_name(go_type)
        if self.peek()[1] == "(":
            self.take()
            inner = self.value(go_type)
            self.expect(")")
            return inner
        if kind in INTEGERS:
            return self.integer(go_type)
        if kind in FLOATS:
            return self.pack(FLOATS[kind], self.floating())
        if kind in COMPLEX:
            return self.complex(COMPLEX[kind])
        if kind == Kind.BOOL:
            word = self.take()[1]
            if word not in ("true", "false"):
                raise self.wrong("true or false")
            return bytes([word == "true"])
        if kind == Kind.STRING:
            return self.string_bytes(self.quoted())
        if kind == Kind.ARRAY:
            return self.array(go_type)
        if kind == Kind.STRUCT:
            return self.struct(go_type)
        raise UsageError(f"{go_type.name} cannot be a map's key", "")

    def skip_own_name(self, go_type: GoType) -> None:
        """Leave out the type's own name, in parentheses or not, before its braces or parentheses."""
        converted = _CONVERSION.match(self.text, self.at)
        if converted and self.is_name(converted.group(1), go_type):
            self.at = converted.end()
            return
        kind, word = self.peek()
        if kind == "word" and word not in ("true", "false", "nil", "NaN", "Inf"):
            before = self.at
            self.take()
            if self.peek()[1] not in ("{", "(") or not self.is_name(word, go_type):
                self.at = before

    def is_name(self, word: str, go_type: GoType) -> bool:
        """Whether a type is meant by a word, with its import path or without."""
        return normalise(word) in (go_type.name, self.types.qualified_name(go_type))

    def pack(self, form: str, *values: float | int) -> bytes:
        """Pack the parts of a number, or say that they do not fit."""
        try:
            return struct.pack(form, *values)
        except (struct.error, OverflowError):
            shown = ", ".join(map(str, values))
            raise UsageError(
                f"the key {quoted_key(self.text)} does not fit: {bytes_of_memory(shown)} is out of range", ""
            ) from None

    def integer(self, go_type: GoType) -> bytes:
        """A whole number, a character, or nil for a pointer."""
        kind, word = self.take()
        if word == "nil" and go_type.kind in (Kind.POINTER, Kind.CHAN, Kind.UNSAFE_POINTER):
            return bytes(8)
        if kind == "char":
            return self.pack(INTEGERS[go_type.kind], self.character(word[1:-1]))
        if kind != "number":
            raise self.wrong(f"a number of type {go_type.name}")
        try:
            number = _whole(word.replace("_", ""))
        except ValueError:
            raise self.wrong(f"a whole number of type {go_type.name}") from None
        return self.pack(INTEGERS[go_type.kind], number)

    def character(self, text: str) -> int:
        """The code point of what stands in single quotes; an escape with two or three digits is one too."""
        found = _ESCAPE.fullmatch(text)
        digits = found and (found.group(1) or found.group(3) or found.group(4))
        if digits:
            return int(digits, 16)
        if found and found.group(2):
            return int(found.group(2), 8)
        characters = self.unescape(text).decode(errors="replace")
        if len(characters) != 1:
            raise self.wrong("one character in single quotes")
        return ord(characters)

    def floating(self) -> float:
        """A number with or without a fraction; NaN, Inf, +Inf and -Inf as strconv writes them."""
        _, word = self.take()
        if word in ("-", "+") and self.peek()[1] in ("Inf", "NaN"):
            word += self.take()[1]
        return self.number(word)

    def number(self, word: str) -> float:
        """The value of a number as a float; an imaginary one without its i."""
        plain = word.replace("_", "")
        if plain.lstrip("+-") in ("NaN", "Inf"):
            return float(plain.lower())
        try:
            if _WHOLE.fullmatch(plain):
                return float(_whole(plain))
            return float.fromhex(plain) if "x" in plain.lower() else float(plain)
        except ValueError:
            raise self.wrong("a number") from None
        except OverflowError:
            raise UsageError(
                f"the key {quoted_key(self.text)} does not fit: {bytes_of_memory(word)} is out of range", ""
            ) from None

    def complex(self, form: str) -> bytes:
        """Read a number, an imaginary one, the sum of both, or what the builtin complex is given."""
        if self.peek()[1] == "complex":
            self.take()
            self.expect("(")
            real = self.floating()
            self.expect(",")
            imaginary = self.floating()
            self.expect(")")
            return self.pack(form, real, imaginary)
        terms = list(self.terms())
        if not 0 < len(terms) <= 2 or len({term.endswith("i") for term in terms}) != len(terms):
            raise self.wrong("a number, or a real and an imaginary one")
        values = {term.endswith("i"): self.number(term.removesuffix("i")) for term in terms}
        return self.pack(form, values.get(False, 0.0), values.get(True, 0.0))

    def terms(self) -> Iterator[str]:
        """The numbers of a sum, each with its sign."""
        first = True
        while True:
            before = self.at
            kind, word = self.take()
            if word in ("+", "-"):
                following, number = self.take()
                kind, word = following, word + number
            signed = word[:1] in ("+", "-")
            if (kind != "number" and word.lstrip("+-") != "NaN") or not (first or signed):
                self.at = before
                return
            yield word
            first = False

    def quoted(self) -> bytes:
        """A string in quotes or back quotes."""
        kind, word = self.take()
        if kind == "raw":
            return word[1:-1].replace("\r", "").encode(errors="surrogateescape")
        if kind != "string":
            raise self.wrong("a string in quotes")
        return self.unescape(word[1:-1])

    def unescape(self, text: str) -> bytes:
        """Undo the escapes of a Go string."""
        out = b""
        for two, octal, four, eight, simple, plain in _ESCAPE.findall(text):
            if plain:
                out += plain.encode(errors="surrogateescape")
            elif two or octal:
                out += bytes([int(two, 16) if two else int(octal, 8) & 0xFF])
            elif four or eight:
                out += chr(min(int(four or eight, 16), 0x10FFFF)).encode(errors="replace")
            elif simple in _SIMPLE:
                out += bytes([_SIMPLE[simple]])
            else:
                raise UsageError(
                    f"the key {quoted_key(self.text)} has an unknown escape: \\{bytes_of_memory(simple)}", ""
                )
        return out

    def string_bytes(self, content: bytes) -> bytes:
        """A string header whose bytes lie at a made-up address."""
        return struct.pack("<QQ", self.place(content), len(content))

    def place(self, content: bytes) -> int:
        """Put bytes at a made-up address."""
        address = self.next_address
        if content:
            self.memory.add(address, content)
        self.next_address += max(16, len(content) + -len(content) % 16)
        return address

    def array(self, go_type: GoType) -> bytes:
        """Elements in braces; those left out are zero."""
        elem = self.types.elem(go_type)
        parts: list[bytes] = []
        self.expect("{")
        while self.peek()[1] != "}":
            if len(parts) == go_type.length:
                raise self.wrong(f"no more than {go_type.length} elements")
            parts.append(self.value(elem))
            self.comma()
        self.expect("}")
        return b"".join(parts).ljust(go_type.size, b"\0")

    def struct(self, go_type: GoType) -> bytes:
        """Fields in braces, by name or in order; those left out are zero."""
        data = bytearray(go_type.size)
        named = {f.name: f for f in go_type.fields}
        order = iter(go_type.fields)
        self.expect("{")
        while self.peek()[1] != "}":
            part = self.field_name(named) or next(order, None)
            if part is None:
                raise self.wrong("no more fields")
            inner = self.value(self.types.get(part.type_address))
            data[part.offset : part.offset + len(inner)] = inner
            self.comma()
        self.expect("}")
        return bytes(data)

    def field_name(self, named: dict[str, Field]) -> Field | None:
        """The field that "Name:" announces, None when the value itself comes."""
        before = self.at
        word = self.take()[1]
        if word in named and self.peek()[1] == ":":
            self.take()
            return named[word]
        self.at = before
        return None

    def comma(self) -> None:
        """A comma, unless the brace closes."""
        if self.peek()[1] != "}":
            self.expect(",")

    def interface(self, go_type: GoType) -> bytes:
        """nil, T(value), T{...}, or an untyped literal with its default type."""
        kind, word = self.peek()
        converted = _CONVERSION.match(self.text, self.at)
        if word == "nil":
            self.take()
            return bytes(16)
        if converted:
            name = converted.group(1)
            self.at = converted.end()
        elif word == "(":
            self.take()
            inside = self.interface(go_type)
            self.expect(")")
            return inside
        elif kind == "word" and word not in ("true", "false"):
            name = word
            before = self.at
            self.take()
            if self.peek()[1] not in ("(", "{"):
                raise self.wrong("( or { after a type")
            if self.peek()[1] == "{":
                self.at = before
        else:
            name = UNTYPED.get(kind) or self.default_type(kind, word)
        dynamic = self.dynamic_type(name)
        inner = self.value(dynamic)
        tab = dynamic.address
        if go_type.methods:
            tab = self.place(itab.build({"inter": 0, "typ": dynamic.address, "hash": 0, "unused": 0}))
        data = inner if dynamic.direct_iface else struct.pack("<Q", self.place(inner))
        return struct.pack("<Q", tab) + data

    def default_type(self, kind: str, word: str) -> str:
        """The type of an untyped constant."""
        if word in ("true", "false"):
            return "bool"
        if kind != "number":
            raise self.wrong("a value")
        before = self.at
        terms = list(self.terms())
        self.at = before
        if any(term.endswith("i") for term in terms):
            return "complex128"
        return "int" if _WHOLE.fullmatch(word.replace("_", "")) else "float64"

    def dynamic_type(self, name: str) -> GoType:
        """A type of the executable by name; raises UsageError."""
        try:
            return self.types.find_type(name)
        except InspectError as error:
            raise UsageError(f"the key {quoted_key(self.text)} cannot be read: {error.message}", error.hint) from None


def _whole(plain: str) -> int:
    """A whole number as Go spells it, where a zero in front stands for octal; raises ValueError."""
    return int(plain, 8) if re.fullmatch(r"[+-]?0[0-7]+", plain) else int(plain, 0)
