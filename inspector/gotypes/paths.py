"""Follows field paths such as ".server.parts[3].table" from a variable to a map, as Go's selectors and indices do.

Everything that types decide is decided before the target is held: which field is meant, promoted ones included, and
how far it is from the beginning. Only the pointers on the way are read while the target is held (`Way.place`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from inspector.errors import Hint, UnknownVariable
from inspector.gotypes.gotype import Field, GoType, Kind
from inspector.gotypes.syncmaps import is_sync_map
from inspector.memory.protocol import Memory

MOST_DEREFERENCES = 8
"""Pointers to pointers that are followed at one place. Go follows one; `type p *p` is a type, too."""

MOST_EMBEDDED = 32
"""Depth of embedded structs in which a promoted field is looked for."""

MOST_TYPES = 200
MOST_NAMES = 6
"""Structs that are searched for maps inside a value, and maps or fields that a hint names."""

_STEP = re.compile(r"\.([^\W\d]\w*)|\[(\d{1,9})\]")


class DecidedByMemory(UnknownVariable):
    """Types alone do not say where a step leads: memory does, since it is a map's key, or goes through an interface."""


class Types(Protocol):
    """Where types are looked up: a TypeTable, or the Declarations of an executable."""

    def get(self, address: int) -> GoType:
        """The type at an address; raises BadType, UnreadableMemory."""
        ...


@dataclass(frozen=True)
class Jump:
    """A pointer on the way: `text` names it, and it lies `offset` bytes after the place that was reached before.

    With an `index` it is the pointer of a slice, whose elements have `size` bytes.
    """

    text: str
    offset: int
    index: int | None = None
    size: int = 0

    def land(self, memory: Memory, place: int, name: str) -> int:
        """Where the pointer leads; raises UnknownVariable when it is nil or the index is out of range."""
        if self.index is None:
            target = int(struct.unpack("<Q", memory.read(place + self.offset, 8))[0])
        else:
            target, length = struct.unpack("<Qq", memory.read(place + self.offset, 16))
            if self.index >= length:
                raise _out_of_range(name, self.text, self.index, length)
        if not target:
            raise UnknownVariable(
                f"{name} cannot be read: {self.text} is nil",
                Hint("name another variable, or the map's address with {type}"),
            )
        return target + (self.index or 0) * self.size


@dataclass(frozen=True)
class Way:
    """The way from the address of a variable to what a path names: the jumps, and the bytes after the last of them."""

    name: str
    start: int
    jumps: tuple[Jump, ...]
    offset: int
    type: GoType

    def place(self, memory: Memory) -> int:
        """Read the pointers on the way; call it while the target is held. Raises UnknownVariable, UnreadableMemory."""
        at = self.start
        for jump in self.jumps:
            at = jump.land(memory, at, self.name)
        return at + self.offset


def follow(types: Types, name: str, address: int, go_type: GoType, path: str, whole: bool = True) -> Way:
    """Follow a path from the variable `name`, of a type, at an address.

    A pointer to a map at the end of the `whole` path is followed, too. Reads no memory of the target's. Raises
    UnknownVariable when the types do not allow a step, DecidedByMemory where they do not decide it.
    """
    walker = _Walker(types, name, name + path, go_type)
    for field, index in _STEP.findall(path):
        walker.select(field) if field else walker.element(int(index))
    if whole and go_type_behind(types, walker.type).kind == Kind.MAP:
        walker.dereference()
    return Way(name + path, address, tuple(walker.jumps), walker.offset, walker.type)


def go_type_behind(types: Types, go_type: GoType) -> GoType:
    """What pointers lead to, or the type itself if it is not a pointer."""
    for _ in range(MOST_DEREFERENCES):
        if go_type.kind != Kind.POINTER:
            break
        go_type = types.get(go_type.elem_address)
    return go_type


