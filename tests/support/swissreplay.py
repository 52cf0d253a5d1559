"""The same operations done to a Swiss map by a real process and by the mirror, and the two compared slot by slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from fixtures import Running, Toolchain, build, start
from inspector.goruntime.swissgroup import DELETED, GROUP_SLOTS, H2_BITS
from inspector.gotypes.gotype import Kind
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.hashing.hasher import Hasher
from inspector.maps.swiss.assign import assign_function
from inspector.maps.swiss.groups import Groups
from inspector.maps.swiss.layout import layout_of
from inspector.maps.swiss.mirror.assigning import FASTSTR, GENERIC
from inspector.maps.swiss.mirror.clone import clone
from inspector.maps.swiss.mirror.growth import made_for
from inspector.maps.swiss.mirror.iteration import Iter
from inspector.maps.swiss.mirror.maptype import MapType, Offsets
from inspector.maps.swiss.mirror.model import HASH_BITS, MirrorMap
from inspector.maps.swiss.mirror.slots import Slots
from inspector.maps.swiss.mirror.table import Table
from inspector.maps.swiss.snapshot import SwissSnapshot, take_snapshot
from inspector.memory.frozen import FrozenMemory
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.replay import elem_bytes
from tests.support.replay import original as original_of_classic

KINDS = (
    "int64", "int32", "string", "pointer", "wrapped", "any", "float", "wide", "pair", "byte",
    "fat", "fatstring", "fatwide", "set", "stringset", "single", "nothing",
)  # fmt: skip
"""The kinds of the program `replay`, see there."""

WITH_NANS = ("any", "float")
"""Kinds with keys that have another hash each time: what it was is read off memory after each operation."""

POINTER = 8
AT_ONCE = 50
"""Commands that a process gets in one go where nothing has to be read in between."""

HASHED_TOGETHER = 256
"""Keys hashed in one go under a new seed."""

SEED_AT, ITER_AT, ITER_SIZE = 8, 24, 96
"""Where Map has its seed, and where reflect.MapIter has its Iter; bytes."""

MOST_ORDERS = 64
"""Orders in which a clone may have got its entries, of those that its groups leave open, that are tried."""

Command = tuple[Any, ...]


class Strayed(Exception):
    """A mirror asks for something that the process did not do."""


def original(kind: str, number: int) -> int | None:
    """The number of the key that stands for all keys equal to this one; None for a NaN."""
    if kind in ("single", "nothing"):
        return 0
    first = original_of_classic(kind, number)
    return first % 256 if kind == "byte" and first is not None else first


@dataclass(eq=False)
class Step:
    """Commands that a process has carried out, and what it holds now.

    `seed` is the map's; `loop` the words of the iteration under way (None: there is none), `yielded` the bytes of the
    key and the element that it came to with this step. The snapshot is taken when it is asked for, or never.
    """

    process: Process
    commands: list[Command]
    address: int
    seed: int
    loop: np.ndarray | None
    yielded: tuple[bytes, bytes] | None
    taken: SwissSnapshot | None = None

    @property
    def snapshot(self) -> SwissSnapshot:
        """The map after this step, copied as the inspector does; raises Strayed when the process has gone on."""
        if self.taken is None:
            if self.process.last is not self:
                raise Strayed(f"nobody copied the map after {self.commands}")
            self.taken = self.process.snapshot()
        return self.taken


class Process:
    """A process that runs `replay` with Swiss maps, and what mirrors of its map have to know.

    A mirror's keys are the numbers of the program's keys, its elements the numbers that were stored: each operation
    stores another one, so that an element tells which entry it belongs to.
    """

    def __init__(self, running: Running, target: Target, kind: str) -> None:
        told = running.truth
        self.running, self.target, self.kind = running, target, kind
        self.release, types = target.program.release, target.program.types
        self.number: int = told["number"]
        self.keys_at, self.address = int(told["keys"], 16), int(told["map"], 16)
        self.go_type = types.find_map_type(told["type"])
        self.key_type, self.elem_type = types.key(self.go_type), types.elem(self.go_type)
        self.layout = layout_of(self.go_type)
        raw = target.memory.read(self.keys_at, self.number * self.key_type.size)
        self.keys = np.frombuffer(raw, np.uint8).reshape(self.number, self.key_type.size)
        self.originals = [original(kind, number) for number in range(self.number)]
        self.last: Step | None = None
        self.steps: list[Step] | None = None  # what was done, if somebody wants it recorded
        self._hashes: dict[int, dict[int, int]] = {}

    @cached_property
    def map_type(self) -> MapType:
        """The type of the map as the mirror wants it."""
        layout = self.layout
        return MapType(
            hasher=self.hash,
            equal=self._equal,
            function=assign_function(self.target.program.types, self.go_type),
            group_size=layout.group_size,
            slot_size=layout.key_stride + layout.elem_stride if layout.split else layout.key_stride,
            need_key_update=layout.need_key_update,
            indirect_key=layout.indirect_key,
            key_has_pointers=self.key_type.has_pointers,
        )

    @property
    def function_of_reflect(self) -> str:
        """The assign function that reflect's SetMapIndex calls."""
        direct = self.key_type.kind == Kind.STRING and not self.layout.indirect_elem
        return FASTSTR if direct else GENERIC

    # Keys

    def _equal(self, a: int, b: int) -> bool:
        return self.originals[a] is not None and self.originals[a] == self.originals[b]

    def hash(self, number: int, seed: int) -> int | None:
        """The hash of a key; None for a NaN."""
        if self.originals[number] is None:
            return None
        known = self._hashes.setdefault(seed, {})
        if number not in known:
            first = number - number % HASHED_TOGETHER
            some = slice(first, first + HASHED_TOGETHER)
            known.update(enumerate(self._hashes_of(some, seed), first))
        return known[number]

    def _hashes_of(self, some: slice, seed: int) -> list[int]:
        hasher, slots = self._hasher_and_slots
        hashed = hasher.map_keys(self.go_type, slots[some], seed)
        assert [number is not None for number in self.originals[some]] == hashed.known.tolist()
        return [int(value) for value in hashed.hashes.tolist()]

    @cached_property
    def _hasher_and_slots(self) -> tuple[Hasher, np.ndarray]:
        program, frozen = self.target.program, FrozenMemory()
        Reach(program.types, self.target.memory, Run(self.target).regions(), frozen).copy(
            self.key_type, self.keys, KEY_LIMITS
        )
        assert program.hash_keys is not None
        functions = program.hash_keys.functions(self.release)
        assert functions is not None
        slots = self.keys
        if self.layout.indirect_key:
            frozen.add(self.keys_at, self.keys.tobytes())
            numbers = np.arange(self.number, dtype=np.uint64)
            pointers = np.uint64(self.keys_at) + numbers * np.uint64(self.key_type.size)
            slots = pointers.view(np.uint8).reshape(self.number, POINTER)
        return Hasher(program.types, frozen, functions), slots

    # Doing

    def do(self, *commands: Command) -> Step:
        """Let the process carry out some commands."""
        told = self.running.ask(";".join(" ".join(map(str, command)) for command in commands))
        memory, self.address = self.target.memory, int(told["map"], 16)
        seed = int.from_bytes(memory.read(self.address + SEED_AT, 8), "little")
        loop, yielded = None, None
        if int(told["loop"], 16):
            loop = np.frombuffer(memory.read(int(told["loop"], 16) + ITER_AT, ITER_SIZE), np.uint64)
            if commands[-1][0] in ("loop", "step"):
                key, elem = (
                    bytes(memory.read(int(at), kind.size)) if kind.size else b""
                    for at, kind in zip(loop[:2], (self.key_type, self.elem_type), strict=True)
                )
                yielded = key, elem
        self.last = Step(self, list(commands), self.address, seed, loop, yielded)
        if self.steps is not None:
            self.steps.append(self.last)
        return self.last

    def snapshot(self) -> SwissSnapshot:
        """Copy the map as the inspector does, but for the hold: the process waits for a command."""
        return take_snapshot(Run(self.target, None).source(), self.address, self.go_type, 0)

    # What lies in slots

    def key_bytes(self, keys: list[Any]) -> np.ndarray:
        """The bytes of some keys; zeros for None."""
        numbers = np.array([-1 if key is None else key for key in keys], np.int64)
        out = self.keys[numbers].copy()
        out[numbers < 0] = 0
        return out

    def elem_bytes(self, elems: list[Any]) -> np.ndarray:
        """The bytes of some elements, see there."""
        return elem_bytes(elems, self.elem_type.size)

    def behind(self, slots: np.ndarray, size: int) -> np.ndarray:
        """The bytes that pointers lead to, and zeros where they are nil."""
        pointers = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
        out = np.zeros((len(slots), size), np.uint8)
        out[pointers != 0] = self.target.memory.read_many(pointers[pointers != 0], size)
        return out


