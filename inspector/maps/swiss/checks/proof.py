"""The hash proof: every key hashed again as the runtime did."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from inspector.hashing.hasher import Hashed, Hasher, MemoryHash
from inspector.maps.findings import HashProof
from inspector.maps.swiss.checks.view import MapView

NO_KEYS = "the process's hash keys were not found"
NO_ALGORITHM = "the hash function of this Go release is not known here"


class Proof:
    """The hashes of a snapshot's keys, worked out once for all rules."""

    def __init__(self, view: MapView) -> None:
        self.view = view
        self.snapshot = view.snapshot

    @cached_property
    def functions(self) -> MemoryHash | None:
        """The process's hash functions, None when they are not known."""
        keys = self.snapshot.hash_keys
        return keys.functions(self.snapshot.release) if keys else None

    @cached_property
    def hashed(self) -> Hashed:
        """The hashes of all live keys, in the order of their places; the hash functions must be known."""
        assert self.functions is not None
        hasher = Hasher(self.snapshot.types, self.snapshot.memory, self.functions)
        groups = self.view.groups
        return hasher.map_keys(self.snapshot.type, groups.keys[groups.full], self.snapshot.header.seed)

    def summary(self) -> HashProof:
        """Count what was proven."""
        if self.functions is None:
            reason = NO_ALGORITHM if self.snapshot.hash_keys else NO_KEYS
            return HashProof(0, 0, self.view.live_count, None, reason)
        groups, hashed = self.view.groups, self.hashed
        right = hashed.hashes & np.uint64(0x7F) == groups.ctrl[groups.full]
        checked = int(np.count_nonzero(hashed.known))
        matched = int(np.count_nonzero(right & hashed.known))
        return HashProof(checked, matched, len(hashed.known) - checked, self.functions.name, None)
