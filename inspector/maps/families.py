"""Which family of maps a Go release makes."""

from __future__ import annotations

from inspector.errors import SwissMaps
from inspector.goruntime.releases import Release
from inspector.maps import classic
from inspector.maps.family import Family

CLASSIC: Family = classic


def family_of(release: Release, path: str = "the program") -> Family:
    """The family of all maps of a program, `path`, that was built by a release; raises SwissMaps."""
    if release.swiss:
        raise SwissMaps(
            f"{path} was built by {release.version} with Swiss maps, which are not supported yet",
            "only classic maps (hmap) are: Go up to 1.23, or 1.24 and 1.25 with GOEXPERIMENT=noswissmap",
        )
    return CLASSIC
