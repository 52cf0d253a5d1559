"""Walks a path from a value in memory to a map: through the entries of maps, interfaces and unsafe pointers, too.

Where types alone decide (fields, arrays, slices, pointers) the steps are those of gotypes/paths.py. Call it while the
target is held: every step reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inspector.errors import Hint, UnknownType, UnknownVariable, UsageError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.hidden import behind_unsafe_pointer, nodes_of_trie
from inspector.gotypes.literal import Literal, parse_literal
from inspector.gotypes.names import normalise
from inspector.gotypes.paths import MOST_DEREFERENCES, follow, go_type_behind
from inspector.gotypes.redaction import UNSAID, bytes_of_memory, current, quoted_key
from inspector.gotypes.syncmaps import as_map, is_sync_map
from inspector.maps.family import Slots
from inspector.memory.gather import gather
from inspector.naming.grammar import OF_KEY, SHOWN_CHARACTERS, Step
from inspector.naming.spelling import Speller, Unspellable, short_length
from inspector.target.run import Run

WORD = 8
STRING_SIZE = 16


@dataclass(frozen=True)
class Place:
    """Where a walk has come to: `text` names the value, which lies at `address` and is of `type`."""

    text: str
    address: int
    type: GoType


def walk(run: Run, start: Place, steps: tuple[Step, ...]) -> Place:
    """Follow the steps from a place to the word of a map variable, whose type is known in full.

    Raises UnknownVariable where a step leads nowhere or the end is not a map, UsageError for a key that cannot be read,
    UnreadableMemory.
    """
    walker = _Walker(run, start)
    for step in steps:
        walker.take(step)
    return walker.at_map()


class _Walker:
    def __init__(self, run: Run, start: Place) -> None:
        self.run, self.types, self.memory = run, run.types, run.memory
        self.declared = run.declarations
        self.text, self.address, self.type = start.text, start.address, start.type
        self.hidden: str | None = None

    def take(self, step: Step) -> None:
        """Go one step on."""
        self.hidden = None
        if step.field is not None:
            self._field(step)
        elif step.assertion is not None:
            self._assert(step.assertion)
        else:
            self._brackets(step)
        self.text += step.text if self.hidden is None else self.hidden

    def at_map(self) -> Place:
        """The place, if it is a map variable: behind pointers and interfaces, too; a sync.Map is one itself."""
        self._settle()
        if is_sync_map(self.type):
            return Place(self.text, self.address, as_map(self.types, self.type))
        if self.type.kind != Kind.MAP:
            raise UnknownVariable(
                f"{_shown(self.text)} is of type {_shown(self.type.name)}, not a map",
                "name a map variable, or a field path to one",
            )
        return Place(self.text, self.address, self._with_layout())

    # Steps

    def _field(self, step: Step) -> None:
        self._settle()
        owner = self.type
        self._declared_step(step.text)
        if self.type.kind == Kind.UNSAFE_POINTER and owner.kind == Kind.STRUCT:
            hidden = behind_unsafe_pointer(self.types, owner)
            if hidden is not None:
                self.address, self.type = self._pointer(), hidden
                self._as_node()

    def _brackets(self, step: Step) -> None:
        self._settle()
        assert step.key is not None
        if self.type.kind == Kind.MAP or is_sync_map(self.type):
            self._entry(step, step.key)
            return
        if self.type.kind not in (Kind.ARRAY, Kind.SLICE):
            raise UnknownVariable(
                f"{_shown(self.text)} is of type {_shown(self.type.name)}, which is neither a map, an array nor a slice"
            )
        if step.index is None:
            raise UsageError(
                f"{quoted_key(_shown(step.text))} is not an index of {_shown(self.text)}",
                "elements are counted from 0: [2]",
            )
        self._declared_step(step.text)

    def _declared_step(self, text: str) -> None:
        """A step that types decide."""
        way = follow(self.declared, self.text, self.address, self.type, text, whole=False)
        self.address, self.type = way.place(self.memory), way.type

    def _assert(self, name: str) -> None:
        for _ in range(MOST_DEREFERENCES):
            if self.type.kind != Kind.POINTER or self._is_named(name):
                break
            self._dereference()
        if self.type.kind == Kind.INTERFACE:
            self._into_interface()
        if not self._is_named(name):
            raise UnknownVariable(
                f"{_shown(self.text)} holds a value of type {_shown(self.type.name)}, not {_shown(name)}",
                "leave the assertion out: whatever is there is followed",
            )

    def _is_named(self, name: str) -> bool:
        return normalise(name) in (normalise(self.type.name), normalise(self.types.qualified_name(self.type)))

    # Through pointers and interfaces

    def _settle(self) -> None:
        """Follow pointers and interfaces to a value of another kind."""
        for _ in range(2 * MOST_DEREFERENCES):
            if self.type.kind == Kind.POINTER:
                self._dereference()
            elif self.type.kind == Kind.INTERFACE:
                self._into_interface()
            else:
                return

    def _dereference(self) -> None:
        self.address, self.type = self._pointer(), self.declared.get(self.type.elem_address)

    def _pointer(self) -> int:
        target = int.from_bytes(self.memory.read(self.address, WORD), "little")
        if not target:
            raise self._nil()
        return target

    def _into_interface(self) -> None:
        tab, data = struct.unpack("<QQ", self.memory.read(self.address, 2 * WORD))
        if not tab:
            raise self._nil()
        dynamic = self.types.dynamic(self.type, tab, self.memory)
        # A value of a pointer's shape lies in the interface itself.
        self.address, self.type = self.address + WORD if dynamic.direct_iface else data, dynamic

    def _as_node(self) -> None:
        """A node of a sync.Map is what its first byte says."""
        kinds = nodes_of_trie(self.types, self.type)
        if kinds is not None:
            self.type = kinds[self.memory.read(self.address, 1)[0] != 0]

    def _nil(self) -> UnknownVariable:
        return UnknownVariable(
            f"{_shown(self.text)} is nil", Hint("name another variable, or the map's address with {type}")
        )

    # Entries of maps

    def _with_layout(self) -> GoType:
        """The map's type as its descriptor has it; the DWARF knows only its name."""
        if self.type.layout:
            return self.type
        try:
            return self.types.find_map_type(self.type.name)
        except UnknownType as error:
            raise UnknownVariable(
                f"{_shown(self.text)} is declared as a map, but {error.message}", error.hint
            ) from None

    def _entry(self, step: Step, key: str) -> None:
        if is_sync_map(self.type):
            self.type, map_address = as_map(self.types, self.type), self.address
        else:
            self.type = self._with_layout()
            map_address = int.from_bytes(self.memory.read(self.address, WORD), "little")
        key_type = self.types.key(self.type)
        find = self._spelled if step.short else self._looked_up
        found = find(map_address, key_type, key)
        if found is None:
            raise UnknownVariable(f"{_shown(self.text)} has no key {_shown_key(key)}", "keys are written as in Go")
        self.hidden = self._hidden(step, key_type, found[0])
        self.address = found[0] if step.of_key else found[1]
        self.type = key_type if step.of_key else self.types.elem(self.type)

    def _looked_up(self, address: int, key_type: GoType, key: str) -> tuple[int, int] | None:
        """Where key and element lie; None where the map does not have the key."""
        if key_type.kind == Kind.STRING and key[:1] not in ('"', "`"):
            raise UnknownVariable(
                f"{_shown(self.text)} is of type {_shown(self.type.name)}, and {_shown_key(key)} is not a string",
                f'a string is written in quotes: {_shown(self.text)}["..."]',
            )
        literal = parse_literal(self.types, key_type, key)
        if self.run.source().functions is None or is_sync_map(self.type):
            return self._spelled(address, key_type, self._canonical(key_type, literal))
        found = self.run.family.look_up(self.run.source(), address, self.type, literal)
        return (found.key_address, found.elem_address) if found.found is not None else None

    def _canonical(self, key_type: GoType, literal: Literal) -> str:
        try:
            return Speller(self.types, literal.memory).spell(key_type, literal.data)
        except Unspellable as error:
            why = bytes_of_memory(str(error))
            raise UsageError(f"a key of {_shown(self.text)} cannot be compared: {why}") from None

    def _hidden(self, step: Step, key_type: GoType, address: int) -> str | None:
        """What stands for a step through a map where values are hidden; None where they are not."""
        if current() is None:
            return None
        return f"[{OF_KEY if step.of_key else ''}{self._spell(key_type, address) or UNSAID}]"

    def _spelled(self, address: int, key_type: GoType, key: str) -> tuple[int, int] | None:
        """Where the one key lies that is spelled so, found by spelling every key that it can be."""
        found = []
        for slots in self.run.reader_of(self.type).cells(self.run.source(), address, self.type):
            for at in self._possible(key_type, key, slots):
                spelled = self._spell(key_type, int(slots.key_values[at]))
                if spelled == key:
                    found.append((int(slots.key_values[at]), int(slots.elem_values[at])))
        if len(set(found)) > 1:
            raise UnknownVariable(
                f"{len(found)} keys of {_shown(self.text)} are written {_shown_key(key)}", "give the map's address"
            )
        return found[0] if found else None

    def _possible(self, key_type: GoType, key: str, slots: Slots) -> Iterator[int]:
        """The cells whose keys can be spelled so: strings have to be as long as the short form says."""
        length = short_length(key) if key_type.kind == Kind.STRING else None
        if length is None:
            yield from range(len(slots.key_values))
            return
        headers, ok = gather(self.memory, self.run.regions(), slots.key_values, STRING_SIZE)
        lengths = headers.view("<u8")[:, 1]
        yield from np.flatnonzero(ok)[lengths[ok] == length].tolist()

    def _spell(self, key_type: GoType, address: int) -> str | None:
        try:
            return Speller(self.types, self.memory).spell(key_type, bytes(self.memory.read(address, key_type.size)))
        except Unspellable:
            return None


def leads_through_memory(run: Run, go_type: GoType) -> bool:
    """Whether only memory says what a value of a type is: an interface, or a pointer to one."""
    return go_type_behind(run.declarations, go_type).kind == Kind.INTERFACE


def _shown_key(text: str) -> str:
    return bytes_of_memory(_shown(text))


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
