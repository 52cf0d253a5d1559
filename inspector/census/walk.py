"""From what is known by its type to the maps that it leads to: through fields, pointers, slices, interfaces and maps.

Objects are visited level by level, all those of one type at once, and each only once for each type that leads to it.
What is remembered of an object is the word that led to it, and which object that word is in: enough to call it by its
path later, whatever the path is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError, UnreadableMemory
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.syncmaps import as_map, is_sync_map
from inspector.gotypes.table import TypeTable
from inspector.maps.family import Slots
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Memory, RegionMap, Rows
from inspector.memory.sets import distinct

WORD = 8
MOST_OBJECTS = 1 << 21
"""Objects that are visited at most: what is remembered of them fills 64 MiB."""

MOST_BYTES = 1 << 22
"""Bytes of objects that are looked at in one go."""

LARGEST_OBJECT = 1 << 26
MOST_LEVELS = 1 << 12
"""Levels of a walk, but for lists."""

LISTS_FROM, MOST_LISTS = 16, 64
"""The level from which on lists are followed at once, where so few of them are: what is so deep has no path as a name.

A list of a million elements would have a million levels.
"""

MOST_NESTING = 32
FEW = 1 << 10

WHOLE, ELEM, KEY, INSIDE = -1, -2, -3, -4
"""Instead of an index: the word leads to the object; or it is a key's slot, and the object its element, or the key.

Or the object lies inside of the other one, where the word is: a sync.Map in a variable or a struct.
"""

Numbers = NDArray[np.int64]

NONE: Addresses = np.empty(0, np.uint64)
"""No address."""


CellsOf = Callable[[int, GoType], Iterator[Slots]]


@dataclass(frozen=True)
class Objects:
    """Objects of one type, one a row: address, number of the object that leads to it, the word in it that does.

    `index` counts elements of a slice, or is WHOLE, ELEM, KEY or INSIDE. Origins below zero are roots.
    """

    addresses: Addresses
    origins: Numbers
    words: Addresses
    index: Numbers

    def where(self, chosen: NDArray[np.bool_] | Numbers) -> Objects:
        """Some of them."""
        return Objects(self.addresses[chosen], self.origins[chosen], self.words[chosen], self.index[chosen])


@dataclass(frozen=True)
class Step:
    """One object on a path: its type, its address, and how it was reached (see Objects)."""

    type: GoType
    address: int
    origin: int
    word: int
    index: int


class Seen:
    """Addresses that are known already, as few ascending arrays, each at least twice as long as the next.

    So those of a list are not sorted anew for each of its elements.
    """

    def __init__(self) -> None:
        self.parts: list[Addresses] = []

    def hold(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which addresses are known."""
        known = np.zeros(len(addresses), dtype=bool)
        for part in self.parts:
            known |= _among(addresses, part)
        return known

    def has(self, address: int) -> bool:
        """Whether one address is known."""
        word = np.uint64(address)
        return any(part[min(int(part.searchsorted(word)), len(part) - 1)] == word for part in self.parts)

    def add(self, addresses: Addresses) -> None:
        """Know more addresses, in any order."""
        new = distinct(addresses)
        while self.parts and len(self.parts[-1]) < 2 * len(new):
            new = distinct(np.concatenate([self.parts.pop(), new]))
        if len(new):
            self.parts.append(new)