@dataclass(eq=False)
class Replay:
    """A mirror that follows the steps of a process. What the process chose by chance is read off its memory."""

    process: Process
    first: Step | None = None
    map: MirrorMap = field(init=False)
    loop: Iter | None = None
    step: Step = field(init=False)
    met: Counter[str] = field(default_factory=Counter)
    waiting: list[Command] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)
    last: str = ""
    _offsets: Offsets | None = None

    def __post_init__(self) -> None:
        """Begin with a new map, as the process does, or did with the step `first`."""
        self.follow(self.first or self.process.do(("make", 0)))

    # Chance

    def seed(self) -> int:
        """The seed that the map has now."""
        if self.waiting:
            raise Strayed("the process has not come so far")
        return self.step.seed

    def offsets(self) -> Offsets:
        """Where the iteration that has just begun, or that made a clone, began."""
        if self._offsets is not None:
            return self._offsets
        if self.step.loop is None:
            raise Strayed("the process has begun no iteration")
        return Offsets(int(self.step.loop[4]), int(self.step.loop[5]))

    def hash_of(self, key: Any, elem: Any) -> int:
        """A hash that leads to the place where the entry is now; any where there is none."""
        del key
        if elem is None:
            return 0
        snapshot = self.step.snapshot
        groups = snapshot.groups
        numbers = np.ascontiguousarray(groups.elems).view("<i8")[..., 0]
        rows, slots = np.nonzero(groups.full & (numbers == elem))
        if len(rows) != 1:
            raise Strayed(f"element {elem} is in {len(rows)} slots")
        row, top = int(rows[0]), 0
        if not snapshot.header.small:
            top = int(snapshot.tables.first[groups.table[row]]) << snapshot.header.global_shift & (1 << HASH_BITS) - 1
        rest = top | int(groups.ctrl[row, slots[0]])
        home = int(groups.number[row])
        # An entry that is new may have made its table grow first: then it met no tombstone in there.
        if not self.map.small and not snapshot.header.small and elem == self.step.commands[-1][-1]:
            before, after = self.map.table_of(rest), snapshot.tables.rows[groups.table[row]]
            if (before.capacity, before.local_depth) != (int(after["capacity"]), int(after["localDepth"])):
                home = self._home_of_growing(snapshot, row, before)
        return rest | home << H2_BITS

    def _home_of_growing(self, snapshot: SwissSnapshot, row: int, before: Table) -> int:
        """The first group on the path of a key that made its table grow and now lies in the group of `row`."""
        groups = snapshot.groups
        of_table = groups.table == groups.table[row]
        full = groups.full[of_table].all(axis=1)
        for home in [int(groups.number[row]), *range(len(full))]:
            path = Slots(len(full)).path(home << H2_BITS)
            leads = next(group for group in path if group == groups.number[row] or not full[group])
            meets = next(
                before.groups.ctrl[slot]
                for group in before.groups.path(home << H2_BITS)
                if (slot := before.groups.first_free(group)) is not None
            )
            if leads == groups.number[row] and meets != DELETED:
                return home
        raise Strayed("no path without a tombstone leads to the key")

    # Following

    def do(self, *command: Any) -> None:
        """Let the process and the mirror carry out one command.

        The process gets it later, with others, where the mirror needs to read nothing from it: see `settle`.
        """
        self.last = str(command[0])
        if self._is_free(*command):
            self._carry_out(*command)
            self.waiting.append(command)
            if len(self.waiting) >= AT_ONCE:
                self.settle()
            return
        self.step = self.process.do(*self.waiting, command)
        self.waiting.clear()
        self._carry_out(*command)
        if command[0] in ("loop", "step"):
            self.strayed += Comparison(self, None).run_of_iteration()

    def _is_free(self, name: str, *numbers: Any) -> bool:
        """Whether a command leaves nothing to chance: no seed, no hash of a NaN that is new or moves."""
        if name in ("set", "reflect"):
            return self.process.kind not in WITH_NANS or self._moves_nothing(numbers[0])
        return name == "get" or (name == "delete" and self.map.used > 1)

    def _moves_nothing(self, number: int) -> bool:
        """Whether a key that has a hash can be set without any growth."""
        hash_value = self.process.hash(number, self.map.seed)
        if hash_value is None:
            return False
        if self.map.small:
            return self.map.used < GROUP_SLOTS
        return self.map.table_of(hash_value).growth_left > 0

    def settle(self) -> Step:
        """Let the process do what the mirror has done already; returns the last step."""
        if self.waiting:
            self.step = self.process.do(*self.waiting)
            self.waiting.clear()
        return self.step

    def follow(self, step: Step) -> None:
        """Do what a step of the process did."""
        self.step = step
        for command in step.commands:
            self._carry_out(*command)

    def _carry_out(self, name: str, *numbers: Any) -> None:
        if name == "make":
            self.map = MirrorMap.make(self.process.map_type, self.process.release, self, numbers[0])
            self.loop = None
            return
        if name == "clone":
            # The program forgets the iteration under way: no order of a clone would be found right with it.
            self.loop = None
            self.map = self._clone()
            return
        before = Shape.of(self.map)
        if name == "set":
            self.map.assign(*numbers)
        elif name == "reflect":
            key, elem = numbers
            self.map.assign(key, elem, self.process.function_of_reflect)
        elif name == "delete":
            self.map.delete(*numbers)
        elif name == "clear":
            self.map.clear()
        elif name == "loop":
            self.loop = Iter.begin(self.map, self)
            self.loop = self.loop if self.loop.next() else None
        elif name == "step" and self.loop is not None:
            self.loop = self.loop if self.loop.next() else None
        self.met.update(before.became(Shape.of(self.map), name))

    def _clone(self) -> MirrorMap:
        """The clone; where an iteration made it, in the first order that gives what the process has."""
        if self.process.release.clone_copies_tables or not self.map.used:
            return clone(self.map)
        source = self.map
        for offsets in orders(source, self.step.snapshot, self.process):
            self._offsets = offsets
            self.map = clone(source)
            if not self.differences():
                break
        self._offsets = None
        return self.map

    def differences(self, judged: bool = False) -> list[str]:
        """What memory has otherwise than the mirror; empty when the mirror landed on the same bytes.

        With `judged` also what the rules say against it, warnings apart.
        """
        self.settle()
        found = self.strayed + Comparison(self, self.step.snapshot).run()
        for finding in self.step.snapshot.judge().findings if judged else ():
            if finding.severity == "error":
                found.append(f"{finding.rule}: {finding.message}")
        return found


