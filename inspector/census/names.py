"""What a map is called: the path from a package variable to it, or else the type of the object that holds it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from inspector.census.model import CensusMap
from inspector.census.walk import ELEM, INSIDE, KEY, WHOLE, Step, Visited
from inspector.errors import InspectError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.syncmaps import NAME as SYNC_MAP
from inspector.gotypes.syncmaps import is_sync_map
from inspector.gotypes.table import TypeTable
from inspector.memory.gather import gather
from inspector.memory.protocol import Memory
from inspector.naming.spelling import Speller, Unspellable
from inspector.target.run import Run

MOST_STEPS = 8
"""Steps of a path that are readable to the user: deeper objects of a list or a tree are named by their type."""

WORD = 8


@dataclass(frozen=True, slots=True)
class Name:
    """`path` is what leads to a map from a package variable, `holder` the type of the object that holds it.

    Every path can be given as a MAP (naming/grammar.py). There is none where a key on the way has no literal: NaN, or
    one that was gone when it was to be read. A holder is not a name: it begins with a parenthesis, or is a map's type.
    """

    path: str | None
    holder: str | None


@dataclass(frozen=True)
class Root:
    """Where a walk began: a package variable, or (without a name) a map whose type its keys prove, or values of a type.

    `in_array` says that the values are elements of arrays on the heap.
    """

    name: str | None
    type: GoType
    in_array: bool = False


class Namer:
    """Names what a walk has found; root number n is -1 - n there. Keys of maps on the way are read from memory."""

    def __init__(self, types: TypeTable, memory: Memory, visited: Visited, roots: list[Root]) -> None:
        self.types, self.memory, self.visited, self.roots = types, memory, visited, roots

    def name(self, number: int) -> Name:
        """The name of the object with a number."""
        step = self.visited.step(number)
        holder, labels = None, ""
        spellable = True
        for _ in range(MOST_STEPS):
            if step.origin < 0:
                root = self.roots[-1 - step.origin]
                if root.name is None:
                    return Name(None, holder or _without_name(root, step))
                return Name(root.name + labels if spellable else None, holder)
            parent = self.visited.step(step.origin)
            try:
                labels = self._label(parent.type, parent.address, step) + labels
            except Unspellable:
                spellable = False
            if holder is None and step.index in (ELEM, KEY):
                holder = parent.type.name
            elif holder is None and parent.type.kind == Kind.STRUCT and not is_sync_map(parent.type):
                holder = f"({parent.type.name}){labels}"
            step = parent
        return Name(None, holder)

    def _label(self, holder: GoType, address: int, step: Step) -> str:
        if step.index == ELEM:
            return f"[{self._key(holder, step.word)}]"
        if step.index == KEY:
            return f"[key {self._key(holder, step.word)}]"
        path = field_path(self.types, holder, step.word - address)
        return path if step.index in (WHOLE, INSIDE) else f"{path}[{step.index}]"

    def _key(self, map_type: GoType, slot: int) -> str:
        key, layout = self.types.key(map_type), map_type.layout
        try:
            if layout is not None and layout.indirect_key:
                slot = int.from_bytes(self.memory.read(slot, WORD), "little")
            data = bytes(self.memory.read(slot, key.size))
        except InspectError as error:
            raise Unspellable(str(error)) from None
        return Speller(self.types, self.memory).spell(key, data)


def _without_name(root: Root, step: Step) -> str | None:
    """What holds a map that lies in no struct: another map, or a slice."""
    if step.index in (ELEM, KEY):
        return root.type.name
    return f"[]{root.type.name}" if root.in_array and root.type.kind != Kind.ARRAY else None


def named_by_symbols(run: Run, rows: Collection[CensusMap]) -> list[CensusMap]:
    """The rows; those without a name get that of a package variable that leads to their map.

    For programs without debug information: the symbols are known, but not their types, so only variables of a word's
    size are looked at, and those where a sync.Map was found.
    """
    places = {row.address for row in rows if row.type == SYNC_MAP}
    symbols = [symbol for symbol in run.image.data_symbols() if symbol.size == WORD]
    addresses = np.array([symbol.address for symbol in symbols], np.uint64)
    words, ok = gather(run.memory, run.regions(), addresses, WORD)
    values = words.view("<u8").reshape(-1)
    names = {int(values[at]): symbols[at].name for at in np.flatnonzero(ok).tolist()}
    names |= {symbol.address: symbol.name for symbol in run.image.data_symbols() if symbol.address in places}
    return [
        replace(row, name=names[row.address], holder=None) if row.name is None and row.address in names else row
        for row in rows
    ]


def field_path(types: TypeTable, go_type: GoType, offset: int) -> str:
    """The fields and indexes that lead to a place in a value, as in Go: .inside.codes, .limits[1]."""
    path = ""
    while not is_sync_map(go_type):
        if go_type.kind == Kind.STRUCT:
            inside = [(part, types.get(part.type_address)) for part in go_type.fields]
            held = [(part, inner) for part, inner in inside if 0 <= offset - part.offset < inner.size]
            if not held:
                return path
            part, go_type = held[0]
            path, offset = f"{path}.{part.name}", offset - part.offset
        elif go_type.kind == Kind.ARRAY:
            go_type, whole = types.elem(go_type), go_type
            if not go_type.size or not 0 <= offset < whole.size:
                return path
            path, offset = f"{path}[{offset // go_type.size}]", offset % go_type.size
        else:
            break
    return path
