"""Describes a sync.Map for every renderer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import block_size
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of, size
from inspector.maps.family import WORD, Account, Held, Passage
from inspector.maps.syncmap.contents import Contents, no_contents
from inspector.maps.syncmap.header import HEADER, NAME, ROW_UNKNOWN, SyncHeader, header_size

TYPES_SHOWN = 4
TYPES_IN_A_CELL = 2

TypeCounts = tuple[dict[str, int], dict[str, int]]


def account_of(release: Release, header: SyncHeader, contents: Contents, types: TypeCounts) -> Account:
    """See Snapshot.account."""
    held = _held(release, contents)
    keys, values = types
    passages = (
        Passage("entries", tuple(_entry_lines(contents, held))),
        Passage("keys", (_counted(keys, TYPES_SHOWN),)),
        Passage("values", (_counted(values, TYPES_SHOWN),)),
    )
    state = f"{_named(keys)}: {_named(values)}" if len(contents) else ""
    return _account(release, header, contents, held, types, passages, state)


def nothing(release: Release) -> Account:
    """See Reader.nothing: what a nil pointer to a sync.Map has."""
    sizes = {"nodes": 0, "entries": 0, "maps": 0, "header": 0}
    header = SyncHeader({}, release.sync_map_is_trie)
    passages = (Passage("nil", ("a nil *sync.Map: a call of any of its methods panics",)),)
    return _account(release, header, no_contents(sizes), Held(sizes, 0), ({}, {}), passages, "")


def _account(
    release: Release,
    header: SyncHeader,
    contents: Contents,
    held: Held,
    types: TypeCounts,
    passages: tuple[Passage, ...],
    state: str,
) -> Account:
    load = len(contents) / contents.nodes if contents.nodes else 0.0
    keys, values = types
    form = "hash-trie" if header.is_trie else "two-maps"
    seen = {"key_types": _type_forms(keys), "value_types": _type_forms(values)}
    return Account(
        family=NAME,
        header_name=HEADER,
        live=len(contents),
        load=load,
        load_limit=0.0,
        growing=False,
        state=state,
        bytes=held,
        header=tuple((name, _word(name, value)) for name, value in header.words.items()),
        passages=passages,
        map_form=partial(_map_form, header, form),
        growth_form={"growing": False, "kind": None, "form": form, "load": load, "next": None},
        occupancy_form={
            "live": len(contents),
            "deleted": contents.deleted,
            "nodes": contents.nodes,
            "depths": _depths(contents),
            **seen,
            "bytes": held.form(),
        },
        parts=tuple(snapshot.address for _, snapshot in contents.maps),
        row_form={**ROW_UNKNOWN, "nodes": contents.nodes, **seen},
    )


def _held(release: Release, contents: Contents) -> Held:
    """Bytes by part. Making it anew would not give inner nodes back, but what two maps hold besides their entries."""
    total = sum(contents.sizes.values())
    spare = contents.deleted * block_size(release, WORD, noscan=False)
    wasted = spare + sum(snapshot.account().bytes.wasted for _, snapshot in contents.maps)
    return Held(contents.sizes, max(total - wasted, min(total, header_size(release))))


def _depths(contents: Contents) -> dict[str, int]:
    """How many entries lie below so many inner nodes; empty for two maps."""
    if not contents.nodes:
        return {}
    depths, counts = np.unique(contents.depth, return_counts=True)
    return {str(depth): many for depth, many in zip(depths.tolist(), counts.tolist(), strict=True)}


def _entry_lines(contents: Contents, held: Held) -> list[str]:
    entries = number_of(len(contents), "entry")
    if contents.nodes:
        depths = ", ".join(f"{many:,} at depth {depth}" for depth, many in _depths(contents).items())
        lines = [f"{entries} below {number_of(contents.nodes, 'node')}" + (f" ({depths})" if depths else "")]
    else:
        parts = [f"{number_of(snapshot.header.count, 'key')} in {part}" for part, snapshot in contents.maps]
        lines = [f"{entries}" + (f"; {', '.join(parts)}" if parts else "")]
    if contents.deleted:
        deleted = number_of(contents.deleted, "deleted entry")
        lines.append(f"{deleted} without a value, kept until the dirty map is made anew")
    parts = [f"{name} {size(part)}" for name, part in held.parts.items() if part]
    return [*lines, f"{size(held.total)}: {', '.join(parts)}; what interfaces lead to is not counted"]


def _counted(types: dict[str, int], most: int) -> str:
    shown = [f"{plain(name)} ({count:,})" for name, count in list(types.items())[:most]]
    more = len(types) - most
    return ", ".join(shown) + (f" and {more} more types" if more > 0 else "") if shown else "none"


def _named(types: dict[str, int]) -> str:
    names = list(types)[:TYPES_IN_A_CELL]
    return "|".join(names) + ("|..." if len(types) > TYPES_IN_A_CELL else "")


def _type_forms(types: dict[str, int]) -> list[dict[str, Any]]:
    return [{"type": name, "count": count} for name, count in types.items()]


def _word(name: str, value: int) -> str:
    form = _word_form(name, value)
    return str(form) if form is not None else "nil"


def _map_form(header: SyncHeader, form: str) -> dict[str, Any]:
    return {"form": form, "header": {name: _word_form(name, value) for name, value in header.words.items()}}


def _word_form(name: str, value: int) -> Any:
    if name in ("inited", "misses"):
        return value
    return f"{value:#x}" if value or name == "seed" else None