@dataclass(frozen=True)
class Shape:
    """What tells from outside what an operation did."""

    tables: int
    directory: int
    capacity: int
    tombstones: int
    used: int
    clear_seq: int

    @staticmethod
    def of(mirror: MirrorMap) -> Shape:
        """The shape of a map now."""
        tables = mirror.tables()
        return Shape(
            len(tables),
            len(mirror.directory),
            sum(table.capacity for table in tables),
            sum(table.tombstones for table in tables),
            mirror.used,
            mirror.clear_seq,
        )

    def became(self, after: Shape, name: str) -> Iterator[str]:
        """What happened between two shapes."""
        if not self.tables and after.tables:
            yield "to table"
        elif after.tables > self.tables:
            yield "split"
        elif after.capacity > self.capacity:
            yield "grown"
        elif name in ("set", "reflect") and after.tombstones < self.tombstones:
            yield "reused" if self.tombstones - after.tombstones == 1 else "pruned"
        if after.directory > max(self.directory, 1):
            yield "directory doubled"
        if after.tombstones > self.tombstones:
            yield "tombstone"
        if after.clear_seq > self.clear_seq:
            yield "cleared"
        if self.used and not after.used and name == "delete":
            yield "emptied"


def orders(source: MirrorMap, made: SwissSnapshot, process: Process) -> Iterator[Offsets]:
    """Where the iteration may have begun that gave its entries to a map that is new (mapclone2 of 1.24).

    Entries that came to a group of a table later lie behind the others, as long as the table has not grown.
    """
    tables = source.tables()
    groups = [table.groups for table in tables] if tables else [source.group]
    first = np.array([table.index for table in tables] if tables else [0])
    capacity = np.array([table.capacity for table in tables] if tables else [GROUP_SLOTS])
    place = {
        (process.key_bytes([each.keys[slot]]).tobytes(), process.elem_bytes([each.elems[slot]]).tobytes()): (at, slot)
        for at, each in enumerate(groups)
        if each is not None
        for slot in each.full()
    }
    pairs = list(_pairs(made, place, process))
    before, after = (np.array([pair[side] for pair in pairs], np.int64).reshape(-1, 2) for side in (0, 1))
    seen: set[bytes] = set()
    entry = np.arange(capacity.max())[:, None]
    everything = np.array(list(place.values()), np.int64).reshape(-1, 2)
    for directory in first:

        def position(places: np.ndarray, directory: int = int(directory)) -> Any:
            table, slot = places.T
            turned = (first[table] - directory) % max(len(source.directory), 1)
            return turned * (1 << 20) + (slot - entry) % capacity[table]

        for number in np.flatnonzero((position(before) < position(after)).all(axis=1)):
            order = np.argsort(position(everything)[number]).tobytes()
            if order not in seen and len(seen) < MOST_ORDERS:
                seen.add(order)
                yield Offsets(int(number), int(directory))


