"""Which family of maps a Go release makes."""

from __future__ import annotations

from inspector.goruntime.releases import Release
from inspector.maps import classic, swiss
from inspector.maps.family import Family

CLASSIC: Family = classic
SWISS: Family = swiss


def family_of(release: Release) -> Family:
    """The family of all maps of a program that was built by a release."""
    return SWISS if release.swiss else CLASSIC
