"""Reads a HashTrieMap level by level: inner nodes, then the entries below them (internal/sync/hashtriemap.go).

Every change of a trie becomes visible by one pointer, whatever locks are held: it is whole at any stop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.sizes import block_size
from inspector.goruntime.syncmap import CHILDREN_BITS, LEVELS, trie_entry, trie_indirect, trie_map, trie_node
from inspector.maps.family import WORD, Source
from inspector.maps.findings import Finding
from inspector.maps.syncmap.contents import ANY_SIZE, Contents, path_of
from inspector.maps.syncmap.header import SyncHeader
from inspector.maps.syncmap.places import PARTS, Where
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct, is_among

MOST_ENTRIES = 1 << 24
"""Entries and nodes that are read of one trie at most."""

MOST_FINDINGS = 20
Numbers = NDArray[np.int64]


def read_trie(source: Source, header: SyncHeader) -> Contents:
    """Read all of a trie; what cannot be read is left out, and named in the findings. Raises NotReadInTime."""
    return _Reader(source).read(header.words["root"])


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source, self.release = source, source.release
        self.findings: list[Finding] = []
        self.seen: Addresses = np.empty(0, np.uint64)
        self.nodes = 0
        self.parts: list[tuple[Addresses, NDArray[np.void], NDArray[np.uint64], int, int]] = []

    def read(self, root: int) -> Contents:
        level = np.array([root] if root else [], np.uint64)
        above, prefix = np.zeros(len(level), np.uint64), np.zeros(len(level), np.uint64)
        for depth in range(LEVELS + 1):
            if not len(level):
                break
            if depth == LEVELS:
                self._wrong("S2", "a path goes on where all bits of a hash are used up", prefix[0], depth, level[0])
                break
            level, above, prefix = self._level(level, above, prefix, depth)
        return self._contents()

    def _level(
        self, nodes: Addresses, above: Addresses, prefix: NDArray[np.uint64], depth: int
    ) -> tuple[Addresses, Addresses, NDArray[np.uint64]]:
        """Read the inner nodes of a level and the entries below them; returns the inner nodes of the next one."""
        rows, ok = self._read(trie_indirect, nodes, prefix, depth)
        nodes, above, prefix = nodes[ok], above[ok], prefix[ok]
        self.nodes += len(nodes)
        for at in np.flatnonzero(rows["parent"] != above).tolist():
            self._wrong(
                "S3", "the parent of a node does not lead back to the node above it", prefix[at], depth, nodes[at],
                f"{rows['parent'][at]:#x}", f"{above[at]:#x}",
            )  # fmt: skip
        children = rows["children"]
        which, slot = np.nonzero(children)
        targets = children[which, slot]
        below = (prefix[which] << np.uint64(CHILDREN_BITS)) | slot.astype(np.uint64)
        heads, ok = self._read(trie_node, targets, below, depth + 1)
        targets, below, which = targets[ok], below[ok], which[ok]
        kind = heads["isEntry"]
        for at in np.flatnonzero(kind > 1).tolist():
            self._wrong("S2", "isEntry is neither 0 nor 1", below[at], depth + 1, targets[at], str(kind[at]), "0 or 1")
        fresh = self._fresh(targets, below, depth + 1)
        leaf, inner = fresh & (kind == 1), fresh & (kind == 0)
        self._chain(targets[leaf], below[leaf], depth + 1)
        return targets[inner], nodes[which[inner]], below[inner]

    def _chain(self, entries: Addresses, prefix: NDArray[np.uint64], depth: int) -> None:
        """Read entries and those that follow them in lists of equal hashes."""
        chained = 0
        while len(entries):
            rows, ok = self._read(trie_entry, entries, prefix, depth)
            entries, prefix = entries[ok], prefix[ok]
            self.parts.append((entries, rows, prefix, depth, chained))
            more = rows["overflow"] != 0
            entries, prefix = rows["overflow"][more], prefix[more]
            fresh = self._fresh(entries, prefix, depth)
            entries, prefix = entries[fresh], prefix[fresh]
            chained += 1

    def _read(
        self, declaration: object, addresses: Addresses, prefix: NDArray[np.uint64], depth: int
    ) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """The structures at addresses, those that can be read, and which can."""
        declared = dtype_of(declaration)
        aligned = np.where(addresses % np.uint64(WORD) == 0, addresses, np.uint64(0))
        rows, ok = gather(self.source.memory, self.source.regions, aligned, declared.itemsize)
        for at in np.flatnonzero(~ok).tolist():
            self._wrong("S2", "a node cannot be read", prefix[at], depth, addresses[at], unreadable=True)
        return rows[ok].view(declared)[:, 0], ok

    def _fresh(self, addresses: Addresses, prefix: NDArray[np.uint64], depth: int) -> NDArray[np.bool_]:
        """Which nodes were not reached before; each has one place only."""
        first = np.zeros(len(addresses), dtype=bool)
        first[np.unique(addresses, return_index=True)[1]] = True
        fresh = first & ~is_among(addresses, self.seen)
        for at in np.flatnonzero(~fresh).tolist():
            self._wrong("S2", "a node is reached twice", prefix[at], depth, addresses[at])
        if len(self.seen) + len(addresses) > MOST_ENTRIES:
            self._wrong("S2", f"more than {MOST_ENTRIES:,} nodes are reached", 0, 0, addresses[0])
            fresh[:] = False
        self.seen = distinct(np.concatenate([self.seen, addresses[fresh]]))
        return fresh

    def _wrong(
        self,
        rule: str,
        message: str,
        prefix: np.uint64 | int,
        depth: int,
        address: np.uint64 | int,
        observed: str = "",
        expected: str = "",
        unreadable: bool = False,
    ) -> None:
        if len(self.findings) < MOST_FINDINGS:
            where = Where("trie", path_of(int(prefix), depth), 0, int(address))
            source = "internal/sync.(*HashTrieMap).expand"
            self.findings.append(
                Finding(
                    rule, message, observed or f"{int(address):#x}", expected or "a node that nothing else leads to",
                    source, where, unreadable=unreadable,
                )
            )  # fmt: skip

    def _contents(self) -> Contents:
        declared = dtype_of(trie_entry)
        addresses = np.concatenate([part[0] for part in self.parts] or [np.empty(0, np.uint64)])
        rows = np.concatenate([part[1] for part in self.parts] or [np.empty(0, declared)])
        prefix = np.concatenate([part[2] for part in self.parts] or [np.empty(0, np.uint64)])
        depth = np.repeat([part[3] for part in self.parts], [len(part[0]) for part in self.parts]).astype(np.int64)
        chained = np.repeat([part[4] for part in self.parts], [len(part[0]) for part in self.parts]).astype(np.int64)
        # In the order in which Range visits them.
        top = prefix << (CHILDREN_BITS * (LEVELS - depth)).astype(np.uint64)
        order = np.lexsort((chained, top))
        rows = rows[order]
        addresses = addresses[order]
        assert declared.fields is not None
        key_at, value_at = declared.fields["key"][1], declared.fields["value"][1]
        raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), declared.itemsize)
        sizes = {
            "nodes": self.nodes * block_size(self.release, trie_indirect.sizeof(), noscan=False),
            "entries": len(rows) * block_size(self.release, trie_entry.sizeof(), noscan=False),
            "maps": 0,
            "header": trie_map.sizeof(),
        }
        return Contents(
            addresses=addresses,
            key_places=addresses + np.uint64(key_at),
            value_places=addresses + np.uint64(value_at),
            keys=raw[:, key_at : key_at + ANY_SIZE],
            values=raw[:, value_at : value_at + ANY_SIZE],
            part=np.full(len(rows), PARTS.index("trie"), np.uint8),
            prefix=prefix[order],
            depth=depth[order],
            chained=chained[order],
            nodes=self.nodes,
            deleted=0,
            sizes=sizes,
            findings=tuple(self.findings),
        )
