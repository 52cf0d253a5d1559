"""A place where a map is said to be, and what became of the claim once its buckets were looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inspector.census.model import CensusMap, FoundBy, Held
from inspector.census.names import Name
from inspector.gotypes.gotype import GoType, MapLayout
from inspector.gotypes.table import TypeTable
from inspector.maps.classic.checks import Judgement, MapView
from inspector.maps.classic.checks.finding import not_checked
from inspector.maps.classic.header import Hmap
from inspector.maps.classic.mirror.growth import PREALLOCATED_FROM_B, allocated_buckets, roundup_size
from inspector.maps.classic.snapshot import MapSnapshot
from inspector.maps.classic.summary import growth_of, occupancy_of, string_bytes
from inspector.naming.locate import TypeSource

NO_NAME = Name(None, None)
EVIDENCE = ("consistent", "write-in-progress", "unreadable")


@dataclass(frozen=True)
class Claim:
    """A map that may be at an address. `types` are what it may be, the likeliest first.

    Something typed leads to it if `number` is one of a walk's, and `named` if that is a path from a package variable:
    then there is a map, whatever its state. What only some object leads to, which may be out of use, has to be sound;
    and what was only found by its shape has to be proven by its keys.
    """

    address: int
    types: tuple[GoType, ...]
    source: TypeSource
    found_by: FoundBy
    number: int | None = None
    named: bool = False
    name: Name = NO_NAME

    def believed(self, judgement: Judgement, snapshot: MapSnapshot) -> bool:
        """Whether the map is to be listed, judging by its buckets."""
        if self.named:
            return True
        proof = judgement.proof
        proven = self.number is not None or 0 < proof.checked == proof.matched or proven_by_its_tail(snapshot)
        return judgement.verdict in EVIDENCE and proven

    def with_type(self, go_type: GoType) -> Claim:
        """The claim with one of its types first; those of bucket layouts that came before it are ruled out."""
        tried = {other.layout for other in self.types[: self.types.index(go_type)]} - {go_type.layout}
        rest = (other for other in self.types if other is not go_type and other.layout not in tried)
        return replace(self, types=(go_type, *rest))


def proven_by_its_tail(snapshot: MapSnapshot) -> bool:
    """Whether an empty map has overflow buckets in store: rule O3 then finds a pointer back to the array at their end.

    That word is nowhere else than where makeBucketArray puts it for buckets of this size.
    """
    header, extra = snapshot.header, snapshot.extra
    stored = extra is not None and extra.next_overflow != 0
    return header.count == 0 and header.B >= PREALLOCATED_FROM_B and stored and snapshot.buckets is not None


def listed(claim: Claim, snapshot: MapSnapshot, judgement: Judgement, with_strings: bool) -> CensusMap:
    """The row of a map that was copied and judged."""
    view = MapView(snapshot)
    growth, occupancy = growth_of(view), occupancy_of(view)
    held, apart = occupancy.bytes, _apart(snapshot.types, claim.types[0])
    strings = string_bytes(view) if with_strings else 0
    return _row(
        claim,
        snapshot.header,
        Held(
            held.buckets,
            held.overflow,
            held.old,
            held.header,
            occupancy.live * apart,
            held.if_rebuilt + max(0, snapshot.header.count) * apart + strings,
            strings,
        ),
        judgement,
        growth.old_buckets,
        growth.evacuated,
    )


def unjudged(claim: Claim, header: Hmap, types: TypeTable) -> CensusMap:
    """The row of a map of which no more than the header was read; overflow buckets apart are not counted."""
    go_type = claim.types[0]
    assert go_type.layout is not None
    buckets = _array_bytes(types, go_type.layout, header.B)
    old = _array_bytes(types, go_type.layout, header.old_b) if header.oldbuckets else 0
    apart = header.count * _apart(types, go_type)
    held = Held(buckets, 0, old, 0, apart, buckets + apart)
    return _row(claim, header, held, Judgement("not-read", ()), 1 << header.old_b if old else 0, 0)


def failed(claim: Claim, header: Hmap | None, error: Exception) -> CensusMap:
    """The row of a map that could not be looked at: what went wrong, and no numbers but the header's."""
    finding = not_checked("H0", "inspector.census.examine", error)
    judgement = Judgement("unreadable", (replace(finding, message="this map could not be looked at"),))
    return _row(claim, header or Hmap(0, 0, 0, 0, 0, 0, 0, 0, 0), Held(0, 0, 0, 0, 0, 0), judgement, 0, 0)


def _array_bytes(types: TypeTable, layout: MapLayout, b: int) -> int:
    return allocated_buckets(types.release, layout.bucket_size, layout.bucket_has_pointers, b) * layout.bucket_size


def _apart(types: TypeTable, map_type: GoType) -> int:
    """Bytes of one entry that lie apart from its bucket."""
    layout = map_type.layout
    assert layout is not None
    parts = ((types.key(map_type), layout.indirect_key), (types.elem(map_type), layout.indirect_elem))
    return sum(roundup_size(types.release, part.size, not part.has_pointers) for part, apart in parts if apart)


def _row(claim: Claim, header: Hmap, held: Held, judgement: Judgement, old_buckets: int, evacuated: int) -> CensusMap:
    go_type, *others = claim.types
    return CensusMap(
        address=claim.address,
        type=go_type.name,
        type_source=claim.source,
        alternatives=tuple(other.name for other in others),
        count=header.count,
        b=header.B,
        growing=header.growing,
        old_buckets=old_buckets,
        evacuated=evacuated,
        load=header.count / (1 << min(header.B, 62)),
        bytes=held,
        verdict=judgement.verdict,
        findings=judgement.findings,
        found_by=claim.found_by,
        name=claim.name.path,
        holder=claim.name.holder,
    )