@dataclass
class Visited:
    """All objects of a walk in the order of their numbers."""

    firsts: list[int] = field(default_factory=list)
    types: list[GoType] = field(default_factory=list)
    groups: list[Objects] = field(default_factory=list)
    count: int = 0
    roots: NDArray[np.int32] = field(default_factory=lambda: np.empty(FEW, np.int32))

    def add(self, go_type: GoType, objects: Objects) -> Numbers:
        """Keep objects and give them their numbers."""
        self.firsts.append(self.count)
        self.types.append(go_type)
        self.groups.append(objects)
        numbers = self.count + np.arange(len(objects.addresses))
        self.count += len(numbers)
        if self.count > len(self.roots):
            self.roots = np.resize(self.roots, 2 * self.count)
        self._note_roots(numbers, objects.origins)
        return numbers

    def _note_roots(self, numbers: Numbers, origins: Numbers) -> None:
        """Paths may be long: nobody wants to go back on each of them. Some origins may be among the new ones."""
        first = self.count - len(numbers)
        parents = np.where(origins >= first, origins - first, np.arange(len(numbers)))
        while (parents != parents[parents]).any():
            parents = parents[parents]
        origins = origins[parents]
        self.roots[numbers] = np.where(origins < 0, origins, self.roots[np.maximum(origins, 0)])

    def root(self, number: int) -> int:
        """The negative number of the root that an object was reached from; a root's is its own."""
        return number if number < 0 else int(self.roots[number])

    def origins(self, numbers: Numbers) -> Numbers:
        """The numbers of what led to some objects, all of which were added at once."""
        if not len(numbers):
            return numbers
        at = bisect_right(self.firsts, int(numbers[0])) - 1
        return np.asarray(self.groups[at].origins[numbers - self.firsts[at]])

    def step(self, number: int) -> Step:
        """What is known of one object."""
        at = bisect_right(self.firsts, number) - 1
        group, row = self.groups[at], number - self.firsts[at]
        facts = (group.addresses, group.origins, group.words, group.index)
        return Step(self.types[at], *(int(fact[row]) for fact in facts))


