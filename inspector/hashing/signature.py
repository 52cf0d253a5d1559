"""Signatures of key types, which decide the hash function that the compiler of Go 1.27 makes for a map.

A signature lists what is hashed, in order of address, with all nested structs and arrays taken apart: neighbouring
plain memory becomes one run, wherever it comes from, and padding and blank fields are skipped. Two types with one
signature share a hash function, whose symbol has the signature in its name: type:.hash.M4K4M8S.

Source: eqSignature, eqSigBuilder and hashFunc in cmd/compile/internal/reflectdata/alg.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_NESTING
from inspector.gotypes.table import BadType, TypeTable

UNROLLED = 32
"""Bytes that one turn of a loop over an array hashes, about (unrollSize)."""

MOST_STEPS = 1 << 17
"""Types that one signature may be made of: a struct has up to 65,536 fields, more is damaged memory."""

FLOAT_PARTS = {
    Kind.FLOAT32: ("F",),
    Kind.FLOAT64: ("G",),
    Kind.COMPLEX64: ("F", "F"),
    Kind.COMPLEX128: ("G", "G"),
}

LETTER_SIZES = {"F": 4, "G": 8, "S": 16, "I": 16, "E": 16}


@dataclass(frozen=True)
class Run:
    """`size` bytes of plain memory (M)."""

    size: int

    def __str__(self) -> str:
        return f"M{self.size}"


@dataclass(frozen=True)
class Gap:
    """`size` bytes that are not hashed: padding and blank fields (K)."""

    size: int

    def __str__(self) -> str:
        return f"K{self.size}"


@dataclass(frozen=True)
class Scalar:
    """A float32 (F), a float64 (G), a string (S), an interface with methods (I) or without (E).

    `go_type` is the type that it was found in: a complex number is two floats.
    """

    letter: str
    go_type: GoType

    @property
    def size(self) -> int:
        """Bytes."""
        return LETTER_SIZES[self.letter]

    def __str__(self) -> str:
        return self.letter


@dataclass(frozen=True)
class Loop:
    """`parts`, `count` times one after the other."""

    count: int
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * size_of(self.parts)

    def __str__(self) -> str:
        return f"[{self.count}{spelled(self.parts)}]"


Part = Run | Gap | Scalar | Loop
Signature = tuple[Part, ...]


def size_of(parts: Iterable[Part]) -> int:
    """Bytes that parts cover together."""
    return sum(part.size for part in parts)


def spelled(parts: Iterable[Part]) -> str:
    """A signature as the compiler writes it into names of symbols: "M4K4M8S"."""
    return "".join(map(str, parts))


def signature(types: TypeTable, go_type: GoType) -> Signature:
    """Take a comparable type apart (eqSignature).

    Raises BadType for a type that is not comparable, and for descriptors that contradict each other;
    UnreadableMemory where a descriptor cannot be read.
    """
    builder = _Builder(types)
    builder.add(go_type, 0)
    builder.flush()
    if size_of(builder.parts) != go_type.size:
        raise BadType(f"the parts of the type {go_type.name} do not add up to its {go_type.size} bytes")
    if builder.parts and isinstance(builder.parts[-1], Gap):
        builder.parts.pop()
    return tuple(builder.parts)


@dataclass
class _Builder:
    """Gathers parts; plain memory, or what is skipped, is pending until something else follows (eqSigBuilder)."""

    types: TypeTable
    parts: list[Part] = field(default_factory=list)
    pending: Run | Gap | None = None
    steps: int = 0

    def flush(self) -> None:
        if self.pending is not None:
            self.parts.append(self.pending)
            self.pending = None

    def extend(self, kind: type[Run] | type[Gap], size: int) -> None:
        if size == 0:
            return
        if isinstance(self.pending, kind):
            size += self.pending.size
        else:
            self.flush()
        self.pending = kind(size)

    def add(self, go_type: GoType, depth: int) -> None:
        self.steps += 1
        if depth > MAX_NESTING or self.steps > MOST_STEPS:
            raise BadType(f"the type {go_type.name} is made of too many others")
        if go_type.regular_memory:
            self.extend(Run, go_type.size)
        elif go_type.kind == Kind.STRUCT:
            self._add_struct(go_type, depth)
        elif go_type.kind == Kind.ARRAY:
            self._add_array(go_type, depth)
        else:
            self.flush()
            self.parts += [Scalar(letter, go_type) for letter in _letters(go_type)]

    def _add_struct(self, go_type: GoType, depth: int) -> None:
        at = 0
        for member in go_type.fields:
            if member.name == "_":
                continue
            part = self.types.get(member.type_address)
            self.extend(Gap, max(0, member.offset - at))
            self.add(part, depth + 1)
            at = member.offset + part.size
        self.extend(Gap, max(0, go_type.size - at))

    def _add_array(self, go_type: GoType, depth: int) -> None:
        """Single elements up to a multiple of how many one turn of a loop hashes, then a loop, unless it turns once."""
        elem = self.types.elem(go_type)
        if elem.size == 0:
            return
        turn = max(1, UNROLLED // elem.size) if go_type.length > 1 else 1
        single = go_type.length % turn
        turns = go_type.length // turn
        if turns == 1:
            single, turns = single + turn, 0
        for _ in range(single):
            self.add(elem, depth + 1)
        if turns:
            self.flush()
            body = _Builder(self.types, steps=self.steps)
            for _ in range(turn):
                body.add(elem, depth + 1)
            body.flush()
            self.steps = body.steps
            self.parts.append(Loop(turns, tuple(body.parts)))


def _letters(go_type: GoType) -> tuple[str, ...]:
    if go_type.kind in FLOAT_PARTS:
        return FLOAT_PARTS[go_type.kind]
    if go_type.kind == Kind.STRING:
        return ("S",)
    if go_type.kind == Kind.INTERFACE:
        return ("I",) if go_type.methods else ("E",)
    raise BadType(f"values of the type {go_type.name} cannot be compared")
