"""The header of a map and its optional fields as they were read."""

from __future__ import annotations

from dataclasses import dataclass

from construct import Container

from inspector.goruntime import hmap as schema
from inspector.maps.classic.mirror.growth import GrowthKind, old_b


@dataclass(frozen=True)
class Hmap:
    """runtime.hmap, word for word; pointers are addresses, 0 for nil; `clear_seq` is None where there is none."""

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

    @staticmethod
    def of(parsed: Container) -> Hmap:
        """Take over what the construct schema parsed."""
        fields = {name: int(parsed[name]) for name in Hmap.__dataclass_fields__ if name in parsed}
        return Hmap(**fields, clear_seq=parsed.get("clearSeq"))

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


@dataclass(frozen=True)
class MapExtra:
    """runtime.mapextra. The overflow lists are copied; None stands for nil, or for one that is unreadable.

    `unreadable` names the fields that point where nothing can be read.
    """

    address: int
    overflow_pointer: int
    oldoverflow_pointer: int
    next_overflow: int
    overflow: tuple[int, ...] | None
    oldoverflow: tuple[int, ...] | None
    unreadable: tuple[str, ...] = ()
