"""Hashes of Go values by type, over arrays of them: what a map's hasher computes.

There are two families, and they differ. A map type's own hasher is made by the compiler (genhash in
cmd/compile/internal/reflectdata/alg.go). Since Go 1.27 it follows the signature of the key type (`signature.py`);
before, it joins neighbouring plain fields of a struct into one run of memory, each struct for itself.
runtime.typehash (runtime/alg.go) hashes what lies in interfaces, and the keys of maps made by reflect, field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError, NotReadInTime
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of, grouped
from inspector.gotypes.gotype import Field, GoType, Kind
from inspector.gotypes.reach import MAX_NESTING, MAX_STRING
from inspector.gotypes.table import TypeTable
from inspector.hashing.aes import Hashes
from inspector.hashing.kernel import CompiledAesHash
from inspector.hashing.signature import Gap, Loop, Part, Run, Signature, signature
from inspector.memory.frozen import FrozenMemory, Piece
from inspector.memory.protocol import Rows

C0 = np.uint64(33054211828000289)
C1 = np.uint64(23344194077549503)
"""c0 and c1 of runtime/alg.go for 64-bit pointers."""

LETTER_FLOATS = {"F": "<f4", "G": "<f8"}

FLOATS = {Kind.FLOAT32: "<f4", Kind.FLOAT64: "<f8", Kind.COMPLEX64: "<f4", Kind.COMPLEX128: "<f8"}


class MemoryHash(Protocol):
    """The primitives: rows of equal length, and one seed for each row."""

    name: str

    def memhash32(self, rows: Rows, seeds: Hashes) -> Hashes:
        """Hash rows of 4 bytes."""
        ...

    def memhash64(self, rows: Rows, seeds: Hashes) -> Hashes:
        """Hash rows of 8 bytes."""
        ...

    def memhash(self, rows: Rows, seeds: Hashes) -> Hashes:
        """Hash rows of any length."""
        ...

    def memhash_at(
        self, data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64], seeds: Hashes
    ) -> Hashes:
        """Hash ranges of `data`, of any lengths; raises ValueError where one does not lie in it."""
        ...


@dataclass
class Hashed:
    """Hashes, and for each whether it is known: a NaN hashes to chance, and bytes may be missing."""

    hashes: Hashes
    known: NDArray[np.bool_]


MOST_DYNAMIC = 1 << 14
"""Steps into the values of interfaces for one array of keys: an array of interfaces that holds itself has no end."""

Hash = Callable[[GoType, Rows, Hashed, int], Hashed]


class Hasher:
    """Hashes keys of a process; bytes behind pointers come from `memory`."""

    def __init__(self, types: TypeTable, memory: FrozenMemory, functions: MemoryHash) -> None:
        self.types, self.memory, self.functions = types, memory, functions
        self.left = MOST_DYNAMIC

    @property
    def dynamic(self) -> Hash:
        """The hash function of what lies in an interface: until 1.13 that of its own type, since then typehash."""
        return self.compiled if self.types.release.type_alg else self.typehash

    def map_keys(self, map_type: GoType, slots: Rows, seed: int | Hashes) -> Hashed:
        """Hash key slots of shape (n, slot size) uint8 as maps of this type do; nothing raises.

        `seed` is the map's (hash0 of an hmap, seed of a maps.Map: 64 bits), or an array (n,) uint64 with one for
        each slot, of keys in several maps.
        """
        assert map_type.layout is not None
        key, family, start = self._begin(map_type, len(slots), seed)
        if map_type.layout.indirect_key:
            return self._behind(family, key, _word(slots), start, 0)
        return family(key, slots, start, 0)

    def in_slots(self, map_type: GoType, slots: Rows, places: NDArray[np.int64], seed: int) -> Hashed | None:
        """Hash keys where they lie: in slots (n, 8, slot size) uint8 those at `places` (k,), flat numbers.

        It is for keys of one word, and for the compiled kernel: None for others, whose slots `map_keys` hashes.
        """
        assert map_type.layout is not None
        key, family, _ = self._begin(map_type, 0, seed)
        if not isinstance(self.functions, CompiledAesHash) or map_type.layout.indirect_key:
            return None
        if key.size not in (4, 8) or not self._is_plain(key, family):
            return None
        return Hashed(self.functions.memhash_slots(slots, places, seed), np.ones(len(places), dtype=bool))

    def _is_plain(self, key: GoType, family: Hash) -> bool:
        """Whether a hash function takes all bytes of a key as plain memory."""
        if family != self.signed:
            return key.regular_memory
        try:
            return list(signature(self.types, key)) == [Run(key.size)]
        except NotReadInTime:
            raise
        except InspectError:
            return False

    def keys(self, map_type: GoType, rows: Rows, seed: int | Hashes) -> Hashed:
        """Hash keys themselves, of shape (n, key size) uint8, as maps of this type do; see `map_keys`."""
        key, family, start = self._begin(map_type, len(rows), seed)
        return family(key, rows, start, 0)

    def _begin(self, map_type: GoType, count: int, seed: int | Hashes) -> tuple[GoType, Hash, Hashed]:
        self.left = MOST_DYNAMIC
        seeds = np.empty(count, dtype=np.uint64)
        seeds[:] = seed
        static = self.types.is_static(map_type.address)
        family = self.dynamic if not static else self.signed if self.types.release.hash_signatures else self.compiled
        return self.types.key(map_type), family, Hashed(seeds, np.ones(count, dtype=bool))

    # The two families

    def signed(self, go_type: GoType, rows: Rows, at: Hashed, depth: int) -> Hashed:
        """The hash function that the compiler makes for a type since 1.27 (genhashSig, hashFunc)."""
        try:
            parts = signature(self.types, go_type)
        except NotReadInTime:
            raise
        except InspectError:
            return _unknown(at)
        return self._by_signature(parts, rows, at, depth)

    def _by_signature(self, parts: Signature, rows: Rows, at: Hashed, depth: int) -> Hashed:
        start = 0
        for part in parts:
            at = self._by_part(part, rows[:, start : start + part.size], at, depth)
            start += part.size
        return at

    def _by_part(self, part: Part, rows: Rows, at: Hashed, depth: int) -> Hashed:
        if isinstance(part, Gap):
            return at
        if isinstance(part, Run):
            return self._plain(rows, at)
        if isinstance(part, Loop):
            size = part.size // part.count
            for start in range(0, part.size, size):
                at = self._by_signature(part.parts, rows[:, start : start + size], at, depth)
            return at
        if part.letter in LETTER_FLOATS:
            return self._floats(LETTER_FLOATS[part.letter], rows, at)
        if part.letter == "S":
            return self._strings(rows, at)
        return self._interfaces(part.go_type, rows, at, depth)

    def compiled(self, go_type: GoType, rows: Rows, at: Hashed, depth: int) -> Hashed:
        """The hash function that the compiler makes for a type until 1.26 (genhash, hashFunc)."""
        if depth > MAX_NESTING:
            return _unknown(at)
        if go_type.regular_memory:
            # memhash0 gives the seed back, unlike memhash of no bytes.
            return at if go_type.size == 0 else self._plain(rows, at)
        if go_type.kind == Kind.STRUCT:
            for start, end, part in self._runs(go_type):
                if part is None:
                    at = Hashed(self.functions.memhash(_bytes(rows, start, end), at.hashes), at.known)
                else:
                    at = self.compiled(part, rows[:, start:end], at, depth + 1)
            return at
        return self._composite(self.compiled, go_type, rows, at, depth)

    def typehash(self, go_type: GoType, rows: Rows, at: Hashed, depth: int) -> Hashed:
        """runtime.typehash."""
        if depth > MAX_NESTING:
            return _unknown(at)
        if go_type.regular_memory:
            return self._plain(rows, at)
        if go_type.kind == Kind.STRUCT:
            for field in go_type.fields:
                if field.name != "_":
                    part = self.types.get(field.type_address)
                    at = self.typehash(part, rows[:, field.offset : field.offset + part.size], at, depth + 1)
            return at
        return self._composite(self.typehash, go_type, rows, at, depth)

    def _composite(self, family: Hash, go_type: GoType, rows: Rows, at: Hashed, depth: int) -> Hashed:
        kind = go_type.kind
        if kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            for i in range(go_type.length):
                at = family(elem, rows[:, i * elem.size : (i + 1) * elem.size], at, depth + 1)
            return at
        if kind in FLOATS:
            return self._floats(FLOATS[kind], rows, at)
        if kind == Kind.STRING:
            return self._strings(rows, at)
        if kind == Kind.INTERFACE:
            return self._interfaces(go_type, rows, at, depth)
        return _unknown(at)  # a type that is not comparable: its hash would have panicked

    # Parts

    def _plain(self, rows: Rows, at: Hashed) -> Hashed:
        special = {4: self.functions.memhash32, 8: self.functions.memhash64}
        hash_rows = special.get(rows.shape[1], self.functions.memhash)
        return Hashed(hash_rows(_bytes(rows, 0, rows.shape[1]), at.hashes), at.known)

    def _runs(self, go_type: GoType) -> Iterator[tuple[int, int, GoType | None]]:
        """Parts of a struct as compare.Memrun cuts them: (start, end, None for plain memory or the type)."""
        fields = [(field, self.types.get(field.type_address)) for field in go_type.fields]
        at = 0
        while at < len(fields):
            field, part = fields[at]
            at += 1
            if field.name == "_":
                continue
            if not part.regular_memory:
                yield field.offset, field.offset + part.size, part
                continue
            end = field.offset + part.size
            while at < len(fields) and self._continues(fields[at], end):
                end = fields[at][0].offset + fields[at][1].size
                at += 1
            yield field.offset, end, None

    def _continues(self, candidate: tuple[Field, GoType], end: int) -> bool:
        field, part = candidate
        return field.offset == end and field.name != "_" and part.regular_memory

    def _floats(self, dtype: str, rows: Rows, at: Hashed) -> Hashed:
        width = np.dtype(dtype).itemsize
        for start in range(0, rows.shape[1], width):
            raw = _bytes(rows, start, start + width)
            values = raw.view(dtype)[:, 0]
            hashes = np.where(values == 0, C1 * (C0 ^ at.hashes), self.functions.memhash(raw, at.hashes))
            at = Hashed(hashes, at.known & ~np.isnan(values))
        return at

    def _strings(self, rows: Rows, at: Hashed) -> Hashed:
        headers = _bytes(rows, 0, rows.shape[1]).view(dtype_of(scalars.string_header))[:, 0]
        lengths = headers["len"]
        out = Hashed(at.hashes.copy(), np.zeros(len(rows), dtype=bool))
        # No byte of an empty string need have been copied.
        empty = np.flatnonzero(lengths == 0)
        pieces = [Piece(np.empty(0, np.uint8), empty, np.zeros(len(empty), np.int64))] if len(empty) else []
        usual = np.flatnonzero((lengths > 0) & (lengths <= MAX_STRING))
        for piece in self.memory.pieces(headers["data"][usual], lengths[usual]):
            pieces.append(Piece(piece.data, usual[piece.which], piece.starts))
        for piece in pieces:
            at_piece = piece.which
            out.hashes[at_piece] = self.functions.memhash_at(
                piece.data, piece.starts, lengths[at_piece], at.hashes[at_piece]
            )
            out.known[at_piece] = at.known[at_piece]
        return out

    def _interfaces(self, go_type: GoType, rows: Rows, at: Hashed, depth: int) -> Hashed:
        headers = _bytes(rows, 0, rows.shape[1]).view(dtype_of(scalars.interface_header))[:, 0]
        out = Hashed(at.hashes.copy(), at.known.copy())
        for tab, group in grouped(headers["tab"]):
            if tab == 0:
                continue  # a nil interface gives the seed back
            self.left -= 1
            if self.left < 0:
                out.known[group] = False
                continue
            own = Hashed(at.hashes[group] ^ C0, at.known[group])
            try:
                done = self._dynamic(go_type, tab, headers["data"][group], own, depth)
            except NotReadInTime:
                raise
            except InspectError:
                done = _unknown(own)
            out.hashes[group], out.known[group] = C1 * done.hashes, done.known
        return out

    def _dynamic(self, go_type: GoType, tab: int, data: NDArray[Any], at: Hashed, depth: int) -> Hashed:
        dynamic = self.types.dynamic(go_type, tab, self.memory)
        words = np.ascontiguousarray(data)
        if dynamic.direct_iface:
            return self.dynamic(dynamic, words.view(np.uint8).reshape(-1, 8), at, depth + 1)
        return self._behind(self.dynamic, dynamic, words, at, depth + 1)

    def _behind(self, family: Hash, go_type: GoType, pointers: Hashes, at: Hashed, depth: int) -> Hashed:
        rows, held = self.memory.held(pointers, go_type.size)
        done = family(go_type, rows, Hashed(at.hashes[held], at.known[held]), depth)
        out = _unknown(at)
        out.hashes[held], out.known[held] = done.hashes, done.known
        return out


def _unknown(at: Hashed) -> Hashed:
    return Hashed(at.hashes.copy(), np.zeros(len(at.hashes), dtype=bool))


def _bytes(rows: Rows, start: int, end: int) -> Rows:
    return np.ascontiguousarray(rows[:, start:end])


def _word(rows: Rows) -> Hashes:
    return np.ascontiguousarray(rows).view(np.uint64)[:, 0]
