"""The header of a map and its optional fields as they were read."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime import hmap as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import GoType
from inspector.gotypes.layouts import Layout
from inspector.hashing.aes import Hashes
from inspector.maps.classic.layout import array_bytes, classic, layout_of
from inspector.maps.classic.mirror.growth import LARGEST_B, GrowthKind, old_b
from inspector.maps.family import Account, Held
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Memory, RegionMap

NAME = "classic"
HEADER = "hmap"

SMALLEST_BUCKET = 16
"""Bytes of a bucket whose keys and elements have none: tophashes and the overflow pointer."""

LAZY = ("count", "B", "noverflow", "oldbuckets")
LARGEST_COUNT = END_OF_USER_SPACE
"""No map has more entries than there are bytes to address."""

MAX_B = 62


@dataclass(frozen=True, slots=True)
class Hmap:
    """runtime.hmap, word for word; pointers are addresses, 0 for nil; `clear_seq` is None in releases without it."""

    count: int
    flags: int
    B: int
    noverflow: int
    hash0: int
    buckets: int
    oldbuckets: int
    nevacuate: int
    extra: int
    clear_seq: int | None = None

    def has(self, flag: int) -> bool:
        """Whether a bit of flags is set."""
        return bool(self.flags & flag)

    @property
    def flag_names(self) -> list[str]:
        """Names of the flags that are set; undefined bits as hexadecimal numbers."""
        names = [name for bit, name in schema.FLAG_NAMES.items() if self.flags & bit]
        rest = self.flags & ~sum(schema.FLAG_NAMES)
        return names + ([f"{rest:#x}"] if rest else [])

    @property
    def writing(self) -> bool:
        """Whether a write was under way (hashWriting)."""
        return self.has(schema.HASH_WRITING)

    @property
    def growing(self) -> GrowthKind | None:
        """The growth under way, None when oldbuckets is nil."""
        if not self.oldbuckets:
            return None
        return "same-size" if self.has(schema.SAME_SIZE_GROW) else "double"

    @property
    def old_b(self) -> int:
        """B of the old array; -1 where B is 0 and the growth claims to double."""
        return old_b(self.B, self.has(schema.SAME_SIZE_GROW))

    @property
    def seed(self) -> int:
        """See Header.seed: hash0."""
        return self.hash0

    @property
    def blank(self) -> bool:
        """See Header.blank."""
        return self.seed == 0

    @property
    def storage(self) -> int:
        """See Header.storage: the bucket array."""
        return self.buckets

    @property
    def load(self) -> float:
        """Entries for each bucket."""
        return self.count / (1 << min(self.B, MAX_B))

    def extent(self, go_type: GoType, release: Release) -> int:
        """See Header.extent: both arrays; overflow buckets apart from them are not counted."""
        layout = layout_of(go_type)
        old = array_bytes(layout, release, self.old_b) if self.oldbuckets else 0
        return array_bytes(layout, release, self.B) + old

    def outline(self, go_type: GoType, release: Release) -> Account:
        """See Header.outline."""
        layout = layout_of(go_type)
        buckets = array_bytes(layout, release, self.B)
        old = array_bytes(layout, release, self.old_b) if self.oldbuckets else 0
        growth = GrowthState(self.growing, 1 << self.old_b if old else 0, 0)
        return Account(
            family=NAME,
            header_name=HEADER,
            live=self.count,
            load=self.load,
            load_limit=release.load_factor_half / 2,
            growing=self.growing is not None,
            state=growth.state,
            bytes=Held({"buckets": buckets, "overflow": 0, "old": old, "header": 0}, buckets),
            row_form={"B": self.B},
            row_growth=growth.form,
        )

    def doubts(self, regions: RegionMap, layout: Layout | None, incomplete: bool) -> list[str]:
        """See Header.doubts."""
        size = classic(layout).bucket_size if layout else SMALLEST_BUCKET
        doubts = []
        if self.flags & ~sum(schema.FLAG_NAMES):
            doubts.append(f"flags {self.flags:#x} has undefined bits")
        if self.B > LARGEST_B:
            doubts.append(f"B {self.B} is too large")
        elif self.buckets and not incomplete and not regions.covers(self.buckets, size << self.B):
            doubts.append(f"buckets {self.buckets:#x} does not lead to 2^{self.B} readable buckets")
        if self.count < 0:
            doubts.append(f"count {self.count} is negative")
        if not self.buckets:
            # Only an empty map of one bucket, whose bucket is made by its first write, has none.
            doubts += [f"{name} {value} without buckets" for name in LAZY if (value := getattr(self, name))]
        if self.count > LARGEST_COUNT:
            doubts.append(f"count {self.count} is too large")
        if not self.hash0:
            # The runtime gives every map a random one; memory that was never used is all zeros.
            doubts.append("hash0 is 0")
        if self.oldbuckets and not incomplete and not regions.covers(self.oldbuckets, size):
            doubts.append(f"oldbuckets {self.oldbuckets:#x} is not readable")
        if self.extra and not incomplete and not regions.covers(self.extra, mapextra.sizeof()):
            doubts.append(f"extra {self.extra:#x} is not readable")
        for name in ("buckets", "oldbuckets", "extra"):
            if getattr(self, name) % 8:
                doubts.append(f"{name} {getattr(self, name):#x} is not aligned")
        return doubts


@dataclass(frozen=True)
class GrowthState:
    """How far a growth is; `kind` is None without one."""

    kind: GrowthKind | None
    old_buckets: int
    evacuated: int

    @property
    def state(self) -> str:
        """A few words for a table."""
        return f"{self.kind}, {self.evacuated:,} of {self.old_buckets:,}" if self.kind else ""

    @property
    def form(self) -> dict[str, Any] | None:
        """For the row of a census in the JSON document."""
        if self.kind is None:
            return None
        return {"kind": self.kind, "old_buckets": self.old_buckets, "evacuated": self.evacuated}


def header_dtype(release: Release) -> np.dtype[Any]:
    """See Family.header_dtype."""
    return dtype_of(schema.hmap(release))


def header_of(row: np.void) -> Hmap:
    """See Family.header_of."""
    assert row.dtype.names is not None
    fields = dict(zip(row.dtype.names, row.item(), strict=True))
    return Hmap(clear_seq=fields.pop("clearSeq", None), **fields)


def read_header(memory: Memory, address: int, release: Release) -> Hmap:
    """See Reader.read_header."""
    dtype = header_dtype(release)
    return header_of(np.frombuffer(memory.read(address, dtype.itemsize), dtype)[0])


def seeds(rows: NDArray[np.void]) -> Hashes:
    """See Family.seeds."""
    return np.asarray(rows["hash0"].astype(np.uint64))


def seed_tells_clones(release: Release) -> bool:
    """See Family.seed_tells_clones: a clone keeps hash0, but its 32 bits are the same in others by chance."""
    return False


def storage(rows: NDArray[np.void]) -> Addresses:
    """See Family.storage."""
    return np.asarray(rows["buckets"])


@dataclass(frozen=True)
class MapExtra:
    """runtime.mapextra. The overflow lists are copied, as words; None stands for nil, or for one that is unreadable.

    `unreadable` names the fields that point where nothing can be read.
    """

    address: int
    overflow_pointer: int
    oldoverflow_pointer: int
    next_overflow: int
    overflow: array[int] | None
    oldoverflow: array[int] | None
    unreadable: tuple[str, ...] = ()
