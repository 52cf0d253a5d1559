"""What the rest of the program knows of a map family: nothing else may be asked of one.

A family is a module (maps/classic), and mypy holds it against `Family`. Nothing here knows a target: a family works on
bytes, wherever they come from, so that everything can be tested on a frozen copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.gotypes.literal import Literal as GoLiteral
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import GoValue
from inspector.hashing.aes import Hashes
from inspector.hashing.hasher import MemoryHash
from inspector.hashing.keys import HashKeys
from inspector.maps.findings import Judgement, Place
from inspector.maps.liverows import LiveRows
from inspector.maps.shrinking import Keeping
from inspector.maps.values import Values
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Addresses, Memory, RegionMap, Rows

WORD = 8
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Objects:
    """The heap objects that n addresses are in: `base` and `size` (n,) are 0 for an address in no span in use.

    `size` are the bytes of the object's slot. `alive` (n,) is false where the heap's metadata shows that it is free, or
    will be freed by the collection that just ended. `noscan` (n,) says that its slot holds no pointers. `types` (n,)
    are the addresses of the types that spans record for large objects with pointers (since Go 1.22), else 0.
    """

    base: Addresses
    size: NDArray[np.uint64]
    alive: Mask
    noscan: Mask
    types: Addresses


class Books(Protocol):
    """A copy of the heap's metadata, whole or in part."""

    def objects(self, addresses: Addresses) -> Objects:
        """The object that each address is in; what the copy does not say is as if it were in none."""
        ...


class HeapMetadata(Protocol):
    """The heap's metadata as it is at this moment."""

    def about(self, addresses: Addresses) -> Books:
        """Copy what it says of some addresses; raises NotReadInTime."""
        ...


@dataclass(frozen=True)
class Source:
    """Where maps are read from: the target's bytes, what of them is mapped, its types, its hash keys if known.

    `heap` is the heap's metadata, None where nobody looked for it, or where it was not found.
    """

    memory: Memory
    regions: RegionMap
    types: TypeTable
    hash_keys: HashKeys | None = None
    heap: HeapMetadata | None = None

    @property
    def release(self) -> Release:
        """The Go release that the target was built with."""
        return self.types.release

    @property
    def functions(self) -> MemoryHash | None:
        """The target's hash functions, None where its hash keys or its algorithm are not known."""
        return self.hash_keys.functions(self.release) if self.hash_keys else None


@dataclass(frozen=True)
class Arena:
    """The range [start, end) that everything on a Go heap lies in."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def holds(self, pointers: Addresses) -> Mask:
        """Which words are aligned addresses in it."""
        inside = (pointers - np.uint64(self.start)) < np.uint64(self.size)
        return np.asarray(inside & (pointers % np.uint64(WORD) == 0))


# Headers


class Header(Protocol):
    """runtime.hmap, or maps.Map, word for word. Compared by value: a guess holds as long as its header is the same."""

    @property
    def count(self) -> int:
        """Entries, as the header says."""
        ...

    @property
    def seed(self) -> int:
        """What the hashes of this map's keys begin with."""
        ...

    @property
    def writing(self) -> bool:
        """Whether a write was under way."""
        ...

    @property
    def storage(self) -> int:
        """The address that the header leads to, 0 for nil. Two live maps never share it."""
        ...

    @property
    def blank(self) -> bool:
        """Whether this is memory that was never used for a map: every map is given a seed."""
        ...

    def doubts(self, regions: RegionMap, layout: Layout | None, incomplete: bool) -> list[str]:
        """Why this cannot be a header, in words; empty when it can.

        `incomplete` says that the target's memory lacks parts, so that pointers may lead nowhere.
        """
        ...

    def extent(self, go_type: GoType, release: Release) -> int:
        """Bytes that the header claims to own, before anything else is read; 0 where its numbers are impossible."""
        ...

    def outline(self, go_type: GoType, release: Release) -> Account:
        """What the header alone says of a map that could not be copied."""
        ...


