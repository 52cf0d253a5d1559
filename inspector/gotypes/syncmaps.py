"""Recognises the type sync.Map, and gives it the types of its keys and values, which are interfaces."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from inspector.errors import InspectError, UnknownType
from inspector.goruntime.syncmap import trie_map, two_maps
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.table import TypeTable

NAME = "sync.Map"
ANY = "interface {}"

MADE_UP = (1 << 63) + 8
"""The address that stands for the type where the executable describes none: no descriptor can be there."""

FIELDS = ({"m"}, {"mu", "read", "dirty", "misses"})
"""Names of its fields: since 1.24, and before. A field without a name does not count."""


def is_sync_map(go_type: GoType) -> bool:
    """Whether a type is sync.Map of the standard library, by its name and its fields."""
    if go_type.kind != Kind.STRUCT or go_type.name != NAME or go_type.pkg_path not in ("", "sync"):
        return False
    return not go_type.fields or {part.name for part in go_type.fields} - {"_"} in FIELDS


def as_map(types: TypeTable, go_type: GoType) -> GoType:
    """A sync.Map with the types of its keys and values, so that it is taken for a map; other types as they are.

    Raises UnknownType where the executable describes no interface {}, so that no sync.Map was used.
    """
    if not is_sync_map(go_type):
        return go_type
    any_type = types.find_type(ANY)
    return replace(go_type, key_address=any_type.address, elem_address=any_type.address)


def find_sync_map(types: TypeTable) -> GoType | None:
    """The type sync.Map as a map, made up where the executable has no descriptor of it; None where it uses none."""
    known: GoType | None = None
    with suppress(UnknownType):
        known = types.find_type(NAME)
    try:
        if known is None or not is_sync_map(known):
            size = (trie_map if types.release.sync_map_is_trie else two_maps(types.release)).sizeof()
            known = GoType(MADE_UP, Kind.STRUCT, size, NAME, "sync", named=True, has_pointers=True)
            types.adopt(known)
        return as_map(types, known)
    except InspectError:
        return None


def map_beneath(types: TypeTable) -> GoType | None:
    """The map type that a sync.Map is hashed as, or made of; None where the executable has none."""
    name = "map[interface {}]interface {}" if types.release.sync_map_is_trie else "map[interface {}]*sync.entry"
    return next((each for each in types.map_types if each.name == name), None)
