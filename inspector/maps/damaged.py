"""Proves maps that are damaged, by those of their keys that still lie where they hash to.

`identify.shortlist` refuses a candidate for any contradiction. Here contradictions are damage, if there is enough that
speaks for a map all the same. The measure is bits: a key in its place shows as many of its hash as its place tells, and
the choice of what was put right costs as many as there was to choose from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.sizes import MALLOC_HEADER_SIZE
from inspector.gotypes.gotype import GoType
from inspector.gotypes.plausible import Followable, Plausibility
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.hashing.hasher import Hasher
from inspector.maps.family import Family, Headers, Mask, Repaired, Sample, Source
from inspector.maps.identify import BUDGET, LONG, Storage, by_layout, specific, which_hold
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Rows

logger = logging.getLogger(__name__)

PROVEN_BITS = 20.0
"""So many bits prove a map: three keys. By chance one of a million memories has them."""

EVIDENCE_BITS = 13.0
"""So many are evidence of one: two keys."""

SHAPE_BITS = 24.0
"""So many are evidence where they are no keys': three control bytes of empty slots."""

BUCKETS = 8
"""Buckets or groups of each array that are looked at."""

KEYS = 24
"""Keys of each map that are hashed."""

TOGETHER = 1 << 12
"""Rows that are looked at together."""

MOST_BY_BYTES = 64
"""Headers of which every byte of seed and pointers is tried: that costs thousands of rows each."""

MOST_SECONDS = 5.0
"""How long that may take."""


@dataclass(frozen=True)
class Weighed:
    """What speaks for a damaged map: its types, the likeliest first; how many of its keys lie where they hash to.

    `bits` is what these keys show beyond what the search may have found by chance, `put_right` what had to be put right
    for that ("" for nothing). `shape` is what the memory shows without its keys. `unhashable`
    says that keys of some type may be there whose hashes nobody can repeat, as those of NaNs.
    """

    types: tuple[GoType, ...] = ()
    right: int = 0
    checked: int = 0
    bits: float = 0.0
    put_right: str = ""
    shape: float = 0.0
    unhashable: bool = False

    @property
    def proven(self) -> bool:
        """Whether this is a map: most of its keys say so, and they are enough."""
        return 2 * self.right > self.checked and self.bits >= PROVEN_BITS

    @property
    def hashable(self) -> bool:
        """Whether any key that was looked at could be hashed: hashes of NaNs say nothing."""
        return not self.unhashable

    @property
    def evidence(self) -> bool:
        """Whether it is likely to be one, by its keys."""
        return 2 * self.right > self.checked and self.bits >= EVIDENCE_BITS


@dataclass
class _Best:
    """The best that was found of one header; `types` with what elements say of each."""

    bits: float = 0.0
    right: int = 0
    checked: int = 0
    put_right: str = ""
    shape: float = 0.0
    unhashable: bool = False
    types: dict[int, tuple[float, int, GoType]] = field(default_factory=dict)

    def weighed(self) -> Weighed:
        ranked = sorted(self.types.values(), key=lambda one: (-one[0], -one[1], one[2].name))
        most = ranked[0][0] if ranked else 0.0
        # What elements contradict more than another type does is no alternative.
        types = tuple(go_type for share, _, go_type in ranked if share == most)
        return Weighed(types, self.right, self.checked, self.bits, self.put_right, self.shape, self.unhashable)


def weigh(
    family: Family, source: Source, headers: Headers, among: Sequence[Sequence[GoType]] | None = None
) -> list[Weighed]:
    """Find out what speaks for each of some headers, as a map of any type, or of those `among` which it must be.

    The hash functions and the heap's metadata must be known; nothing raises for bad memory.
    """
    scale = _Scale(family, source, headers, among)
    scale.put(family.repaired(source, headers.rows))
    left = np.array(scale.left(), np.int64)[:MOST_BY_BYTES]
    until = time.monotonic() + MOST_SECONDS
    for at in left.tolist():
        if time.monotonic() > until:
            logger.debug("no time was left to try the bytes of all headers")
            break
        tried = family.repaired_bytes(source, headers.rows[[at]], lambda places: _starts(source, places))
        scale.put(Repaired(tried.owner + at, tried.rows, tried.bits, tried.inside, tried.field), strict=True)
    return [best.weighed() for best in scale.best]


