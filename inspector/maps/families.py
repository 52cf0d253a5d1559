"""Which family of maps a Go release makes. A program has maps of one family, and only that one is loaded."""

from __future__ import annotations

from inspector.goruntime.releases import Release
from inspector.maps.family import Family


def family_of(release: Release) -> Family:
    """The family of all maps of a program that was built by a release."""
    return _swiss() if release.swiss else _classic()


def load_families() -> None:
    """Load all of them, for whoever holds a process before it is known which one is needed."""
    _classic(), _swiss()


def _classic() -> Family:
    from inspector.maps import classic

    return classic


def _swiss() -> Family:
    from inspector.maps import swiss

    return swiss
