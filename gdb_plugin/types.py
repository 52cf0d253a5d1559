"""Go types as gdb has them: found by the names that DWARF gives them, or taken out of a map's own type."""

from __future__ import annotations

from collections.abc import Iterator

import gdb

from inspector.control.gdbvalues import CLASSIC_MAP, family_prefix
from inspector.errors import InspectError
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.layouts import Layout
from inspector.gotypes.table import TypeTable

STRUCTS = frozenset({Kind.STRUCT, Kind.SLICE, Kind.STRING})
"""Kinds that are structs in DWARF: without a name of their own gdb finds them as such only."""

BASIC = frozenset(range(Kind.BOOL, Kind.ARRAY))
"""Kinds whose names mean something else in other languages: gdb's int has four bytes while its language is C."""

MOST_DEPTH = 16
"""Pointers to pointers that are looked through."""


def key_and_elem(map_type: gdb.Type, layout: Layout) -> tuple[gdb.Type, gdb.Type]:
    """The types of keys and elements of a map, out of its buckets or groups (cmd/link/internal/ld/dwarf.go).

    What is stored by reference is declared as a pointer there. Raises gdb.error.
    """
    header = map_type.strip_typedefs().target().strip_typedefs()
    if family_prefix(map_type) == CLASSIC_MAP:
        bucket = header["buckets"].type.strip_typedefs().target().strip_typedefs()
        key, elem = (bucket[name].type.strip_typedefs().target() for name in ("keys", "values"))
    else:
        table = header["dirPtr"].type.strip_typedefs().target().strip_typedefs().target().strip_typedefs()
        groups = table["groups"].type.strip_typedefs()
        group = groups["data"].type.strip_typedefs().target().strip_typedefs()
        key, elem = _of_group(group)
    return key.target() if layout.indirect_key else key, elem.target() if layout.indirect_elem else elem


def _of_group(group: gdb.Type) -> tuple[gdb.Type, gdb.Type]:
    if any(field.name == "slots" for field in group.fields()):
        slot = group["slots"].type.strip_typedefs().target().strip_typedefs()
        return slot["key"].type, slot["elem"].type
    # GOEXPERIMENT=mapsplitgroup
    key, elem = (group[name].type.strip_typedefs().target() for name in ("keys", "elems"))
    return key, elem


def find_type(types: TypeTable, wanted: GoType, depth: int = 0) -> gdb.Type | None:
    """The type of gdb's that a Go type is; None where its DWARF does not name it."""
    if wanted.kind in BASIC and not wanted.named:
        return None
    for name in _names(types, wanted):
        try:
            found = gdb.lookup_type(name)
        except gdb.error:
            continue
        if found.sizeof == wanted.size:
            return found
    if wanted.kind == Kind.POINTER and depth < MOST_DEPTH:
        try:
            target = find_type(types, types.elem(wanted), depth + 1)
        except InspectError:
            return None
        return target.pointer() if target is not None else None
    return None


def _names(types: TypeTable, wanted: GoType) -> Iterator[str]:
    """What DWARF may call a type: with import paths, whose last element has its dots escaped, and as reflect does."""
    full = types.qualified_name(wanted)
    head, _, last = full.rpartition("/")
    package, _, name = last.rpartition(".")
    escaped = f"{head}/{package.replace('.', '%2e')}.{name}" if head and "." in package else full
    for each in dict.fromkeys((full, escaped, wanted.name)):
        yield f"struct {each}" if wanted.kind in STRUCTS and not wanted.named else each


def value_at(address: int, declared: gdb.Type) -> gdb.Value:
    """The value of a type at an address; gdb reads it when it is first needed."""
    return gdb.Value(address).cast(declared.pointer()).dereference()