@dataclass(frozen=True)
class Headers:
    """Many headers: `addresses` (n,) uint64 in ascending order, `rows` (n,) of the family's header dtype."""

    addresses: Addresses
    rows: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.addresses)

    def where(self, chosen: Mask | NDArray[np.int64] | slice) -> Headers:
        """Some of them."""
        return Headers(self.addresses[chosen], self.rows[chosen])

    def without(self, addresses: list[int]) -> Headers:
        """Those at other addresses."""
        return self.where(~np.isin(self.addresses, np.array(addresses, np.uint64)))

    @staticmethod
    def joined(parts: list[Headers], dtype: np.dtype[Any]) -> Headers:
        """Several of them as one, each address once."""
        if not parts:
            return Headers(np.empty(0, np.uint64), np.empty(0, dtype))
        addresses, first = np.unique(np.concatenate([part.addresses for part in parts]), return_index=True)
        return Headers(addresses, np.concatenate([part.rows for part in parts])[first])


# Cells of many maps


@dataclass(frozen=True)
class Arrays:
    """Arrays of buckets or groups of some maps: k of n maps, each one array.

    `owner` (k,) says which map each is of, `addresses` (k,) where it lies, `scale` (k,) what its size follows from:
    B, or the number of groups.
    """

    owner: NDArray[np.int64]
    addresses: Addresses
    scale: NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Some live cells of many maps, read as one layout has them: k cells of n maps.

    `owner` (k,) says which map each is of, in ascending order; `keys` (k, key_slot) and `elems` (k, elem_slot) are
    its slots; `seats` (k,) is the family's own note of where it is, for `Family.agrees`. `possible` (n,) says of each
    map whether its memory can have this layout at all.
    """

    owner: NDArray[np.int64]
    keys: Rows
    elems: Rows
    seats: NDArray[np.void]
    possible: Mask

    def where(self, chosen: Mask) -> Sample:
        """Some of the cells."""
        return replace(
            self, owner=self.owner[chosen], keys=self.keys[chosen], elems=self.elems[chosen], seats=self.seats[chosen]
        )

    def first(self, most: int) -> Sample:
        """The first few cells of each map."""
        return self.where(np.arange(len(self.owner)) - np.searchsorted(self.owner, self.owner) < most)


@dataclass(frozen=True)
class Repaired:
    """Headers in which one field was put right, for maps that may be damaged: k rows of n headers.

    `owner` (k,) says which header each is of, `rows` (k,) are of the family's header dtype, `bits` (k,) float are what
    the choice of this row tells: log2 of how many there were. `inside` (k,) says that a row leads into an array of
    buckets or groups, and not to its beginning as the heap's metadata knows it. `field` (k,) names what was put right.
    """

    owner: NDArray[np.int64]
    rows: NDArray[np.void]
    bits: NDArray[np.float64]
    inside: Mask
    field: NDArray[np.str_]

    def where(self, chosen: Mask | slice) -> Repaired:
        """Some of the rows."""
        return Repaired(*(getattr(self, name)[chosen] for name in vars(self)))


@dataclass(frozen=True)
class Crowd:
    """Many maps of one type judged at once: n headers, `rows` (n,) of the family's header dtype.

    `sound` (n,) says which maps are small, at rest, hold only keys whose hashes are known, and break no rule. The rules
    have to be asked of any other. Rows of a census on two such maps of one type with as many entries differ only where
    `forms` (n,) does.
    """

    rows: NDArray[np.void]
    sound: Mask
    forms: NDArray[np.int64]


@dataclass(frozen=True)
class Slots:
    """Live cells of one map: (k,) addresses of keys' slots, and of the keys and elements themselves."""

    keys: Addresses
    key_values: Addresses
    elem_values: Addresses


# One map


@dataclass(frozen=True)
class Entry:
    """One entry and where it lies."""

    key: GoValue
    value: GoValue
    place: Place