class _Walker:
    """The place that has been reached: its text, its type, and how to come there."""

    def __init__(self, types: Types, text: str, whole: str, go_type: GoType) -> None:
        self.types, self.text, self.whole, self.type = types, text, whole, go_type
        self.jumps: list[Jump] = []
        self.offset = 0

    def dereference(self) -> None:
        """Follow pointers, as Go does before a selector."""
        for _ in range(MOST_DEREFERENCES):
            if self.type.kind != Kind.POINTER:
                return
            self._jump(Jump(self.text, self.offset), self.types.get(self.type.elem_address))

    def select(self, name: str) -> None:
        """Go on to a field, which may be one of an embedded struct."""
        self.dereference()
        if self.type.kind != Kind.STRUCT:
            raise self._refusal((Kind.INTERFACE, Kind.UNSAFE_POINTER), "which has no fields")
        for field in self._chain(name):
            self.dereference()
            self.offset += field.offset
            self.type = self.types.get(field.type_address)
            self.text += f".{field.name}"

    def element(self, index: int) -> None:
        """Go on to an element of an array or of a slice."""
        self.dereference()
        if is_sync_map(self.type):
            raise DecidedByMemory(f"{self.text} is of type {self.type.name}, whose entries only memory shows")
        if self.type.kind not in (Kind.ARRAY, Kind.SLICE):
            decided = (Kind.INTERFACE, Kind.UNSAFE_POINTER, Kind.MAP)
            raise self._refusal(decided, "which is neither an array nor a slice")
        elem = self.types.get(self.type.elem_address)
        if self.type.kind == Kind.SLICE:
            self._jump(Jump(self.text, self.offset, index, elem.size), elem)
        elif index >= self.type.length:
            raise _out_of_range(self.whole, self.text, index, self.type.length)
        else:
            self.offset += index * elem.size
            self.type = elem
        self.text += f"[{index}]"

    def _refusal(self, decided_by_memory: tuple[Kind, ...], why: str) -> UnknownVariable:
        error = DecidedByMemory if self.type.kind in decided_by_memory else UnknownVariable
        return error(f"{self.text} is of type {self.type.name}, {why}", _hint(self.type))

    def _jump(self, jump: Jump, target: GoType) -> None:
        self.jumps.append(jump)
        self.type, self.offset = target, 0

    def _chain(self, name: str) -> tuple[Field, ...]:
        """The embedded fields that lead to a field, and itself. The shallowest one counts, as in Go."""
        for level in _levels(self.types, self.type):
            found = [(*chain, field) for owner, chain in level for field in owner.fields if field.name == name]
            if len(found) > 1:
                ways = ", ".join(f"{self.text}.{'.'.join(field.name for field in each)}" for each in found[:MOST_NAMES])
                raise UnknownVariable(f"{self.text}.{name} is ambiguous", f"choose one: {ways}")
            if found:
                return found[0]
        raise self._no_field(name)

    def _no_field(self, name: str) -> UnknownVariable:
        names = [
            field.name
            for level in _levels(self.types, self.type)
            for owner, _ in level
            for field in owner.fields
            if field.name != "_"
        ]
        import difflib

        near = difflib.get_close_matches(name, names, 1)
        more = ", ..." if len(names) > MOST_NAMES else ""
        hint = f"fields: {', '.join(names[:MOST_NAMES])}{more}" if names else "it has no fields"
        if near:
            hint += f"; did you mean {self.text}.{near[0]}?"
        return UnknownVariable(f"{self.text} has no field {name}", hint)


Level = list[tuple[GoType, tuple[Field, ...]]]


def _levels(types: Types, go_type: GoType) -> Iterator[Level]:
    """The struct itself, then the structs embedded in it, and so on, each with the fields that lead to it."""
    level: Level = [(go_type, ())]
    seen = {go_type.address}
    for _ in range(MOST_EMBEDDED):
        if not level:
            return
        yield level
        inner = [
            (go_type_behind(types, types.get(field.type_address)), (*chain, field))
            for owner, chain in level
            for field in owner.fields
            if field.embedded
        ]
        level = [(each, chain) for each, chain in inner if each.kind == Kind.STRUCT and each.address not in seen]
        seen.update(each.address for each, _ in level)


def maps_inside(types: Types, name: str, go_type: GoType) -> list[str]:
    """Some paths from a value to maps in it, the shortest first, for a hint: ["main.server.sessions"]."""
    found: list[str] = []
    seen: set[int] = set()
    left = [(name, go_type)]
    for text, each in left:
        inner = go_type_behind(types, each)
        if inner.kind == Kind.MAP or is_sync_map(inner):
            found.append(text)
        if len(found) == MOST_NAMES or len(seen) == MOST_TYPES:
            break
        if inner.address in seen:
            continue
        seen.add(inner.address)
        if inner.kind == Kind.STRUCT and not is_sync_map(inner):
            left += [(f"{text}.{field.name}", types.get(field.type_address)) for field in inner.fields]
        elif inner.kind == Kind.SLICE or (inner.kind == Kind.ARRAY and inner.length):
            left.append((f"{text}[0]", types.get(inner.elem_address)))
    return found


def _out_of_range(name: str, text: str, index: int, length: int) -> UnknownVariable:
    return UnknownVariable(f"{name} cannot be read: index {index} is out of range", f"{text} has {length} elements")


def _hint(go_type: GoType) -> Hint | str:
    if go_type.kind == Kind.MAP:
        return Hint("a path ends at a map; look one entry up with {key}")
    if go_type.kind == Kind.INTERFACE:
        return "what an interface holds is not declared; list all maps instead"
    return "fields are written main.server.sessions, elements main.shards[2]"
