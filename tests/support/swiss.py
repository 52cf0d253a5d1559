"""What the fixture program `swissstates` prints of its own Swiss maps, as data classes.

Everything here comes from the program itself, which reads its maps' words through unsafe, ranges over them and calls
the map type's own hasher. Nothing is computed with the inspector's code.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fixtures import SWISS_RELEASES, Core, Running, Toolchain, Truth, build, cached_core

PROGRAM = "swissstates"
STRIPPED = "-s -w"
"""The linker's flags for a program without symbols and DWARF."""

GROUP_SLOTS = 8
EMPTY, DELETED = 0x80, 0xFE
"""Control bytes of slots without an entry; all others are below EMPTY."""

HEADER = struct.Struct("<QQQqBBBBxxxxQ")
"""The words of a map in memory, in the order of `SwissHeader`."""
TABLE = struct.Struct("<HHHBxqQQ")
"""The words of a table in memory, in the order of `SwissTable`."""


@dataclass(frozen=True)
class SwissHeader:
    """The words of `internal/runtime/maps.Map`."""

    used: int
    seed: int
    dir_ptr: int | None
    dir_len: int
    global_depth: int
    global_shift: int
    writing: int
    tombstone_possible: int | None
    """None in Go 1.24, which has no such field."""
    clear_seq: int

    @property
    def words(self) -> tuple[int, ...]:
        """What HEADER unpacks from memory."""
        place = self.dir_ptr or 0, self.dir_len, self.global_depth, self.global_shift
        return (self.used, self.seed, *place, self.writing, self.tombstone_possible or 0, self.clear_seq)


@dataclass(frozen=True)
class SwissDescriptor:
    """The map type's descriptor: where it is, the type's name and sizes in bytes, and how groups are laid out."""

    address: int
    name: str
    key_size: int
    elem_size: int
    group_size: int
    keys_off: int
    key_stride: int
    elems_off: int
    elem_stride: int
    flags: int


@dataclass(frozen=True)
class SwissSlot:
    """A slot that holds an entry: the hash of its key, and whether the key equals itself.

    The hash of a key that does not is chance, and given as 0.
    """

    group: int
    slot: int
    hash: int
    reflexive: bool


@dataclass(frozen=True)
class SwissGroups:
    """Groups one after the other: a table's, or the only one of a small map."""

    address: int
    control: bytes
    """The control bytes of all groups, slot 0 of group 0 first."""
    slots: tuple[SwissSlot, ...]
    """The full slots, in the order of memory."""
    stale: int
    """How many slots hold no entry, but still the bytes of a key."""

    @property
    def control_words(self) -> list[int]:
        """The control word of each group."""
        parts = range(0, len(self.control), GROUP_SLOTS)
        return [int.from_bytes(self.control[at : at + GROUP_SLOTS], "little") for at in parts]

    @property
    def full(self) -> int:
        """The number of slots that hold an entry."""
        return sum(control < EMPTY for control in self.control)

    @property
    def deleted(self) -> int:
        """The number of tombstones."""
        return self.control.count(DELETED)

    def path(self, slot: SwissSlot) -> int:
        """How many groups a lookup visits until it finds the key of a slot, by the key's hash."""
        mask = len(self.control_words) - 1
        at, length = slot.hash >> 7 & mask, 1
        while at != slot.group:
            if length > mask:
                raise ValueError(f"{slot} is on no path")
            at, length = (at + length) & mask, length + 1
        return length


@dataclass(frozen=True)
class SwissTable:
    """The words of `internal/runtime/maps.table`, and its groups (None: the program left them out)."""

    address: int
    used: int
    capacity: int
    growth_left: int
    local_depth: int
    index: int
    data: int
    """The address of its groups."""
    length_mask: int
    groups: SwissGroups | None

    @property
    def words(self) -> tuple[int, ...]:
        """What TABLE unpacks from memory."""
        counts = self.used, self.capacity, self.growth_left
        return (*counts, self.local_depth, self.index, self.data, self.length_mask)

    @property
    def inside(self) -> SwissGroups:
        """The groups; ValueError where the program left them out."""
        if self.groups is None:
            raise ValueError(f"the program did not print the groups of the table at {self.address:#x}")
        return self.groups


