"""Describes a map for every renderer: in words, as a picture, as parts of the JSON document."""

from __future__ import annotations

from inspector.goruntime.releases import Release
from inspector.maps.family import Account, Held
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.header import HEADER, LOAD_LIMIT, NAME, header_size


def account_of(view: MapView) -> Account:
    """See Snapshot.account."""
    parts = {"groups": view.groups.raw.size, "tables": 32 * len(view.tables)}
    parts |= {"directory": 8 * len(view.tables.directory), "header": header_size(view.snapshot.release)}
    held = Held(parts, sum(parts.values()))
    load = view.live_count / max(len(view.groups), 1)
    return Account(NAME, HEADER, view.live_count, load, LOAD_LIMIT, False, "", held)


def nothing(release: Release) -> Account:
    """See Family.nothing."""
    parts = {"groups": 0, "tables": 0, "directory": 0, "header": 0}
    return Account(NAME, HEADER, 0, 0.0, LOAD_LIMIT, False, "", Held(parts, 0))
