"""Where unsafe pointers lead that the standard library stores typed values behind: atomic.Pointer, sync.Map."""

from __future__ import annotations

from contextlib import suppress

from inspector.errors import InspectError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable

TRIE_NODE = "sync.node["
"""How the names of the types begin that the nodes of a HashTrieMap have."""


def behind_unsafe_pointer(types: TypeTable, go_type: GoType) -> GoType | None:
    """What the unsafe.Pointer of a struct leads to, if that is known: atomic.Pointer, and entries of sync.Map."""
    for part in go_type.fields:
        inner = types.get(part.type_address)
        # sync/atomic.Pointer[T] has a field of type [0]*T.
        if part.name == "_" and inner.kind == Kind.ARRAY and not inner.length:
            pointer = types.elem(inner)
            return types.elem(pointer) if pointer.kind == Kind.POINTER else None
    # Until 1.19 the entries of a sync.Map led to their interface by an unsafe.Pointer.
    return types.find_type("interface {}") if go_type.name == "sync.entry" else None


def nodes_of_trie(types: TypeTable, go_type: GoType) -> tuple[GoType, GoType] | None:
    """What a node of a HashTrieMap really is the beginning of, as its one field isEntry says: indirect, or entry.

    sync.Map is made of these since 1.24 (internal/sync/hashtriemap.go). None for other types, and where the
    executable lacks one of the two.
    """
    if not go_type.name.startswith(TRIE_NODE) or [part.name for part in go_type.fields] != ["isEntry"]:
        return None
    arguments = go_type.name.removeprefix(TRIE_NODE)
    with suppress(InspectError):
        return types.find_type(f"sync.indirect[{arguments}"), types.find_type(f"sync.entry[{arguments}")
    return None
