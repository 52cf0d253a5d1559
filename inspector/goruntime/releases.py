"""What each Go release changed about maps: the only place where a release number decides anything.

Source of every line: src/runtime/map.go (map_noswiss.go since 1.24), src/runtime/msize*.go and
src/internal/abi of the release named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from inspector.errors import UnsupportedTarget

BUCKET_CELLS = 8
"""Cells of one bucket: bucketCnt, abi.MapBucketCount, abi.OldMapBucketCount."""

MAX_INLINE_SIZE = 128
"""Keys and elements larger than this many bytes are stored by reference."""

OLDEST = (1, 13)
"""Oldest release whose layouts are declared, and the first that names itself in the build info."""

NEWEST = (1, 27)
"""Newest release whose layouts are declared; newer ones are assumed to have the same."""

NEWEST_KNOWN = f"go{NEWEST[0]}.{NEWEST[1]}"

_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class TophashMarks:
    """The reserved tophash values of runtime/map.go since Go 1.12."""

    empty_rest: int = 0
    empty_one: int = 1
    evacuated_x: int = 2
    evacuated_y: int = 3
    evacuated_empty: int = 4
    min_tophash: int = 5


@dataclass(frozen=True)
class Release:
    """One Go release as far as its maps are concerned.

    `version` is what runtime.Version() says ("go1.25.5"), `experiments` the GOEXPERIMENT names the
    executable was built with.
    """

    version: str
    experiments: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def parse(text: str, experiments: frozenset[str] = frozenset()) -> Release:
        """Read the version string of the build info, e.g. "go1.25.5 X:noswissmap" or "go1.26.6-X:nogreenteagc".

        Raises UnsupportedTarget when it names no release or one older than the declared layouts.
        """
        match = _VERSION.search(text)
        if not match:
            raise UnsupportedTarget(
                f"the executable names no Go release ({text[:40]!r})",
                "development toolchains without a go1.N in their version are not supported",
            )
        # Behind a space until 1.25, behind a dash since 1.26.
        named = frozenset(re.findall(r"[A-Za-z0-9]+", re.split("[ -]X:", text, maxsplit=1)[-1]) if "X:" in text else ())
        release = Release(match.group(0), experiments | named)
        if release.number[:2] < OLDEST:
            raise UnsupportedTarget(
                f"{release.version} is older than go{OLDEST[0]}.{OLDEST[1]}, the oldest release supported",
                "inspect a process built by a newer toolchain",
            )
        return release

    @cached_property
    def number(self) -> tuple[int, int, int]:
        """(major, minor, patch), for comparisons."""
        match = _VERSION.match(self.version)
        assert match is not None
        major, minor, patch = match.groups(default="0")
        return int(major), int(minor), int(patch)

    def at_least(self, major: int, minor: int) -> bool:
        """Whether this is go<major>.<minor> or newer."""
        return self.number[:2] >= (major, minor)

    @property
    def unknown(self) -> bool:
        """Whether this release is newer than all whose layouts are declared."""
        return self.number[:2] > NEWEST

    @property
    def swiss(self) -> bool:
        """Whether maps are Swiss tables, as they are since 1.24.

        GOEXPERIMENT=noswissmap brought the hmap back in 1.24 and 1.25; 1.26 dropped it.
        """
        return self.at_least(1, 26) or (self.at_least(1, 24) and "noswissmap" not in self.experiments)

    @property
    def marks(self) -> TophashMarks:
        """The reserved tophash values."""
        return TophashMarks()

    @property
    def load_factor_half(self) -> int:
        """loadFactorNum: entries allowed for each two buckets.

        13 (that is 6.5 a bucket), except in 1.21, whose constant divides before it multiplies and so loses
        the half.
        """
        return 12 if self.number[:2] == (1, 21) else 13

    @property
    def has_clear_seq(self) -> bool:
        """Whether hmap has clearSeq before extra (map_noswiss.go of 1.24 and 1.25)."""
        return self.at_least(1, 24)

    @property
    def has_tombstone_possible(self) -> bool:
        """Whether maps.Map says that it may have tombstones (since 1.25; padding before)."""
        return self.at_least(1, 25)

    @property
    def prunes_tombstones(self) -> bool:
        """Whether an assign to a table without room takes tombstones away first (table.pruneTombstones, since 1.25)."""
        return self.at_least(1, 25)

    @property
    def prunes_with_pointer_keys(self) -> bool:
        """Whether mapassign_fast64ptr takes tombstones away, too (since 1.27)."""
        return self.at_least(1, 27)

    @property
    def update_converts_full_group(self) -> bool:
        """Whether an assign to a small map with eight entries makes a table even if its key is present (until 1.26)."""
        return not self.at_least(1, 27)

    @property
    def clone_copies_tables(self) -> bool:
        """Whether maps.Clone copies a Swiss map table by table, tombstones and empty slots included (since 1.25)."""
        return self.swiss and self.at_least(1, 25)

    @property
    def has_maps_clone(self) -> bool:
        """Whether the standard library has maps.Clone (since 1.21)."""
        return self.at_least(1, 21)

    @property
    def assigns_to_new_table(self) -> bool:
        """Whether the assign that makes a table of a small map fills a slot of it without another lookup.

        table.uncheckedPutSlotForAssign does so since 1.27, and counts the entry before it marks the slot. Before, the
        assign began anew with table.PutSlot.
        """
        return self.at_least(1, 27)

    @property
    def clear_passes_over_unused(self) -> bool:
        """Whether clear leaves as it is a table without entries and tombstones (table.Clear, since 1.25).

        In other tables it zeroes only groups that have an entry, so that keys of deleted entries stay behind.
        """
        return self.at_least(1, 25)

    @property
    def clear_zeroes_well_used(self) -> bool:
        """Whether clear zeroes every group of a table with many entries in small slots (table.Clear, since 1.26)."""
        return self.at_least(1, 26)

    @property
    def strides_in_map_types(self) -> bool:
        """Whether abi.MapType gives offsets and strides of keys and elements (since 1.27), not the size of a slot."""
        return self.at_least(1, 27)

    @property
    def ender_of_concurrent_writes(self) -> str:
        """Who ends a process in which two goroutines use a map at once; fatal came with 1.19.

        Since then throw stands for faults of the runtime's own, such as a bad map state.
        """
        return "runtime.fatal" if self.at_least(1, 19) else "runtime.throw"

    @property
    def clear_marks_cells(self) -> bool:
        """Whether mapclear marks all cells emptyRest before it clears the header, for iterators to end.

        From 1.21 on; since 1.24 iterators look at clearSeq instead.
        """
        return self.at_least(1, 21) and not self.has_clear_seq

    @property
    def clone_keeps_size(self) -> bool:
        """Whether maps.Clone of an overloaded map takes an array no larger than the original's.

        Before it read buckets beyond the end of the original's array (Go issue 69110). 1.21.13 does, 1.22.10
        and 1.23.9 do not; which patch releases brought the fix was not read in their sources.
        """
        fixed = {(1, 21): 1 << 30, (1, 22): 8, (1, 23): 2}
        return self.number[2] >= fixed.get(self.number[:2], 0)

    @property
    def sync_map_is_trie(self) -> bool:
        """Whether sync.Map is a HashTrieMap (since 1.24; GOEXPERIMENT=nosynchashtriemap undid it until 1.25)."""
        return self.at_least(1, 26) or (self.at_least(1, 24) and "nosynchashtriemap" not in self.experiments)

    @property
    def sync_map_read_is_value(self) -> bool:
        """Whether the field read of sync.Map is an atomic.Value (until 1.19; an atomic.Pointer since)."""
        return not self.at_least(1, 20)

    @property
    def malloc_headers(self) -> bool:
        """Whether small objects with pointers carry an 8-byte header (since 1.22, an experiment then)."""
        return self.at_least(1, 22) and not (self.number[:2] == (1, 22) and "noallocheaders" in self.experiments)

    @property
    def gc_masks_on_demand(self) -> bool:
        """Whether the runtime makes the pointer bitmap of a large type when it needs it (since 1.24).

        Before, gcdata of such a type was a program that unrolls to the bitmap.
        """
        return self.at_least(1, 24)

    @property
    def narrow_special_offsets(self) -> bool:
        """Whether runtime.special.offset has 16 bits, with the kind behind it (until 1.23; a word since)."""
        return not self.at_least(1, 24)

    @property
    def marks_in_spans(self) -> bool:
        """Whether the collector keeps marks inside spans of small objects (Green Tea, runtime/mgcmark_greenteagc.go).

        It was an experiment of 1.25 and became the default in 1.26, where GOEXPERIMENT=nogreenteagc turns it off.
        """
        if self.at_least(1, 26):
            return "nogreenteagc" not in self.experiments
        return self.at_least(1, 25) and "greenteagc" in self.experiments

    @property
    def direct_iface_in_tflag(self) -> bool:
        """Whether tflag holds the bit of types that interfaces hold directly (since 1.26; beside the kind before)."""
        return self.at_least(1, 26)

    @property
    def type_alg(self) -> bool:
        """Whether a type descriptor leads to a typeAlg with its hash function (until 1.13).

        Since then maptype has a hasher, what lies in interfaces is hashed by runtime.typehash, and a flag
        marks types that are plain memory.
        """
        return not self.at_least(1, 14)

    @property
    def wyhash(self) -> bool:
        """Whether memhash without AES follows wyhash (runtime/hash64.go since 1.17; after xxhash before)."""
        return self.at_least(1, 17)

    @property
    def fallback_own_keys(self) -> bool:
        """Whether that memhash uses the process's hashkey throughout (since 1.23; constants before)."""
        return self.at_least(1, 23)

    @property
    def hash_signatures(self) -> bool:
        """Whether the compiler makes hash functions from a signature of the whole key type (since 1.27).

        Before it made one for each struct and array type (reflectdata/alg.go).
        """
        return self.at_least(1, 27)

    @property
    def hash_variables(self) -> tuple[str, str, str]:
        """Names of the variables of memhash: whether it uses AES, its keys if so, and if not.

        They moved from package runtime to internal/runtime/maps in 1.27.
        """
        if self.at_least(1, 27):
            package = "internal/runtime/maps"
            return f"{package}.UseAeshash", f"{package}.aeskeysched", f"{package}.hashkey"
        return "runtime.useAeshash", "runtime.aeskeysched", "runtime.hashkey"

    @property
    def hash_wrappers(self) -> bool:
        """Whether runtime.memhash64 calls a function that asks for AES, which calls another that uses it (since 1.27).

        Before, memhash64 did all that itself (runtime/asm_amd64.s).
        """
        return self.at_least(1, 27)

    @property
    def varint_names(self) -> bool:
        """Whether abi.Name lengths are varints (since 1.17; two big-endian bytes before)."""
        return self.at_least(1, 17)

    @property
    def relative_functions(self) -> bool:
        """Whether function tables hold 32-bit offsets into the text (since 1.18; addresses before)."""
        return self.at_least(1, 18)

    @property
    def embed_in_offset(self) -> bool:
        """Whether structfield.offset is shifted left by one to hold the embedded flag (until 1.18)."""
        return not self.at_least(1, 19)