def _pairs(
    made: SwissSnapshot, place: dict[tuple[bytes, bytes], tuple[int, int]], process: Process
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Places in the original of entries that lie side by side in a group of a clone's table that has not grown."""
    groups, expected = made.groups, made_for(made.header.used)
    keys, elems = slots_of(process, made)
    for row in range(len(groups)):
        if not made.header.small:
            words = made.tables.rows[groups.table[row]]
            if int(words["capacity"]) != expected.capacity or 1 << int(words["localDepth"]) != expected.tables:
                continue
        full = np.flatnonzero(groups.full[row])
        found = [place[keys[row, slot].tobytes(), elems[row, slot].tobytes()] for slot in full]
        yield from pairwise(found)


def slots_of(process: Process, snapshot: SwissSnapshot) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all keys and elements, (g, 8, size) each, also those that are stored by reference."""
    out = []
    for slots, indirect, kind in (
        (snapshot.groups.keys, process.layout.indirect_key, process.key_type),
        (snapshot.groups.elems, process.layout.indirect_elem, process.elem_type),
    ):
        flat = np.ascontiguousarray(slots).reshape(len(slots) * GROUP_SLOTS, slots.shape[2])
        flat = process.behind(flat, kind.size) if indirect else flat
        out.append(flat.reshape(len(slots), GROUP_SLOTS, kind.size))
    return out[0], out[1]


@dataclass
class Comparison:
    """What memory has otherwise than a mirror."""

    replay: Replay
    snapshot: SwissSnapshot | None
    found: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Compare everything; returns a line for each difference, of slots only some."""
        assert self.snapshot is not None
        self.header(self.snapshot)
        self.tables(self.snapshot)
        if not self.found:
            self.slots(self.snapshot)
        return self.run_of_iteration()

    def run_of_iteration(self) -> list[str]:
        """Compare the iteration alone; this needs no snapshot."""
        self.iteration()
        return self.found

    def hold(self, what: str, seen: Any, expected: Any) -> None:
        """Note a difference."""
        if seen != expected:
            self.found.append(f"{what}: memory {seen!r}, mirror {expected!r}")

    def header(self, snapshot: SwissSnapshot) -> None:
        """Compare the words of Map."""
        header, mirror = snapshot.header, self.replay.map
        for name in ("used", "seed", "global_depth", "global_shift", "clear_seq"):
            self.hold(name, getattr(header, name), getattr(mirror, name))
        self.hold("tombstonePossible", bool(header.tombstone_possible), mirror.tombstone_possible)
        self.hold("dirLen", header.dir_len, len(mirror.directory))
        self.hold("dirPtr is nil", not header.dir_ptr, mirror.group is None and mirror.small)
        self.hold("writing and padding", (header.writing, any(header.padding)), (False, False))
        self.hold("unusable", snapshot.unusable, {})

    def tables(self, snapshot: SwissSnapshot) -> None:
        """Compare the shape of the directory and the words of tables."""
        seen, expected = snapshot.tables, self.replay.map.tables()
        numbers = {id(table): number for number, table in enumerate(expected)}
        self.hold("directory", seen.of_entry.tolist(), [numbers[id(table)] for table in self.replay.map.directory])
        for number, (words, table) in enumerate(zip(seen.rows, expected, strict=False)):
            for name, value in (
                ("used", table.used),
                ("capacity", table.capacity),
                ("growthLeft", table.growth_left),
                ("localDepth", table.local_depth),
                ("index", table.index),
                ("lengthMask", table.groups.count - 1),
                ("padding", 0),
            ):
                self.hold(f"table {number} {name}", int(words[name]), value)

    def slots(self, snapshot: SwissSnapshot) -> None:
        """Compare control bytes, keys, elements and padding, slot by slot."""
        mirror, groups, process = self.replay.map, snapshot.groups, self.replay.process
        expected = [table.groups for table in mirror.tables()] if not mirror.small else [mirror.group]
        every = [each for each in expected if each is not None]
        self.hold("groups", len(groups), sum(each.count for each in every))
        if self.found or not every:
            return
        keys, elems = slots_of(process, snapshot)
        self.equal(
            groups, "ctrl", groups.ctrl[..., None], np.frombuffer(b"".join(each.ctrl for each in every), np.uint8)
        )
        self.equal(groups, "key", keys, process.key_bytes([key for each in every for key in each.keys]))
        self.equal(groups, "elem", elems, process.elem_bytes([elem for each in every for elem in each.elems]))
        self.hold("padding of groups", bool(groups.padding.any()), False)

    def equal(self, groups: Groups, part: str, seen: np.ndarray, expected: np.ndarray) -> None:
        """Note the first differences between (g, 8, size) bytes."""
        expected = expected.reshape(seen.shape)
        for row, slot in np.argwhere((seen != expected).any(axis=2))[:5]:
            table, group = groups.table[row], groups.number[row]
            self.found.append(
                f"table {table} group {group} slot {slot} {part}: "
                f"memory {seen[row, slot].tolist()}, mirror {expected[row, slot].tolist()}"
            )

    def iteration(self) -> None:
        """Compare the words of the iteration under way, and what it came to."""
        words, loop, process = self.replay.step.loop, self.replay.loop, self.replay.process
        self.hold("an iteration is under way", words is not None, loop is not None)
        if words is None or loop is None:
            return
        for at, name in enumerate(("entry_offset", "dir_offset", "clear_seq"), 4):
            self.hold(f"iteration {name}", int(words[at]), getattr(loop, name))
        self.hold("iteration globalDepth", int(words[7]) & 0xFF, loop.global_depth)
        self.hold("iteration dirIdx", int(words[8].view(np.int64)), loop.dir_idx)
        self.hold("iteration entryIdx", int(words[11]), loop.entry_idx)
        self.hold("iteration has a table", bool(words[9]), loop.table is not None)
        if self.replay.step.yielded is not None:
            wanted = process.key_bytes([loop.key]).tobytes(), process.elem_bytes([loop.elem]).tobytes()
            self.hold("iteration came to", self.replay.step.yielded, wanted)


@contextmanager
def processing(kind: str, toolchain: Toolchain) -> Iterator[Process]:
    """A process of its own with a map of this kind."""
    with (
        start(build("replay", toolchain), kind) as running,
        open_target(str(running.pid), memory="direct") as target,
    ):
        yield Process(running, target, kind)
