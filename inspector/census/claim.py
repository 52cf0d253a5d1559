"""A place where a map is said to be, and what became of the claim once its buckets were looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inspector.census.model import CensusMap, FoundBy
from inspector.census.names import Name
from inspector.goruntime.sizes import roundup_size
from inspector.gotypes.gotype import GoType
from inspector.gotypes.table import TypeTable
from inspector.maps.family import Account, Header, Held, Reader, Snapshot
from inspector.maps.findings import Judgement
from inspector.maps.judging import not_checked
from inspector.naming.locate import TypeSource

NO_NAME = Name(None, None)
EVIDENCE = ("consistent", "write-in-progress", "unreadable")


@dataclass(frozen=True, slots=True)
class Claim:
    """A map that may be at an address. `types` are what it may be, the likeliest first.

    Something typed leads to it if `number` is one of a walk's, and `named` if that is a path from a package variable:
    then there is a map, whatever its state. If only an object leads to it, which may be out of use, it has to be sound;
    if it was found only by its shape, its keys have to prove it. Of a `damaged` one most of its keys have done so:
    what is wrong with it is a finding.
    """

    address: int
    types: tuple[GoType, ...]
    source: TypeSource
    found_by: FoundBy
    number: int | None = None
    named: bool = False
    name: Name = NO_NAME
    damaged: bool = False

    def believed(self, judgement: Judgement, snapshot: Snapshot) -> bool:
        """Whether the map is to be listed, judging by its buckets."""
        if self.named or self.damaged:
            return True
        proof = judgement.proof
        proven = self.number is not None or 0 < proof.checked == proof.matched or snapshot.proven_without_keys()
        return judgement.verdict in EVIDENCE and proven

    def with_type(self, go_type: GoType) -> Claim:
        """The claim with one of its types first; those of layouts that came before it are ruled out."""
        tried = {other.layout for other in self.types[: self.types.index(go_type)]} - {go_type.layout}
        rest = (other for other in self.types if other is not go_type and other.layout not in tried)
        return replace(self, types=(go_type, *rest))


@dataclass(frozen=True, slots=True)
class Marks:
    """What maps are compared by, out of a header: there may be a million of them."""

    storage: int
    seed: int


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of a claim: the row of the map, None if it is not one; its header, None where it was not read."""

    claim: Claim
    row: CensusMap | None
    header: Header | Marks | None = None

    @property
    def sound(self) -> bool:
        """Whether there is a map with nothing wrong about it."""
        return self.row is not None and self.row.verdict in ("consistent", "write-in-progress")

    @property
    def storage(self) -> int:
        """What its header leads to."""
        return self.header.storage if self.header else 0


def same_as(model: CensusMap, claim: Claim) -> CensusMap:
    """The row of a map that is as another one of its type, which was judged by the rules."""
    alternatives = tuple(other.name for other in claim.types[1:])
    return replace(
        model,
        address=claim.address,
        type_source=claim.source,
        # Rows that are alike share what they can: there may be a million of them.
        alternatives=model.alternatives if alternatives == model.alternatives else alternatives,
        found_by=claim.found_by,
        name=claim.name.path,
        holder=claim.name.holder,
    )


def listed(claim: Claim, snapshot: Snapshot, judgement: Judgement, with_strings: bool) -> CensusMap:
    """The row of a map that was copied and judged."""
    strings = snapshot.string_bytes() if with_strings else 0
    return _row(claim, snapshot.row(), snapshot.header.count, _apart(claim, snapshot.types), strings, judgement)


def unjudged(claim: Claim, header: Header, types: TypeTable) -> CensusMap:
    """The row of a map of which only the header was read."""
    outline = header.outline(claim.types[0], types.release)
    return _row(claim, outline, header.count, _apart(claim, types), 0, Judgement("not-read"))


def failed(claim: Claim, reader: Reader, header: Header | None, types: TypeTable, error: Exception) -> CensusMap:
    """The row of a map that could not be looked at: what went wrong, and no numbers but the header's count."""
    finding = not_checked("H0", "inspector.census.examine", reader.whole(claim.address), error)
    judgement = Judgement("unreadable", (replace(finding, message="this map could not be checked"),))
    return _row(claim, reader.nothing(types.release), header.count if header else 0, 0, 0, judgement)


def _apart(claim: Claim, types: TypeTable) -> int:
    """Bytes of one entry that lie apart from its cell."""
    map_type = claim.types[0]
    layout = map_type.layout
    if layout is None:
        return 0  # a sync.Map, which counts what it holds itself
    parts = ((types.key(map_type), layout.indirect_key), (types.elem(map_type), layout.indirect_elem))
    return sum(roundup_size(types.release, part.size, not part.has_pointers) for part, apart in parts if apart)


def _row(claim: Claim, account: Account, count: int, apart: int, strings: int, judgement: Judgement) -> CensusMap:
    go_type, *others = claim.types
    held = account.bytes
    return CensusMap(
        address=claim.address,
        type=go_type.name,
        type_source=claim.source,
        alternatives=tuple(other.name for other in others),
        count=count,
        load=account.load,
        growing=account.growing,
        state=account.state,
        bytes=Held(
            {**held.parts, "indirect": account.live * apart, "strings": strings},
            held.if_rebuilt + max(0, count) * apart + strings,
        ),
        verdict=judgement.verdict,
        findings=judgement.findings,
        found_by=claim.found_by,
        name=claim.name.path,
        holder=claim.name.holder,
        form=account.row_form,
        growth=account.row_growth,
        parts=account.parts,
    )
