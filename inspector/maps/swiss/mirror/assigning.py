"""The functions that assign to a Swiss map, and which of them take tombstones away (runtime_fast64.go and its like)."""

from __future__ import annotations

from inspector.goruntime.releases import Release

GENERIC = "mapassign"
FAST32, FAST64, FAST64PTR, FASTSTR = (f"{GENERIC}_{name}" for name in ("fast32", "fast64", "fast64ptr", "faststr"))


def prunes(function: str, release: Release) -> bool:
    """Whether this function takes tombstones away before it makes a table grow."""
    if not release.prunes_tombstones or function == GENERIC:
        return False
    return function != FAST64PTR or release.prunes_with_pointer_keys