@dataclass(frozen=True)
class Held:
    """Bytes that a map holds, by part, and what they would be if it were rebuilt with its count."""

    parts: dict[str, int]
    if_rebuilt: int

    @property
    def total(self) -> int:
        """All of them together."""
        return sum(self.parts.values())

    @property
    def wasted(self) -> int:
        """What rebuilding the map would give back."""
        return max(0, self.total - self.if_rebuilt)

    def form(self) -> dict[str, int]:
        """The parts, the total and what rebuilding would need, for the JSON document."""
        return {**self.parts, "total": self.total, "if_rebuilt": self.if_rebuilt}


@dataclass(frozen=True)
class Strip:
    """One line that pictures a row of things: the buckets of an old array, the tables of a directory.

    `shares` (n,) float from 0 to 1 say how much of each is done or full; `legend` names 1, what lies between, and 0.
    `mark` is a place on the strip, counted in things, and what is said of it.
    """

    shares: NDArray[np.floating[Any]]
    legend: tuple[str, str, str]
    mark: tuple[int, str] | None = None


@dataclass(frozen=True)
class Passage:
    """A part of the text report: its title, its lines, a picture below the first of them."""

    title: str
    lines: tuple[str, ...]
    strip: Strip | None = None


@dataclass(frozen=True)
class Account:
    """What a family says of one map, for every renderer.

    `live` counts entries found; `load` and `load_limit` are entries for each bucket or group; `state` is a few words
    for a cell of the census. `header` are names and values of the header's fields, names that begin with two spaces
    belong to the one above; `passages` are the rest of the text report. `map_form`, which is worked out when it is
    asked for, `growth_form` and `occupancy_form` are the family's parts of the JSON document; `row_form` are what a row
    of the census has of it, and `row_growth` how far a growth is, None without one. `keeping` says what the map keeps
    when entries go, None for a sync.Map. `parts` are addresses of other maps that are parts of this one, and counted in
    its bytes.
    """

    family: str
    header_name: str
    live: int
    load: float
    load_limit: float
    growing: bool
    state: str
    bytes: Held
    header: tuple[tuple[str, str], ...] = ()
    passages: tuple[Passage, ...] = ()
    map_form: Callable[[], dict[str, Any]] = dict
    growth_form: dict[str, Any] = field(default_factory=dict)
    occupancy_form: dict[str, Any] = field(default_factory=dict)
    row_form: dict[str, Any] = field(default_factory=dict)
    row_growth: dict[str, Any] | None = None
    keeping: Keeping | None = None
    parts: tuple[int, ...] = ()


class Snapshot(Protocol):
    """One map, copied: immutable, picklable, independent of its target."""

    @property
    def address(self) -> int:
        """Where its header lies."""
        ...

    @property
    def type(self) -> GoType:
        """The map's type."""
        ...

    @property
    def types(self) -> TypeTable:
        """The target's types."""
        ...

    @property
    def header(self) -> Header:
        """Its header."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes that were copied for it."""
        ...

    @property
    def memory(self) -> FrozenMemory:
        """Copies of what its keys point to, and of what its entries do that are to be shown."""
        ...

    @property
    def regions(self) -> RegionMap:
        """What was readable of the target."""
        ...

    @property
    def late(self) -> tuple[str, ...]:
        """What was not read before the stop had to end, in words: it is missing, and says nothing of the map."""
        ...

    def judge(self, incomplete: bool = False) -> Judgement:
        """Hold it against every rule of the family.

        `incomplete` says that the target's memory is known to lack parts: what cannot be read is missing, not wrong.
        """
        ...

    def shows_the_same(self, later: Snapshot) -> bool:
        """Whether a later copy of the map has the same header, the same arrays in the same places, the same keys.

        Elements may differ, since most writes change nothing else.
        """
        ...

    def account(self) -> Account:
        """Say what it is and holds."""
        ...

    def row(self) -> Account:
        """Say what a row of the census has of it: an account without what only a report on one map shows."""
        ...

    def entries(self, chosen: NDArray[np.int64] | None = None) -> Iterator[Entry]:
        """Decode its live entries one by one, in the order of their places; only those with these numbers if given."""
        ...

    def live(self) -> Iterator[LiveRows]:
        """The same entries as arrays, in the same order: their slots, and where they lie, window by window.

        There is at least one window, also where there is no entry, unless no slot could be read.
        """
        ...

    def values(self) -> tuple[Values, Values]:
        """The bytes of the keys and of the elements of its live entries, in the same order."""
        ...

    def slots(self) -> Slots:
        """Where its live entries lie in the target, in the same order."""
        ...

    def string_bytes(self) -> int:
        """Bytes of the strings in its live entries, each string once."""
        ...

    def proven_without_keys(self) -> bool:
        """Whether its bytes alone prove that it is a map of this layout, where no key can."""
        ...