@dataclass(frozen=True)
class SwissState:
    """One map: what the program calls it, where it is, its words, and its entries by range."""

    name: str
    variable: str | None
    address: int
    type: str
    length: int
    header: SwissHeader | None
    """None for a nil map."""
    descriptor: SwissDescriptor | None
    directory: tuple[int, ...]
    """Addresses of tables; empty for a small map."""
    tables: tuple[SwissTable, ...]
    """Each table once, in the order of the directory."""
    group: SwissGroups | None
    """The group of a small map that has one, unless the program left out what is in groups."""
    entries: tuple[dict[str, Any], ...]
    """{"key", "value", "hash", "reflexive"} each."""
    notes: dict[str, Any]

    @property
    def form(self) -> str:
        """One of "nil", "none" (no memory yet), "small", "tables"."""
        if self.header is None:
            return "nil"
        if self.directory:
            return "tables"
        return "none" if self.header.dir_ptr is None else "small"

    @property
    def head(self) -> SwissHeader:
        """The header; ValueError for a nil map."""
        if self.header is None:
            raise ValueError(f"{self.name} is nil and has no header")
        return self.header

    @property
    def table(self) -> SwissTable:
        """The only table; ValueError if the map does not have exactly one."""
        (only,) = self.tables
        return only

    @property
    def storages(self) -> tuple[SwissGroups, ...]:
        """The groups of all tables, or that of a small map."""
        return tuple(table.inside for table in self.tables) + ((self.group,) if self.group else ())

    @property
    def hashes(self) -> Counter[int]:
        """The hashes of the keys that equal themselves, by range."""
        return Counter(entry["hash"] for entry in self.entries if entry["reflexive"])

    @property
    def depths(self) -> list[int]:
        """The local depths of the tables, in the order of the directory."""
        return [table.local_depth for table in self.tables]

    @cached_property
    def stale_table(self) -> SwissTable:
        """The table that an iterator held before the map was changed; KeyError without one."""
        return _table(self.notes["table"])

    @cached_property
    def stale_group(self) -> SwissGroups:
        """The small map's group that an iterator held before the map was changed; KeyError without one."""
        return _groups(self.notes["group"], _number(self.notes["group"]["address"]))


def swiss_states(truth: Truth) -> dict[str, SwissState]:
    """All maps in a truth, by their names; also those of another program than `swissstates`, if it has Swiss maps."""
    return {each["name"]: _state(each) for each in truth["maps"]}


def build_states(toolchain: Toolchain = SWISS_RELEASES[-1], stripped: bool = False) -> Path:
    """The program that has all states."""
    return build(PROGRAM, toolchain, ldflags=STRIPPED if stripped else "")


def states_core(toolchain: Toolchain = SWISS_RELEASES[-1], stripped: bool = False) -> Core:
    """A kernel core of the program that has all states. It is shared, and must not be written to."""
    return cached_core(build_states(toolchain, stripped))


@dataclass(frozen=True)
class SwissProgram:
    """The program with all states, running and waiting for commands, and what it printed."""

    running: Running
    states: dict[str, SwissState]

    @property
    def pid(self) -> int:
        """The process id."""
        return self.running.pid


def _number(address: str | None) -> int:
    return int(address, 16) if address else 0


def _state(told: dict[str, Any]) -> SwissState:
    words = told["swiss"] or {"header": None, "descriptor": None, "directory": None, "tables": [], "group": None}
    group = words["group"]
    return SwissState(
        name=told["name"],
        variable=told["variable"],
        address=_number(told["address"]),
        type=told["type"],
        length=told["len"],
        header=_header(words["header"]) if words["header"] else None,
        descriptor=_descriptor(words["descriptor"]) if words["descriptor"] else None,
        directory=tuple(_number(table) for table in words["directory"] or ()),
        tables=tuple(_table(table) for table in words["tables"]),
        group=_groups(group, _number(group["address"])) if group and group["control"] is not None else None,
        entries=tuple(told["entries"] or ()),
        notes=told.get("notes") or {},
    )


def _header(told: dict[str, Any]) -> SwissHeader:
    return SwissHeader(
        used=told["used"],
        seed=told["seed"],
        dir_ptr=_number(told["dirPtr"]) or None,
        dir_len=told["dirLen"],
        global_depth=told["globalDepth"],
        global_shift=told["globalShift"],
        writing=told["writing"],
        tombstone_possible=told["tombstonePossible"],
        clear_seq=told["clearSeq"],
    )


def _descriptor(told: dict[str, Any]) -> SwissDescriptor:
    return SwissDescriptor(
        address=_number(told["address"]),
        name=told["name"],
        key_size=told["keySize"],
        elem_size=told["elemSize"],
        group_size=told["groupSize"],
        keys_off=told["keysOff"],
        key_stride=told["keyStride"],
        elems_off=told["elemsOff"],
        elem_stride=told["elemStride"],
        flags=told["flags"],
    )


def _table(told: dict[str, Any]) -> SwissTable:
    data = _number(told["groups"])
    return SwissTable(
        address=_number(told["address"]),
        used=told["used"],
        capacity=told["capacity"],
        growth_left=told["growthLeft"],
        local_depth=told["localDepth"],
        index=told["index"],
        data=data,
        length_mask=told["lengthMask"],
        groups=None if told["control"] is None else _groups(told, data),
    )


def _groups(told: dict[str, Any], address: int) -> SwissGroups:
    return SwissGroups(
        address=address,
        control=bytes.fromhex(told["control"]),
        slots=tuple(SwissSlot(each["group"], each["slot"], each["hash"], each["reflexive"]) for each in told["slots"]),
        stale=told["stale"],
    )


def places(state: SwissState) -> Iterator[tuple[SwissTable | None, SwissSlot]]:
    """Every full slot of a map with its table, None for the group of a small map."""
    for table in state.tables:
        for slot in table.inside.slots:
            yield table, slot
    for slot in state.group.slots if state.group else ():
        yield None, slot