class Walk:
    """A walk through a target's memory; `maps` are the numbers of the maps found, by address.

    `again` has the number of a second way to those that a root led to first: roots without a name say nothing of what
    holds a map.
    """

    def __init__(self, types: TypeTable, memory: Memory, regions: RegionMap, cells_of: CellsOf) -> None:
        self.types, self.memory, self.regions, self.cells_of = types, memory, regions, cells_of
        self.visited = Visited()
        self.maps: dict[int, tuple[int, ...]] = {}
        self.cut = ""
        """Why not everything was followed, as a sentence; empty where it was."""
        self.again: dict[int, int] = {}
        self._unheld: Addresses = NONE
        self._level = 0
        self._links: dict[int, list[int]] = {}
        self._seen: dict[int, Seen] = defaultdict(Seen)
        self._sync_seen = Seen()
        self._pending: dict[int, list[Objects]] = defaultdict(list)
        self._dynamic: dict[tuple[int, bool], GoType | None] = {}
        self._leads: dict[int, bool] = {}

    def begin(self, go_type: GoType, addresses: Addresses, root: int) -> None:
        """Begin at values in memory; `root` is a negative number that stands for them."""
        same = np.full(len(addresses), root), addresses, np.full(len(addresses), WHOLE)
        self._push(go_type, Objects(addresses, *same))

    def run(self) -> None:
        """Visit all that can be reached."""
        for self._level in range(MOST_LEVELS):
            if not self._pending:
                return
            pending, self._pending = self._pending, defaultdict(list)
            for type_address, groups in pending.items():
                with suppress(InspectError):
                    self._visit(self.types.get(type_address), _joined(groups))
        self.cut = f"references lead through more than {MOST_LEVELS:,} objects, one behind the other"

    # Objects

    def _push(self, go_type: GoType, objects: Objects) -> None:
        if not len(objects.addresses) or not self.leads_to_maps(go_type):
            return
        # Thousands of pointers may lead to one object: what waits must not grow beyond what there is.
        _, first = np.unique(objects.addresses, return_index=True)
        objects = objects.where(first[~self._seen[go_type.address].hold(objects.addresses[first])])
        if not len(objects.addresses):
            return
        self._pending[go_type.address].append(objects)

    def _visit(self, go_type: GoType, objects: Objects) -> None:
        if not 0 < go_type.size <= LARGEST_OBJECT:
            return
        _, first = np.unique(objects.addresses, return_index=True)
        objects = objects.where(first)
        seen = self._seen[go_type.address]
        fresh = ~seen.hold(objects.addresses) & self.regions.contains(objects.addresses, go_type.size)
        objects = objects.where(fresh)
        if self.visited.count + len(objects.addresses) > MOST_OBJECTS:
            self._too_many()
            return
        if self._level >= LISTS_FROM and len(objects.addresses) <= MOST_LISTS:
            objects = self._with_lists(go_type, objects)
        seen.add(objects.addresses)
        numbers = self.visited.add(go_type, objects)
        step = max(1, MOST_BYTES // go_type.size)
        for at in range(0, len(numbers), step):
            here = objects.addresses[at : at + step]
            rows, ok = gather(self.memory, self.regions, here, go_type.size)
            self._expand(go_type, rows[ok], here[ok], numbers[at : at + step][ok], 0)

    def _too_many(self) -> None:
        self.cut = f"more than {MOST_OBJECTS:,} objects are reachable"

    def _with_lists(self, go_type: GoType, objects: Objects) -> Objects:
        """Objects, and behind them those that one of them leads to by pointers to its own type, one after the other."""
        if go_type.address not in self._links:
            self._links[go_type.address] = list(self._pointers_to_own(go_type, go_type))
        links, seen = self._links[go_type.address], self._seen[go_type.address]
        new = set(objects.addresses.tolist())
        addresses, origins, words = list[int](), list[int](), list[int]()
        first = self.visited.count + len(objects.addresses)
        for number, address in enumerate(objects.addresses.tolist() if links else (), self.visited.count):
            while first + len(addresses) < MOST_OBJECTS:
                for word in (address + offset for offset in links):
                    target = self._word(word)
                    if target not in new and self.regions.covers(target, go_type.size) and not seen.has(target):
                        break
                else:
                    break
                addresses.append(target)
                origins.append(number)
                words.append(word)
                new.add(target)
                number, address = first + len(addresses) - 1, target
        parts = np.array(addresses, np.uint64), np.array(origins, np.int64), np.array(words, np.uint64)
        return _joined([objects, Objects(*parts, np.full(len(addresses), WHOLE))])

    def _pointers_to_own(self, go_type: GoType, part: GoType, at: int = 0) -> Iterator[int]:
        """Offsets of the pointers in a struct that lead to others of its type."""
        for each in part.fields:
            inner = self.types.get(each.type_address)
            if inner.kind == Kind.STRUCT:
                yield from self._pointers_to_own(go_type, inner, at + each.offset)
            elif inner.kind == Kind.POINTER and inner.elem_address == go_type.address:
                yield at + each.offset

    def _word(self, address: int) -> int:
        try:
            return int.from_bytes(self.memory.read(address, WORD), "little")
        except UnreadableMemory:
            return 0

    # Values: bytes of shape (n, size), the addresses they lie at, the numbers of the objects they are parts of

    def _expand(self, go_type: GoType, rows: Rows, places: Addresses, numbers: Numbers, depth: int) -> None:
        if not len(rows) or depth > MOST_NESTING or not self.leads_to_maps(go_type):
            return
        kind = go_type.kind
        if kind == Kind.MAP:
            self._maps_found(go_type, _words(rows, 0), places, numbers)
        elif kind == Kind.POINTER:
            self._pointers(self.types.elem(go_type), _words(rows, 0), places, numbers)
        elif is_sync_map(go_type):
            self._sync_maps(go_type, rows, places, numbers)
        elif kind == Kind.STRUCT:
            self._fields(go_type, rows, places, numbers, depth)
        elif kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            for at in range(0, go_type.length * elem.size, elem.size):
                self._expand(elem, rows[:, at : at + elem.size], places + np.uint64(at), numbers, depth + 1)
        elif kind == Kind.SLICE:
            self._slices(self.types.elem(go_type), rows, places, numbers)
        elif kind == Kind.INTERFACE:
            self._interfaces(go_type, rows, places, numbers, depth)

    def _pointers(self, elem: GoType, targets: Addresses, places: Addresses, numbers: Numbers) -> None:
        some = targets != 0
        index = np.full(int(some.sum()), WHOLE)
        self._push(elem, Objects(targets[some], numbers[some], places[some], index))

    def _fields(self, go_type: GoType, rows: Rows, places: Addresses, numbers: Numbers, depth: int) -> None:
        hidden = self._behind_unsafe_pointers(go_type)
        for part in go_type.fields:
            inner, at = self.types.get(part.type_address), part.offset
            if inner.kind == Kind.UNSAFE_POINTER and hidden is not None:
                self._pointers(hidden, _words(rows, at), places + np.uint64(at), numbers)
            else:
                self._expand(inner, rows[:, at : at + inner.size], places + np.uint64(at), numbers, depth + 1)

    def _slices(self, elem: GoType, rows: Rows, places: Addresses, numbers: Numbers) -> None:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.slice_header))[:, 0]
        if not elem.size or not self.leads_to_maps(elem):
            return
        lengths = headers["len"]
        fits = (lengths > 0) & (lengths <= headers["cap"]) & (lengths <= LARGEST_OBJECT)
        fits &= self.regions.contains(
            headers["data"], np.where(fits, lengths, 0).astype(np.uint64) * np.uint64(elem.size)
        )
        # Of slices that begin in one place the longest has the elements of all.
        order = np.lexsort((-np.where(fits, lengths, 0), headers["data"]))
        fits[order[1:][headers["data"][order[1:]] == headers["data"][order[:-1]]]] = False
        few = np.cumsum(np.where(fits, lengths, 0)) <= MOST_OBJECTS
        if (fits & ~few).any():
            self._too_many()
        chosen = np.flatnonzero(fits & few)
        lengths = lengths[chosen]
        which = np.repeat(chosen, lengths)
        index = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        targets = headers["data"][which] + index.astype(np.uint64) * np.uint64(elem.size)
        self._push(elem, Objects(targets, numbers[which], places[which], index))

    def _interfaces(self, go_type: GoType, rows: Rows, places: Addresses, numbers: Numbers, depth: int) -> None:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        for tab in distinct(headers["tab"][headers["tab"] != 0]).tolist():
            dynamic = self._dynamic_type(go_type, tab)
            if dynamic is None:
                continue
            group = np.flatnonzero(headers["tab"] == tab)
            words, at = np.ascontiguousarray(headers["data"][group]), places[group] + np.uint64(WORD)
            if dynamic.direct_iface:
                self._expand(dynamic, words.view(np.uint8).reshape(-1, WORD), at, numbers[group], depth + 1)
            else:
                self._pointers(dynamic, words, at, numbers[group])

    def _dynamic_type(self, interface: GoType, tab: int) -> GoType | None:
        key = (tab, bool(interface.methods))
        if key not in self._dynamic:
            self._dynamic[key] = None
            with suppress(InspectError):
                self._dynamic[key] = self.types.dynamic(interface, tab, self.memory)
        return self._dynamic[key]

    def _maps_found(self, go_type: GoType, targets: Addresses, places: Addresses, numbers: Numbers) -> None:
        """Maps are objects too: what is behind them are their cells."""
        seen = self._seen[go_type.address]
        fresh = np.flatnonzero((targets != 0) & ~seen.hold(targets))
        fresh = fresh[np.unique(targets[fresh], return_index=True)[1]]
        seen.add(targets[fresh])
        found = Objects(targets[fresh], numbers[fresh], places[fresh], np.full(len(fresh), WHOLE))
        for number, address in zip(self.visited.add(go_type, found).tolist(), found.addresses.tolist(), strict=True):
            self.maps[address] = (*self.maps.get(address, ()), number)
            self.into_map(go_type, address, number)
        found = Objects(targets, numbers, places, np.full(len(targets), WHOLE))
        from_root = self.visited.origins(numbers) < 0
        self._reached_again(go_type, found.where(~from_root))
        self._unheld = distinct(np.concatenate([self._unheld, targets[fresh][from_root[fresh]]]))

    def _reached_again(self, go_type: GoType, found: Objects) -> None:
        found = found.where(_among(found.addresses, self._unheld))
        found = found.where(np.unique(found.addresses, return_index=True)[1])
        self._unheld = self._unheld[~_among(self._unheld, found.addresses)]
        numbers = self.visited.add(go_type, found).tolist()
        self.again |= dict(zip(found.addresses.tolist(), numbers, strict=True))

    def _sync_maps(self, go_type: GoType, rows: Rows, places: Addresses, numbers: Numbers) -> None:
        """Each sync.Map is a map of its own, though it lies in something larger. Those never used are left out."""
        used = rows.any(axis=1) & ~self._sync_seen.hold(places)
        self._sync_seen.add(places[used])
        go_type = as_map(self.types, go_type)
        inside = Objects(places[used], numbers[used], places[used], np.full(int(used.sum()), INSIDE))
        for number, address in zip(self.visited.add(go_type, inside).tolist(), places[used].tolist(), strict=True):
            self.maps[address] = (*self.maps.get(address, ()), number)
            self.into_map(go_type, address, number)

    def into_map(self, go_type: GoType, address: int, number: int) -> None:
        """Note the keys and elements of a map as objects to visit; a negative `number` stands for a root."""
        key, elem = self.types.key(go_type), self.types.elem(go_type)
        if not (self.leads_to_maps(key) or self.leads_to_maps(elem)):
            return
        for slots in self.cells_of(address, go_type):
            numbers = np.full(len(slots.keys), number)
            for part, values, what in ((elem, slots.elem_values, ELEM), (key, slots.key_values, KEY)):
                self._push(part, Objects(values, numbers, slots.keys, np.full(len(numbers), what)))

    # Types

    def leads_to_maps(self, go_type: GoType) -> bool:
        """Whether values of a type can lead to a map at all: most types of a program cannot."""
        if go_type.address not in self._leads:
            seen: set[int] = set()
            found = self._search(go_type, seen)
            # What led nowhere leads nowhere from each type on the way.
            self._leads.update({go_type.address: True} if found else dict.fromkeys(seen, False))
        return self._leads[go_type.address]

    def _search(self, start: GoType, seen: set[int]) -> bool:
        left = [start]
        while left:
            go_type = left.pop()
            # A map type without a layout is known from the DWARF alone, so no map of it was ever made.
            if (
                go_type.layout
                or go_type.kind == Kind.INTERFACE
                or is_sync_map(go_type)
                or self._leads.get(go_type.address)
            ):
                return True
            if go_type.address in seen:
                continue
            seen.add(go_type.address)
            if not go_type.has_pointers:
                continue
            with suppress(InspectError):
                if go_type.kind in (Kind.POINTER, Kind.SLICE, Kind.ARRAY):
                    left.append(self.types.elem(go_type))
                elif go_type.kind == Kind.STRUCT:
                    left += [self.types.get(part.type_address) for part in go_type.fields]
                    hidden = self._behind_unsafe_pointers(go_type)
                    left += [hidden] if hidden else []
        seen.add(start.address)
        return False

    def _behind_unsafe_pointers(self, go_type: GoType) -> GoType | None:
        """What the unsafe.Pointer of a struct leads to, if that is known: atomic.Pointer, and entries of sync.Map."""
        for part in go_type.fields:
            inner = self.types.get(part.type_address)
            # sync/atomic.Pointer[T] has a field of type [0]*T.
            if part.name == "_" and inner.kind == Kind.ARRAY and not inner.length:
                pointer = self.types.elem(inner)
                return self.types.elem(pointer) if pointer.kind == Kind.POINTER else None
        # Until 1.19 the entries of a sync.Map led to their interface by an unsafe.Pointer.
        return self.types.find_type("interface {}") if go_type.name == "sync.entry" else None


def _joined(groups: list[Objects]) -> Objects:
    if len(groups) == 1:
        return groups[0]
    parts = ("addresses", "origins", "words", "index")
    return Objects(*(np.concatenate([getattr(group, part) for group in groups]) for part in parts))


def _among(addresses: Addresses, known: Addresses) -> NDArray[np.bool_]:
    """Which addresses are known; `known` is in ascending order."""
    if not len(known):
        return np.zeros(len(addresses), dtype=bool)
    at = np.minimum(np.searchsorted(known, addresses), len(known) - 1)
    return np.asarray(known[at] == addresses)


def _words(rows: Rows, offset: int) -> Addresses:
    return np.ascontiguousarray(rows[:, offset : offset + WORD]).view(np.uint64)[:, 0]