@dataclass(frozen=True)
class Step:
    """One bucket or group that a lookup visits.

    `marks` are its tophashes or control bytes, `words` their names, `compared` the cells whose key is
    compared with the one that is looked up. `form` is the step in the JSON document.
    """

    place: Place
    marks: tuple[int, ...]
    words: tuple[str, ...]
    compared: tuple[int, ...]
    form: dict[str, Any]


@dataclass(frozen=True)
class Lookup:
    """The way of a lookup: its hash (None where the runtime computes none, or a random one), the steps, the end.

    `fingerprint` is the part of the hash that cells are marked with, called `fingerprint_name` (tophash, h2).
    `found` is the cell of the last step that holds the key, called `cell_name`, and `value` its element.
    `key_address` and `elem_address` are where the key and the element lie, 0 where the key is absent. `inserting`
    says of an absent key what inserting it now would do, in a sentence; empty where the steps do not tell.
    """

    hash: int | None
    fingerprint: int | None
    fingerprint_name: str
    steps: tuple[Step, ...]
    found: int | None
    cell_name: str
    value: GoValue
    ended: str
    bytes_read: int
    inserting: str = ""
    key_address: int = 0
    elem_address: int = 0


class Reader(Protocol):
    """Who reads maps whose addresses and types are known: a family, or what knows sync.Map. It has two names."""

    NAME: str
    """What the JSON document calls it: "classic"."""

    HEADER: str
    """What its header is called: "hmap"."""

    def read_header(self, memory: Memory, address: int, release: Release) -> Header:
        """Read one header; raises UnreadableMemory."""
        ...

    def cells(self, source: Source, address: int, go_type: GoType) -> Iterator[Slots]:
        """Where the live cells of a map are, a few megabytes at a time, whatever else is wrong; nothing raises."""
        ...

    def take_snapshot(self, source: Source, address: int, go_type: GoType, shown: int | None) -> Snapshot:
        """Copy a map; call it while the target is held.

        `shown` is how many entries will be rendered (None for all): what their keys and elements point to is copied
        too. Only an unreadable header raises UnreadableMemory.
        """
        ...

    def look_up(self, source: Source, address: int, go_type: GoType, key: GoLiteral) -> Lookup:
        """Look one key up as the runtime does, reading only what it would read; `address` may be 0 (nil).

        The source must know the hash functions. Raises UnreadableMemory, UsageError.
        """
        ...

    def nothing(self, release: Release) -> Account:
        """Describes a nil map."""
        ...

    def whole(self, address: int) -> Place:
        """The place that a finding about the whole map names."""
        ...