def _starts(source: Source, addresses: Addresses) -> Mask:
    """(n,) where objects in use begin; those with pointers may have a malloc header before them."""
    assert source.heap is not None
    objects = source.heap.about(addresses).objects(addresses)
    behind = addresses - objects.base
    return np.asarray(objects.alive & ((behind == 0) | (behind == MALLOC_HEADER_SIZE)))


class _Scale:
    """Weighs headers that were put right in many ways; `best` is what was found of each."""

    def __init__(
        self, family: Family, source: Source, headers: Headers, among: Sequence[Sequence[GoType]] | None
    ) -> None:
        self.family, self.source, self.headers = family, source, headers
        self.best = [_Best() for _ in range(len(headers))]
        self.judge = Plausibility(source.types, source.memory, source.regions)
        self.among = None if among is None else [{each.address for each in some} for some in among]
        every = source.types.map_types if among is None else {each.address: each for some in among for each in some}
        self.layouts = list(by_layout(every.values() if isinstance(every, dict) else every))

    def left(self) -> list[int]:
        """Numbers of the headers that are not proven."""
        return [at for at, best in enumerate(self.best) if not best.weighed().proven]

    def put(self, tried: Repaired, strict: bool = False) -> None:
        """Weigh some rows; `strict` says that all keys must be right, as something else is damaged."""
        for first in range(0, len(tried.owner), TOGETHER):
            self._put(tried.where(slice(first, first + TOGETHER)), strict)

    def _put(self, tried: Repaired, strict: bool) -> None:
        family, source = self.family, self.source
        rows = Headers(self.headers.addresses[tried.owner], tried.rows)
        shapes = family.shape_bits(source, tried.rows) - tried.bits
        for at in np.flatnonzero(shapes > 0).tolist():
            best = self.best[tried.owner[at]]
            best.shape = max(best.shape, float(shapes[at]))
        storage, seeds = Storage(family, source, rows), family.seeds(tried.rows)
        for layout, alike in self.layouts:
            possible = storage.may_have(layout) | tried.inside
            if not possible.any():
                continue
            sample = family.sample(source, rows, layout, possible, BUCKETS, True).first(KEYS)
            if not len(sample.owner):
                continue
            for types in alike:
                right, known = self._right(types[0], sample, seeds, strict)
                self._note(tried, storage, sample, types, right, known, strict)

    def _note(
        self, tried: Repaired, storage: Storage, sample: Sample, types: list[GoType], right: Mask, known: Mask,
        strict: bool,
    ) -> None:  # fmt: skip
        count = len(tried.owner)
        matched = np.bincount(sample.owner[right], minlength=count)
        checked = np.bincount(sample.owner[known], minlength=count)
        shown = np.bincount(sample.owner[right], weights=self.family.bits(sample)[right], minlength=count) - tried.bits
        if not strict:
            cells = np.bincount(sample.owner, minlength=count)
            # As they are, before anything is put right.
            for at in np.flatnonzero((cells > 0) & (checked == 0) & (tried.field == "")).tolist():
                self.best[tried.owner[at]].unhashable = True
        good = (2 * matched > checked) & (matched > 0) & (shown > 0)
        if strict:
            good &= matched == checked
        chosen = np.flatnonzero(good)
        if not len(chosen):
            return
        for map_type in types:
            fits = storage.may_be(map_type) | tried.inside
            for at in chosen[fits[chosen]].tolist():
                self._keep(tried, at, map_type, int(matched[at]), int(checked[at]), float(shown[at]), sample)

    def _keep(
        self, tried: Repaired, at: int, map_type: GoType, right: int, checked: int, bits: float, sample: Sample
    ) -> None:
        number = int(tried.owner[at])
        best = self.best[number]
        if self.among is not None and map_type.address not in self.among[number]:
            return
        if bits < best.bits:
            return
        if bits > best.bits:
            best.bits, best.right, best.checked, best.put_right = bits, right, checked, str(tried.field[at])
            best.types.clear()
        own = sample.where(sample.owner == at)
        layout = map_type.layout
        assert layout is not None
        elem = self.source.types.elem(map_type)
        holds = which_hold(self.source, self.judge, elem, own.elems, layout.indirect_elem)
        share = float(holds.mean()) if len(holds) else 1.0
        best.types[map_type.address] = share, specific(self.judge, map_type), map_type

    def _right(
        self, map_type: GoType, sample: Sample, seeds: Addresses, strict: bool
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(k,) which keys lie where they hash to as keys of a type, and which could be checked.

        No map has a key twice: of equal keys, as in memory full of zeros, only the first is where it should be.
        Where all must be right, those of a map of which one is wrong are not looked at any further.
        """
        right, known = np.zeros(len(sample.owner), dtype=bool), np.ones(len(sample.owner), dtype=bool)
        nth = np.arange(len(sample.owner)) - np.searchsorted(sample.owner, sample.owner)
        left = np.ones(int(sample.owner.max()) + 1, dtype=bool)
        for part in (nth == 0, nth > 0) if strict else (nth >= 0,):
            part = np.flatnonzero(part & left[sample.owner])
            if not len(part):
                continue
            right[part], known[part] = self._hashed(map_type, sample, seeds, part)
            left[sample.owner[part[known[part] & ~right[part]]]] = False
        again = np.flatnonzero(right)
        right[again[_repeated(sample.owner[again], sample.keys[again])]] = False
        return right, known

    def _hashed(
        self, map_type: GoType, sample: Sample, seeds: Addresses, part: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        source, functions = self.source, self.source.functions
        assert functions is not None
        assert map_type.layout is not None
        some = Sample(sample.owner[part], sample.keys[part], sample.elems[part], sample.seats[part], sample.possible)
        types, memory, regions = source.types, source.memory, source.regions
        key, frozen, values = types.key(map_type), FrozenMemory(), some.keys
        can = np.ones(len(values), dtype=bool)
        if map_type.layout.indirect_key:
            words = np.ascontiguousarray(values).view(np.uint64)[:, 0]
            few = slice(max(1, BUDGET // max(key.size, 1)))
            values, can[:] = np.zeros((len(words), key.size), np.uint8), False
            values[few], can[few] = gather(memory, regions, words[few], key.size)
            frozen.add_rows(words[can], values[can])
        judge = Followable(types, memory, regions, key, values)
        can &= judge.can
        short = can & (judge.longest < LONG)
        Reach(types, memory, regions, frozen, BUDGET, LONG).copy(key, values[short], KEY_LIMITS)
        hashed = Hasher(types, frozen, functions).map_keys(map_type, some.keys, seeds[some.owner])
        right = short & hashed.known & self.family.agrees(some, hashed.hashes)
        # What cannot be a key is one that is not right.
        return right, ~can | hashed.known


def _repeated(owner: NDArray[np.int64], keys: Rows) -> Mask:
    """(k,) which keys their owner has already had."""
    again = np.ones(len(owner), dtype=bool)
    if len(owner):
        rows = np.hstack((owner.astype(np.int64)[:, None].view(np.uint8), keys))
        again[np.unique(rows, axis=0, return_index=True)[1]] = False
    return again


def suspects(family: Family, source: Source, nearly: Headers) -> Headers:
    """Those headers that are nearly plausible whose memory looks as if they were maps, damaged or not."""
    return nearly.where(family.looks_like_cells(source, nearly.rows))
