"""Keys that nothing could have hashed: strings and interfaces in them that lead to no memory or no type.

The walk goes where the hash functions go (inspector.hashing.hasher); what was only not copied is not dangling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime import scalars
from inspector.goruntime.dtypes import dtype_of, grouped
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import MAX_NESTING
from inspector.gotypes.table import BadType, TypeTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Addresses, RegionMap, Rows

NOT_COMPARABLE = frozenset({Kind.SLICE, Kind.MAP, Kind.FUNC})
"""Kinds whose values cannot be keys: hashing one panics (runtime.typehash)."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Dangling:
    """Finds dangling references of values. `memory` holds what was copied, `regions` what was readable."""

    types: TypeTable
    memory: FrozenMemory
    regions: RegionMap

    def of(self, go_type: GoType, rows: Rows, depth: int = 0) -> Mask:
        """For each value of shape (n, size) whether something in it leads nowhere."""
        bad = np.zeros(len(rows), dtype=bool)
        if not len(rows) or not go_type.has_pointers or depth > MAX_NESTING:
            return bad
        if go_type.kind == Kind.STRING:
            return self._strings(rows)
        if go_type.kind == Kind.INTERFACE:
            return self._interfaces(go_type, rows, depth)
        if go_type.kind == Kind.ARRAY:
            elem = self.types.elem(go_type)
            parts = np.ascontiguousarray(rows).reshape(-1, elem.size)
            in_any: Mask = np.logical_or.reduce(self.of(elem, parts, depth + 1).reshape(len(rows), -1), axis=1)
            return in_any
        if go_type.kind == Kind.STRUCT:
            for field in go_type.fields:
                part = self.types.get(field.type_address)
                if field.name != "_":
                    bad |= self.of(part, rows[:, field.offset : field.offset + part.size], depth + 1)
        return bad

    def behind(self, go_type: GoType, pointers: Addresses, depth: int = 0) -> Mask:
        """For each pointer whether it, or something in the value that it leads to, leads nowhere."""
        bad = ~self.regions.contains(pointers, go_type.size)
        if not go_type.size:
            bad[:] = False
        if go_type.has_pointers:
            # Each value is looked at once, however often it is pointed to: an array of interfaces may hold itself.
            targets, which = np.unique(pointers, return_inverse=True)
            rows, held = self.memory.held(targets, go_type.size)
            inside = np.zeros(len(targets), dtype=bool)
            inside[held] = self.of(go_type, rows, depth + 1)
            bad |= inside[which]
        return bad

    def _strings(self, rows: Rows) -> Mask:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.string_header))[:, 0]
        length = headers["len"]
        readable = self.regions.contains(headers["data"], np.maximum(length, 0).astype(np.uint64))
        return np.where(length > 0, ~readable, length < 0)

    def _interfaces(self, go_type: GoType, rows: Rows, depth: int) -> Mask:
        headers = np.ascontiguousarray(rows).view(dtype_of(scalars.interface_header))[:, 0]
        bad = np.zeros(len(rows), dtype=bool)
        tabs = headers["tab"]
        for tab, group in grouped(tabs):
            if not tab:
                continue
            try:
                bad[group] = self._dynamic(go_type, tab, headers["data"][group], depth)
            except BadType:
                bad[group] = True
            except UnreadableMemory as error:
                # What is mapped may merely not have been copied.
                bad[group] = not self.regions.covers(error.address, 1)
        return bad

    def _dynamic(self, go_type: GoType, tab: int, data: NDArray[Any], depth: int) -> Mask:
        dynamic = self.types.dynamic(go_type, tab, self.memory)
        if not self._comparable(dynamic):
            raise BadType(f"{dynamic.name} cannot be a key")
        if dynamic.direct_iface:
            return np.zeros(len(data), dtype=bool)
        return self.behind(dynamic, np.ascontiguousarray(data), depth)

    def _comparable(self, go_type: GoType) -> bool:
        waiting, seen = [go_type], set()
        while waiting:
            one = waiting.pop()
            if one.kind in NOT_COMPARABLE:
                return False
            if one.address in seen:
                continue
            seen.add(one.address)
            if one.kind == Kind.ARRAY:
                waiting.append(self.types.elem(one))
            waiting += [self.types.get(field.type_address) for field in one.fields if field.name != "_"]
        return True