class Family(Reader, Protocol):
    """What else a family can do: find maps among words, and find out what they are."""

    # Headers

    def header_dtype(self, release: Release) -> np.dtype[Any]:
        """The dtype of a header, as large as the header is."""
        ...

    def header_of(self, row: np.void) -> Header:
        """One header from a row of that dtype."""
        ...

    def seeds(self, rows: NDArray[np.void]) -> Hashes:
        """(n,) what hashes of keys begin with (see Header.seed)."""
        ...

    def storage(self, rows: NDArray[np.void]) -> Addresses:
        """(n,) what the headers lead to (see Header.storage)."""
        ...

    def seed_tells_clones(self, release: Release) -> bool:
        """Whether maps with one seed are clones of each other: maps.Clone copies it, and chance never repeats it."""
        ...

    def candidates(self, words: NDArray[np.uint64], start: int, arena: Arena, release: Release) -> Headers:
        """Find what is shaped like a header among the consecutive words that lie at `start`."""
        ...

    def plausible(self, rows: NDArray[np.void], arena: Arena) -> Mask:
        """(n,) which headers agree with themselves, as all that `candidates` finds do."""
        ...

    def provable(self, rows: NDArray[np.void]) -> Mask:
        """(n,) whether a map holds anything that could prove what it is."""
        ...

    # Identification

    def arrays(self, source: Source, headers: Headers) -> Arrays:
        """Find an array of buckets or groups of each of n maps, which says more of a layout than the header does."""
        ...

    def array_size(self, release: Release, layout: Layout, scale: int) -> int:
        """Bytes usable in the heap object of such an array in maps of a layout."""
        ...

    def sample(
        self, source: Source, headers: Headers, layout: Layout, possible: Mask, most: int, lenient: bool = False
    ) -> Sample:
        """Read live cells of many maps as if all had one layout; nothing raises for bad memory.

        Looks at up to `most` buckets or groups of each array, spread over it. `possible` (n,) says which maps are
        looked at at all. A `lenient` sample has whatever cells can be read: no damage makes a map impossible.
        """
        ...

    # Damage

    def nearly_plausible(self, rows: NDArray[np.void], arena: Arena) -> Mask:
        """(n,) which headers agree with themselves but for one field at most."""
        ...

    def looks_like_cells(self, source: Source, rows: NDArray[np.void]) -> Mask:
        """(n,) what leads to memory that may be buckets or groups, by their first tophashes or control bytes.

        What does not lead anywhere, as its pointer is damaged, may.
        """
        ...

    def pointer_fields(self) -> tuple[str, ...]:
        """The fields of a header that are pointers: the heap's metadata knows which words of an object are."""
        ...

    def shape_bits(self, source: Source, rows: NDArray[np.void]) -> NDArray[np.float64]:
        """(n,) how many bits the memory that small maps lead to shows of being theirs, before any key is looked at."""
        ...

    def repaired(self, source: Source, rows: NDArray[np.void]) -> Repaired:
        """The headers as they are, and each with another value of a field that may have few values."""
        ...

    def repaired_bytes(self, source: Source, rows: NDArray[np.void], starts: Callable[[Addresses], Mask]) -> Repaired:
        """The headers with one byte of a seed or of a pointer changed.

        `starts` (n,) says at which addresses an object in use begins that a pointer may lead to.
        """
        ...

    def bits(self, sample: Sample) -> NDArray[np.float64]:
        """(k,) how many bits of its hash the place of each cell of a sample shows."""
        ...

    def agrees(self, sample: Sample, hashes: Hashes) -> Mask:
        """(k,) whether each cell of a sample lies where a key with that hash does."""
        ...

    # Judging

    def crowd(self, source: Source, addresses: Addresses, go_type: GoType) -> Crowd:
        """Find out which of many maps of one type are small and sound; nothing raises for bad memory."""
        ...

    def keeping(self, release: Release) -> Keeping:
        """What any map keeps when its entries go."""
        ...

    def works_on_maps(self, function: str) -> bool:
        """Whether a function of the runtime, named in full, works on maps of this family."""
        ...

    def steps_of(self, function: str) -> tuple[str, ...]:
        """The steps of a write (Judgement.interrupted) that a function, named in full, does itself; () for none."""
        ...
